import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CertifiedBound } from '../../../accounting/profiles/composer.ts';
import { DpError } from '../../../accounting/check.ts';
import {
  gaussianEvent,
  poissonEvent,
  poissonGroupEvent,
  repeat,
  sequence,
  type DpEvent,
} from '../../../accounting/event.ts';
import { pldAccountant, pldDelta, pldDeltas, pldEpsilon } from '../../../accounting/pld/pld.ts';
import { rdpAccountant } from '../../../accounting/rdp/rdp.ts';
import { erfc } from '../../../accounting/numerics/special.ts';
import { eventOf, neighboursOf, referenceVectors, type Vector } from '../vectors.ts';

const neighbours = 'add-or-remove';

function answer({ query, ...rest }: Vector): CertifiedBound {
  const event = eventOf({ query, ...rest });
  if (query.delta !== undefined) return pldEpsilon(event, { delta: query.delta, neighbours });
  return pldDelta(event, { epsilon: query.epsilon!, neighbours });
}

/** The widest (upper - lower) / upper that a regime may show. */
function bar({ id, mechanism, query }: Vector): number {
  if (id === 'gauss-delta-s50-n1-e1') return 1;
  if (mechanism.every(({ kind }) => kind === 'gaussian')) return 1e-10;
  if (mechanism.length === 1 && mechanism[0]!.steps === 1) return 1e-11;
  if (query.epsilon !== undefined) return 2e-3;
  // Participations are rare here: the transform is long for what it gives.
  const isSparse = mechanism.some(({ q, steps }) => q !== undefined && q * steps <= 10 && q <= 1e-4);
  return isSparse ? 1e-3 : 3e-4;
}

describe('pldAccountant against the reference values', () => {
  const vectors = referenceVectors().filter(
    vector =>
      vector.truth !== undefined &&
      neighboursOf(vector) === neighbours &&
      vector.query.solve === undefined &&
      vector.query.order === undefined,
  );

  it.each(vectors.map(vector => [vector.id, vector] as const))('%s', (_, vector) => {
    const truth = vector.truth!.value;
    const { lower, upper } = answer(vector);
    // The contour integral is right to about 1e-10, the closed forms to the double that they were printed as.
    const slack = truth * 2e-11;
    expect(lower).toBeLessThanOrEqual(truth + slack);
    expect(upper).toBeGreaterThanOrEqual(truth - slack);
    expect(upper - lower).toBeLessThanOrEqual(bar(vector) * upper);
  });
});

