import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { gaussianEvent, poissonEvent, repeat, sequence, type DpEvent } from '../../accounting/event.ts';
import {
  checkWithReferee,
  refereeDelta,
  refereeEpsilon,
  refereeRdp,
  refereeUpper,
} from '../../accounting/referee.ts';
import { big, erfc } from '../../accounting/referee/big.ts';
import { twoStepProfile } from '../../accounting/referee/two-steps.ts';
import { stepOf, type NormalStep } from '../../accounting/referee/steps.ts';
import { hasShared, sharedPath } from '../support/shared.ts';
import { importsOf, root, typescriptFiles } from '../support/sources.ts';
import { eventOf, neighboursOf, referenceVectors } from './vectors.ts';

const addOrRemove = { neighbours: 'add-or-remove' } as const;
const sampled = (noiseMultiplier: number, samplingProbability: number): DpEvent =>
  poissonEvent({ noiseMultiplier, samplingProbability, steps: 1 });

function normal(event: DpEvent): NormalStep {
  if (event.kind === 'sequence' || event.kind === 'repeated') throw new Error('not one step');
  const step = stepOf(event);
  if (step?.kind !== 'normal') throw new Error('not a Gaussian step');
  return step;
}

/** Within `digits` digits of what was printed. */
function expectDigits(actual: number, printed: number, digits = 14): void {
  expect(Math.abs(actual / printed - 1), `${actual} against ${printed}`).toBeLessThanOrEqual(
    10 ** (1 - digits),
  );
}

interface Case {
  readonly id: string;
  readonly truth?: { readonly value: number };
}

function truthOf(id: string): number {
  const { cases }: { cases: Case[] } = JSON.parse(
    readFileSync(sharedPath('vectors/accounting.json'), 'utf8'),
  );
  const found = cases.find(each => each.id === id)?.truth;
  if (found === undefined) throw new Error(`There is no truth for ${id}.`);
  return found.value;
}

describe('erfc', () => {
  // mpmath, 60 digits.
  it.each([
    ['0.001', '0.9988716212090307636200515223430951874008'],
    ['2.5', '0.0004069520174449589395642157399749127203487'],
    ['3.9999', '0.0000000154299612155581506076953427728277552336'],
    ['4', '0.00000001541725790028001885215967348688404857215'],
    ['12', '1.356261169205904212780306156590417572667e-64'],
    ['40', '1.896961059966276509268278259713415434937e-697'],
  ])('of %s is right to 34 digits', (x, printed) => {
    expect(erfc(big(x)).div(big(printed)).minus(1).abs().lt('1e-34')).toBe(true);
  });

  it('mirrors itself around 0', () => {
    expect(
      erfc(big(-0.75))
        .plus(erfc(big(0.75)))
        .toNumber(),
    ).toBe(2);
  });
});

describe.runIf(hasShared)('reference values', () => {
  const solvable = referenceVectors().filter(
    ({ id, query }) => /^(gauss|psg1)-/.test(id) && query.solve === undefined,
  );

  it('are at hand', () => {
    expect(solvable.length).toBeGreaterThanOrEqual(19);
  });

  it.each(solvable.map(vector => [vector.id, vector] as const))('%s', (_, vector) => {
    const { delta, epsilon } = vector.query;
    const neighbours = neighboursOf(vector);
    const event = eventOf(vector);
    const found =
      delta === undefined
        ? refereeDelta(event, { epsilon: epsilon!, neighbours })
        : refereeEpsilon(event, { delta, neighbours });
    if (vector.truth!.value === 0) expect(found.digits).toBe('7.1203737692735506924e-549');
    else expectDigits(found.value, vector.truth!.value);
  });

  const others: readonly [string, DpEvent, number, 'add-or-remove' | 'replace', number][] = [
    ['laplace-eps-b1-n1-d0.001', { kind: 'laplace', noiseMultiplier: 1 }, 1e-3, 'add-or-remove', 14],
    ['laplace-eps-b10-n1-d0.001', { kind: 'laplace', noiseMultiplier: 10 }, 1e-3, 'add-or-remove', 14],
    [
      'puredp-eps-e0.1-n100-d1e-06',
      repeat({ kind: 'guarantee', epsilon: 0.1, delta: 0 }, 100),
      1e-6,
      'add-or-remove',
      14,
    ],
    [
      'puredp-eps-e0.5-n100-d0.001',
      repeat({ kind: 'guarantee', epsilon: 0.5, delta: 0 }, 100),
      1e-3,
      'add-or-remove',
      14,
    ],
    [
      'rr-eps-p0.5-k2-n10-d1e-6',
      repeat({ kind: 'randomised-response', randomProbability: 0.5, buckets: 2 }, 10),
      1e-6,
      'replace',
      14,
    ],
    // Reference values by convolution in doubles, about 1e-12 relative.
    [
      'dgauss-eps-s1-sens1-n1-d1e-06',
      { kind: 'discrete-gaussian', scale: 1, sensitivity: 1 },
      1e-6,
      'add-or-remove',
      13,
    ],
    [
      'dgauss-eps-s0.5-sens1-n1-d1e-05',
      { kind: 'discrete-gaussian', scale: 0.5, sensitivity: 1 },
      1e-5,
      'add-or-remove',
      13,
    ],
    [
      'dgauss-eps-s5-sens1-n100-d1e-06',
      repeat({ kind: 'discrete-gaussian', scale: 5, sensitivity: 1 }, 100),
      1e-6,
      'add-or-remove',
      13,
    ],
  ];
  it.each(others)('%s', (id, event, delta, neighbours, digits) => {
    expectDigits(refereeEpsilon(event, { delta, neighbours }).value, truthOf(id), digits);
  });

  it.each([
    ['rdp-s1-q0.01-a2', sampled(1, 0.01), 2],
    ['rdp-s1-q0.01-a8', sampled(1, 0.01), 8],
    ['rdp-s1-q0.5-a256', sampled(1, 0.5), 256],
  ])('%s', (id, event, order) => {
    expectDigits(refereeRdp(event, { order, ...addOrRemove }).value, truthOf(id));
  });

  it.each([
    ['psg-eps-s1-q0.01-n1000-d1e-06', repeat(sampled(1, 0.01), 1000)],
    ['gauss-eps-s1-n1-d1e-06', gaussianEvent(1)],
  ])('%s is below the bound by RDP', (id, event) => {
    const { value } = refereeUpper(event, { delta: 1e-6, ...addOrRemove });
    expect(value).toBeGreaterThanOrEqual(truthOf(id));
    expect(value).toBeLessThanOrEqual(truthOf(id) * 1.4);
  });
});