describe('pldAccountant in the corners', () => {
  const corners: readonly (readonly [string, DpEvent, number, number])[] = [
    [
      'huge noise',
      poissonEvent({ noiseMultiplier: 1e6, samplingProbability: 0.5, steps: 10000 }),
      1e-6,
      1e-3,
    ],
    [
      'huge noise, rare sampling',
      poissonEvent({ noiseMultiplier: 1e6, samplingProbability: 1e-9, steps: 1000 }),
      1e-20,
      1e-3,
    ],
    [
      'tiny noise',
      poissonEvent({ noiseMultiplier: 0.05, samplingProbability: 0.01, steps: 100 }),
      1e-6,
      1e-3,
    ],
    [
      'a plateau of δ',
      poissonEvent({ noiseMultiplier: 0.05, samplingProbability: 1e-3, steps: 100 }),
      0.05,
      1e-3,
    ],
    ['two steps', poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 2 }), 1e-6, 1e-3],
    ['tiny δ', poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 10 }), 1e-200, 1e-3],
    ['δ near 1', poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.1, steps: 10000 }), 0.99, 1e-3],
    [
      'nearly always sampled',
      poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.999999, steps: 100 }),
      1e-6,
      1e-3,
    ],
    [
      'a user with 1000 records',
      poissonGroupEvent({ noiseMultiplier: 10, samplingProbability: 0.01, steps: 1000, groupSize: 1000 }),
      1e-6,
      1e-3,
    ],
    [
      'ten million steps',
      poissonEvent({ noiseMultiplier: 1, samplingProbability: 1e-7, steps: 1e7 }),
      1e-6,
      2e-2,
    ],
  ];

  it.each(corners)(
    '%s: a proper interval within its bar',
    (_, event, delta, widest) => {
      const { lower, upper } = pldEpsilon(event, { delta, neighbours });
      expect(lower).toBeGreaterThan(0);
      expect(upper).toBeLessThan(Infinity);
      expect(upper - lower).toBeGreaterThanOrEqual(0);
      expect(upper - lower).toBeLessThanOrEqual(widest * upper);
    },
    180_000,
  );

  // By the contour integral of shared/prototypes/accounting (double precision).
  it.each([
    [1, 0.01, 10, 1e-30, 7.150920840966254],
    [0.3, 1e-6, 1e6, 1e-6, 7.037185657849436],
    [1, 1e-3, 1e9, 1e-6, 1052.9666644051895],
  ])(
    'noise %d, probability %d, %d steps at δ %d encloses the truth',
    (noiseMultiplier, q, steps, delta, truth) => {
      const event = poissonEvent({ noiseMultiplier, samplingProbability: q, steps });
      const { lower, upper } = pldEpsilon(event, { delta, neighbours });
      expect(lower).toBeLessThanOrEqual(truth * (1 + 1e-9));
      expect(upper).toBeGreaterThanOrEqual(truth * (1 - 1e-9));
      expect(upper).toBeLessThanOrEqual(truth * 1.003);
    },
  );

  it('epsilon is 0 where δ needs none', () => {
    const events = [
      poissonEvent({ noiseMultiplier: 0.05, samplingProbability: 1e-9, steps: 10 }),
      poissonEvent({ noiseMultiplier: 1, samplingProbability: 1e-9, steps: 1 }),
      gaussianEvent(1e6),
      { kind: 'mixture-of-gaussians', noiseMultiplier: 1, sensitivities: [0], probabilities: [1] } as const,
    ];
    for (const event of events) {
      expect(pldEpsilon(event, { delta: 1e-6, neighbours })).toMatchObject({ lower: 0, upper: 0 });
    }
  });

  it('delta is never NaN far from where it matters', () => {
    const event = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 100 });
    for (const epsilon of [0, 1e-12, 40, 80, 700, 1e5]) {
      const { lower, upper } = pldDelta(event, { epsilon, neighbours });
      expect(lower).toBeGreaterThanOrEqual(0);
      expect(upper).toBeGreaterThanOrEqual(lower);
      expect(upper).toBeLessThanOrEqual(1);
    }
  });

  it('refuses what it has no proof for, by name', () => {
    const group = poissonGroupEvent({
      noiseMultiplier: 1,
      samplingProbability: 0.1,
      steps: 3,
      groupSize: 3,
    });
    expect(pldAccountant.unsupported(group, neighbours)).toBeUndefined();
    expect(pldAccountant.unsupported(group, 'replace')).toBe('mixture-of-gaussians under replace');
    const ask = (): CertifiedBound => pldEpsilon(group, { delta: 1e-6, neighbours: 'replace' });
    expect(ask).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_EVENT' }));
  });

  it('checks its arguments at the door', () => {
    const asks: readonly (() => CertifiedBound)[] = [
      () => pldEpsilon(gaussianEvent(1), { delta: 0, neighbours }),
      () => pldEpsilon(gaussianEvent(1), { delta: 1e-300, neighbours }),
      () => pldDelta(gaussianEvent(1), { epsilon: -1, neighbours }),
      () => pldEpsilon(gaussianEvent(1), { delta: 1e-6, neighbours, relativeGap: 0 }),
      () => pldEpsilon({ kind: 'gaussian', noiseMultiplier: 0 }, { delta: 1e-6, neighbours }),
      () => pldEpsilon(mixture([0, 1], [0.5]), { delta: 1e-6, neighbours }),
      () => pldEpsilon(mixture([0, 1], [0.5, 0.4]), { delta: 1e-6, neighbours }),
      () => pldEpsilon(mixture([-1, 1], [0.5, 0.5]), { delta: 1e-6, neighbours }),
    ];
    for (const ask of asks) {
      expect(ask).toThrow(DpError);
      expect(ask).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
  });
});

function mixture(
  sensitivities: readonly number[],
  probabilities: readonly number[],
  noiseMultiplier = 1,
): DpEvent {
  return { kind: 'mixture-of-gaussians', noiseMultiplier, sensitivities, probabilities };
}

describe('pldAccountant, identities', () => {
  const logUniform = (low: number, high: number): fc.Arbitrary<number> =>
    fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map(Math.exp);
  const runs = fc.record({
    noiseMultiplier: logUniform(0.3, 50),
    samplingProbability: logUniform(1e-4, 1),
    steps: logUniform(1, 5000).map(Math.round),
    delta: logUniform(1e-12, 1e-3),
  });
  type Run = { noiseMultiplier: number; samplingProbability: number; steps: number; delta: number };
  const coarse = (run: Run): CertifiedBound =>
    pldEpsilon(poissonEvent(run), { delta: run.delta, neighbours, relativeGap: 1e-2 });

  it('lower <= upper, the gap is as asked, and RDP is never below', () => {
    fc.assert(
      fc.property(runs, run => {
        const { lower, upper } = coarse(run);
        expect(lower).toBeGreaterThanOrEqual(0);
        expect(upper).toBeGreaterThanOrEqual(lower);
        if (upper > 0.01) expect(upper - lower).toBeLessThanOrEqual(0.02 * upper + 1e-3);
        const rdp = rdpAccountant.epsilon(poissonEvent(run), { delta: run.delta, neighbours });
        expect(lower).toBeLessThanOrEqual(rdp.upper);
      }),
      { numRuns: 40, seed: 1 },
    );
  });

  it('ε rises with steps and sampling probability and falls with noise', () => {
    fc.assert(
      fc.property(runs, run => {
        const { upper } = coarse(run);
        expect(coarse({ ...run, steps: run.steps + 3 }).upper).toBeGreaterThanOrEqual(coarse(run).lower);
        const lessSampled = { ...run, samplingProbability: run.samplingProbability * 0.9 };
        expect(coarse(lessSampled).lower).toBeLessThanOrEqual(upper);
        expect(coarse({ ...run, noiseMultiplier: run.noiseMultiplier * 1.1 }).lower).toBeLessThanOrEqual(
          upper,
        );
        expect(coarse({ ...run, delta: run.delta / 10 }).upper).toBeGreaterThanOrEqual(coarse(run).lower);
      }),
      { numRuns: 15, seed: 2 },
    );
  });

  it('delta at the upper ε is at most δ, at the lower ε at least δ', () => {
    fc.assert(
      fc.property(runs, run => {
        const { lower, upper } = coarse(run);
        const [atLower, atUpper] = pldDeltas(poissonEvent(run), { epsilons: [lower, upper], neighbours });
        expect(atUpper!.lower).toBeLessThanOrEqual(run.delta);
        if (lower > 0) expect(atLower!.upper).toBeGreaterThanOrEqual(run.delta);
      }),
      { numRuns: 15, seed: 3 },
    );
  });

  it('a probability of 1, whole or in parts, is the plain Gaussian', () => {
    const options = { delta: 1e-6, neighbours } as const;
    const plain = pldEpsilon(repeat(gaussianEvent(3), 50), options);
    const always = {
      kind: 'poisson-subsampled-gaussian',
      noiseMultiplier: 3,
      samplingProbability: 1,
    } as const;
    expect(pldEpsilon(repeat(always, 50), options)).toEqual(plain);
    const shifted = {
      kind: 'mixture-of-gaussians',
      noiseMultiplier: 6,
      sensitivities: [0, 2],
      probabilities: [0, 1],
    } as const;
    expect(pldEpsilon(repeat(shifted, 50), options)).toEqual(plain);
    const nearly = pldEpsilon(repeat({ ...always, samplingProbability: 1 - 1e-12 }, 50), options);
    expect(nearly.lower).toBeLessThanOrEqual(plain.upper);
    expect(nearly.upper).toBeGreaterThanOrEqual(plain.lower * (1 - 1e-9));
  });

  it('a mixture of 0 and 1 is the subsampled Gaussian, and a weak Gaussian beside it changes little', () => {
    const options = { delta: 1e-8, neighbours } as const;
    const sampled = poissonEvent({ noiseMultiplier: 1.2, samplingProbability: 0.02, steps: 300 });
    const mixed = repeat(mixture([0, 1], [0.98, 0.02], 1.2), 300);
    const [a, b] = [pldEpsilon(sampled, options), pldEpsilon(mixed, options)];
    expect(Math.abs(a.upper - b.upper)).toBeLessThanOrEqual(1e-9);
    const beside = pldEpsilon(sequence([sampled, gaussianEvent(1e6)]), options);
    expect(beside.upper).toBeGreaterThanOrEqual(a.lower);
    expect(beside.lower).toBeLessThanOrEqual(a.upper + 1e-3);
  });

  it('the order of a sequence and its nesting do not matter', () => {
    const [first, second] = [
      poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 40 }),
      repeat(gaussianEvent(9), 4),
    ];
    const options = { delta: 1e-6, neighbours } as const;
    const nested = pldEpsilon(repeat(sequence([second, first]), 2), options);
    expect(pldEpsilon(sequence([first, second, first, second]), options)).toEqual(nested);
  });

  it('a larger group never has a smaller ε', () => {
    const of = (groupSize: number): CertifiedBound =>
      pldEpsilon(
        poissonGroupEvent({ noiseMultiplier: 4, samplingProbability: 0.02, steps: 200, groupSize }),
        { delta: 1e-6, neighbours },
      );
    const answers = [1, 2, 3, 5, 8, 16, 64].map(of);
    for (let k = 1; k < answers.length; k += 1) {
      expect(answers[k]!.lower).toBeGreaterThan(answers[k - 1]!.upper);
    }
  });

  it('a single step agrees with its closed form', () => {
    const tail = (x: number): number => erfc(x * Math.SQRT1_2) / 2;
    fc.assert(
      fc.property(logUniform(0.3, 5), logUniform(1e-3, 0.999), logUniform(0.01, 3), (noise, q, epsilon) => {
        const at = (delta: number): number => noise * Math.log((delta + q) / q) + 1 / (2 * noise);
        const remove = at(Math.expm1(epsilon));
        const removed = (1 - q - Math.exp(epsilon)) * tail(remove) + q * tail(remove - 1 / noise);
        const isReachable = Math.expm1(-epsilon) + q > 0;
        const add = isReachable ? at(Math.expm1(-epsilon)) : -Infinity;
        const added = tail(-add) - Math.exp(epsilon) * ((1 - q) * tail(-add) + q * tail(1 / noise - add));
        const truth = Math.max(removed, isReachable ? added : 0);
        const step = {
          kind: 'poisson-subsampled-gaussian',
          noiseMultiplier: noise,
          samplingProbability: q,
        } as const;
        const { lower, upper } = pldDelta(step, { epsilon, neighbours });
        // The closed form loses digits to cancellation, the quadrature does not.
        const slack = 1e-14 * Math.exp(epsilon);
        expect(lower).toBeLessThanOrEqual(truth + slack);
        expect(upper).toBeGreaterThanOrEqual(truth - slack);
        expect(upper - lower).toBeLessThanOrEqual(1e-10 * upper + 1e-300);
      }),
      { numRuns: 100, seed: 4 },
    );
  });

  it('two single steps together are what a composition of two says', () => {
    const step = {
      kind: 'poisson-subsampled-gaussian',
      noiseMultiplier: 0.7,
      samplingProbability: 0.3,
    } as const;
    const one = pldEpsilon(step, { delta: 1e-6, neighbours });
    const two = pldEpsilon(repeat(step, 2), { delta: 1e-6, neighbours });
    expect(two.lower).toBeGreaterThan(one.upper);
    expect(two.upper).toBeLessThan(2 * pldEpsilon(step, { delta: 5e-7, neighbours }).upper);
  });
});