describe('identities', () => {
  it('two Gaussians by quadrature are one with less noise', () => {
    const step = normal(gaussianEvent(2));
    const integrated = twoStepProfile({ first: step, second: step }, 'remove')(big(1).exp()).toNumber();
    expectDigits(
      integrated,
      refereeDelta(repeat(gaussianEvent(2), 2), { epsilon: 1, ...addOrRemove }).value,
      15,
    );
  });

  it.each(['remove', 'add', 'replace'] as const)(
    'the order of two different steps is indifferent: %s',
    direction => {
      const [a, b] = [normal(sampled(1, 0.25)), normal(sampled(1.5, 0.5))];
      const ratio = big(0.1).exp();
      const forth = twoStepProfile({ first: a, second: b }, direction)(ratio).toNumber();
      expectDigits(twoStepProfile({ first: b, second: a }, direction)(ratio).toNumber(), forth, 15);
    },
  );

  it('at ε = 0 is the total variation, which sampling scales', () => {
    const shifted = big(1)
      .minus(erfc(big(1).div(big(8).sqrt())))
      .toNumber();
    expectDigits(refereeDelta(gaussianEvent(1), { epsilon: 0, ...addOrRemove }).value, shifted, 15);
    expectDigits(refereeDelta(sampled(1, 0.25), { epsilon: 0, ...addOrRemove }).value, shifted / 4, 15);
  });

  it('a mixture of two is the subsampled step, and so is a fixed batch with twice the shift', () => {
    const mixture: DpEvent = {
      kind: 'mixture-of-gaussians',
      noiseMultiplier: 1,
      sensitivities: [0, 1],
      probabilities: [0.75, 0.25],
    };
    const batch: DpEvent = {
      kind: 'fixed-size-gaussian',
      noiseMultiplier: 2,
      datasetSize: 100,
      batchSize: 25,
      groupSize: 1,
    };
    const { digits } = refereeDelta(sampled(1, 0.25), { epsilon: 0.5, ...addOrRemove });
    expect(refereeDelta(mixture, { epsilon: 0.5, ...addOrRemove }).digits).toBe(digits);
    expect(refereeDelta(batch, { epsilon: 0.5, ...addOrRemove }).digits).toBe(digits);
  });

  it('a guarantee is worth itself', () => {
    const event: DpEvent = { kind: 'guarantee', epsilon: 1.25, delta: 2 ** -10 };
    expect(refereeDelta(event, { epsilon: 1.25, neighbours: 'replace' }).value).toBe(2 ** -10);
    expect(refereeEpsilon(event, { delta: 2 ** -11, neighbours: 'replace' }).value).toBe(Infinity);
  });

  it('sampled Laplace noise keeps its share of the amplified ε', () => {
    const event: DpEvent = {
      kind: 'poisson-subsampled-laplace',
      noiseMultiplier: 1,
      samplingProbability: 0.25,
    };
    const amplified = Math.log1p(0.25 * Math.expm1(1));
    expect(refereeDelta(event, { epsilon: amplified * (1 + 1e-12), ...addOrRemove }).value).toBe(0);
    expect(refereeDelta(event, { epsilon: amplified * (1 - 1e-12), ...addOrRemove }).value).toBeGreaterThan(
      0,
    );
  });

  it('nothing but discrete losses: the binomial sum by hand', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.05, max: 2, noNaN: true }),
        fc.integer({ min: 1, max: 6 }),
        (epsilon, count) => {
          const event = repeat({ kind: 'guarantee', epsilon, delta: 0 }, count);
          const found = refereeDelta(event, { epsilon: epsilon / 2, neighbours: 'replace' }).value;
          expectDigits(found, binomialDelta({ epsilon, count, at: epsilon / 2 }), 12);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('of order 2, a Rényi divergence is the mean of exp(a·b/σ²) over two draws of the sensitivity', () => {
    const group: DpEvent = {
      kind: 'mixture-of-gaussians',
      noiseMultiplier: 2,
      sensitivities: [0, 1, 2],
      probabilities: [0.81, 0.18, 0.01],
    };
    const two = refereeRdp(group, { order: 2, ...addOrRemove }).value;
    const draws = [0.81, 0.18, 0.01];
    const mean = draws.flatMap((p, a) => draws.map((r, b) => p * r * Math.exp((a * b) / 4)));
    expectDigits(two, Math.log(mean.reduce((total, term) => total + term)), 13);
  });
});

function binomialDelta({ epsilon, count, at }: { epsilon: number; count: number; at: number }): number {
  const truth = 1 / (1 + Math.exp(-epsilon));
  let [delta, choose] = [0, 1];
  for (let k = 0; k <= count; k += 1) {
    const loss = (count - 2 * k) * epsilon;
    if (loss > at) delta -= choose * truth ** (count - k) * (1 - truth) ** k * Math.expm1(at - loss);
    choose = (choose * (count - k)) / (k + 1);
  }
  return delta;
}

describe('checkWithReferee', () => {
  const options = { delta: 1e-6, ...addOrRemove };

  it('accepts an interval around the truth and no other', () => {
    const check = (lower: number, upper: number): boolean =>
      checkWithReferee(gaussianEvent(1), { ...options, epsilon: { lower, upper } }).agrees;
    expect(check(4.8865541174, 4.8865541175)).toBe(true);
    expect(check(4.8865541175, 4.8865541176)).toBe(false);
    expect(check(4.8865541173, 4.8865541174)).toBe(false);
  });

  it('finds the truth of two steps inside a narrow interval', () => {
    const event = repeat(sampled(1, 0.5), 2);
    const epsilon = { lower: 5.5723, upper: 5.5724 };
    const check = checkWithReferee(event, { ...options, epsilon });
    expect([check.method, check.agrees]).toEqual(['exact', true]);
    // The same integral by Gauss-Legendre in mpmath, 25 digits, is 9.9999999999999855e-7 at 5.572391599725642.
    expectDigits(Number(check.digits), 5.57239159972564, 13);
  });

  it('takes an unbounded loss for what it is', () => {
    const event: DpEvent = { kind: 'randomised-response', randomProbability: 0, buckets: 3 };
    const check = (upper: number): boolean =>
      checkWithReferee(event, { delta: 1e-6, neighbours: 'replace', epsilon: { lower: 1, upper } }).agrees;
    expect([check(Infinity), check(1e6)]).toEqual([true, false]);
  });

  it('bounds many steps from above', () => {
    const event = repeat(sampled(1, 0.01), 1000);
    const check = checkWithReferee(event, { ...options, epsilon: { lower: 2.12, upper: 2.13 } });
    expect([check.method, check.agrees]).toEqual(['rdp', true]);
    expect(checkWithReferee(event, { ...options, epsilon: { lower: 3, upper: 3.1 } }).agrees).toBe(false);
  });

  it('says that it has checked nothing, and why', () => {
    const event = sequence([{ kind: 'balls-in-bins-gaussian', noiseMultiplier: 1, stepsPerEpoch: 10 }]);
    const check = checkWithReferee(event, { ...options, epsilon: { lower: 1, upper: 2 } });
    expect([check.method, check.epsilon.upper]).toEqual(['none', Infinity]);
    expect(check.detail).toContain('not checked');
    expect(check.detail).toContain('balls-in-bins-gaussian');
  });

  it.each([0, 1, -1, NaN])('refuses delta %s', delta => {
    expect(() => refereeEpsilon(gaussianEvent(1), { delta, ...addOrRemove })).toThrow(
      'Cannot referee: delta is',
    );
  });
});

describe('independence', () => {
  const files = typescriptFiles('accounting').filter(file => /^accounting\/referee[./]/.test(file));

  it('takes nothing but types and DpError from the rest of the accounting folder', () => {
    const isOwn = (file: string, path: string): boolean =>
      path.startsWith(file.includes('/referee/') ? './' : './referee/');
    const foreign = files.flatMap(file =>
      valueImports(file)
        .filter(path => !isOwn(file, path))
        .map(path => `${file}: ${path}`),
    );
    expect(foreign.toSorted()).toEqual([
      'accounting/referee.ts: ./check.ts',
      'accounting/referee/big.ts: mathjs',
      'accounting/referee/two-steps.ts: ../check.ts',
    ]);
  });

  it('is imported by no accountant', () => {
    const others = typescriptFiles('accounting').filter(file => !files.includes(file));
    expect(others.filter(file => importsOf(file).some(path => path.includes('referee')))).toEqual([]);
  });
});

function valueImports(file: string): string[] {
  const code = readFileSync(root + file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  return [...code.matchAll(/^import (?!type\b)[^;]*? from '([^']+)'/gm)].map(match => match[1]!);
}