describe('losses too wide for a grid', () => {
  const step = {
    kind: 'poisson-subsampled-gaussian',
    noiseMultiplier: 0.001,
    samplingProbability: 0.5,
  } as const;
  const event = { kind: 'repeated', event: step, count: 100 } as const;
  const everybody = {
    kind: 'repeated',
    event: { kind: 'gaussian', noiseMultiplier: 0.001 },
    count: 100,
  } as const;
  const neighbours = 'add-or-remove';

  it('pldEpsilon() answers at once with the closed form of everybody in every step, as an upper bound alone', () => {
    const { lower, upper, detail } = pldEpsilon(event, { delta: 1e-6, neighbours });
    expect(lower).toBe(0);
    expect(detail).toContain('too wide');
    const unsampled = pldEpsilon(everybody, { delta: 1e-6, neighbours });
    expect(upper).toBeGreaterThanOrEqual(unsampled.lower);
    expect(upper).toBeLessThan(unsampled.upper * (1 + 1e-9));
  });

  it.each([1e-300, 1e-160, 1e-8])('pldEpsilon() answers for noise of %d, sampled or not', noiseMultiplier => {
    for (const samplingProbability of [1e-5, 1]) {
      const tiny = { ...step, noiseMultiplier, samplingProbability };
      const { lower, upper } = pldEpsilon({ ...event, event: tiny }, { delta: 1e-6, neighbours });
      expect(upper).toBeGreaterThan(1e15);
      expect(lower).toBeLessThanOrEqual(upper);
    }
  });

  it('pldDelta() too', () => {
    const epsilon = 1e5;
    const { lower, upper } = pldDelta(event, { epsilon, neighbours });
    expect(lower).toBe(0);
    expect(upper).toBeGreaterThanOrEqual(pldDelta(everybody, { epsilon, neighbours }).lower);
  });
});
