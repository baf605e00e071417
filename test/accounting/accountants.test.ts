import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Accountant, Bound } from '../../accounting/accountant.ts';
import { accountants } from '../../accounting/epsilon.ts';
import {
  gaussianEvent,
  poissonEvent,
  poissonGroupEvent,
  repeat,
  sequence,
  type BasicEvent,
  type DpEvent,
  type Neighbours,
} from '../../accounting/event.ts';

const neighbours = 'add-or-remove';
// What a bound may move the wrong way because its error is not the same at neighbouring settings.
const slack = { rdp: 1e-6, pld: 2e-3, exact: 2e-4, gdp: 1e-9 } as const;
const runs = { rdp: 12, pld: 4, exact: 4, gdp: 3 } as const;

/** The bound that counts; the estimate where there is none. */
function answerOf({ upper, value }: Bound): number {
  return upper === Infinity ? value! : upper;
}

const setting = fc.record({
  noiseMultiplier: fc.double({ min: 0.6, max: 20, noNaN: true }),
  samplingProbability: fc.double({ min: -6, max: -0.2, noNaN: true }).map(Math.exp),
  steps: fc.integer({ min: 1, max: 300 }),
  groupSize: fc.integer({ min: 1, max: 4 }),
});
const factor = fc.double({ min: 1.1, max: 3, noNaN: true });

describe.each(accountants)('$name accountant', accountant => {
  const upper = (event: DpEvent, delta = 1e-5): number =>
    answerOf(accountant.epsilon(event, { delta, neighbours }));
  const least = slack[accountant.name];
  /** `small` is at most `large`, up to what the accountant's error may blur. */
  const expectAtMost = (small: number, large: number): void => {
    expect(small).toBeLessThanOrEqual(large * (1 + least) + 1e-9);
  };
  const check = <T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => void): void => {
    fc.assert(fc.property(arbitrary, property), { numRuns: runs[accountant.name], endOnFailure: true });
  };

  it('epsilon falls as the noise multiplier grows', () => {
    check(fc.tuple(setting, factor), ([options, by]) => {
      const noisier = { ...options, noiseMultiplier: options.noiseMultiplier * by };
      expectAtMost(upper(poissonGroupEvent(noisier)), upper(poissonGroupEvent(options)));
    });
  });

  it('epsilon rises with the steps', () => {
    check(fc.tuple(setting, fc.integer({ min: 2, max: 5 })), ([options, by]) => {
      const longer = { ...options, steps: options.steps * by };
      expectAtMost(upper(poissonGroupEvent(options)), upper(poissonGroupEvent(longer)));
    });
  });

  it('epsilon rises with the sampling probability', () => {
    check(fc.tuple(setting, factor), ([options, by]) => {
      // The central limit of sampling is another one than that of no sampling.
      const most = accountant.name === 'gdp' ? 0.9 : 1;
      const less = { ...options, samplingProbability: Math.min(0.9, options.samplingProbability) };
      const more = { ...less, samplingProbability: Math.min(most, less.samplingProbability * by) };
      expectAtMost(upper(poissonGroupEvent(less)), upper(poissonGroupEvent(more)));
    });
  });

  it('epsilon rises with the group', () => {
    check(setting, options => {
      const larger = { ...options, groupSize: options.groupSize + 1 };
      expectAtMost(upper(poissonGroupEvent(options)), upper(poissonGroupEvent(larger)));
    });
  });

  it('epsilon rises as delta falls', () => {
    check(setting, options => {
      const event = poissonGroupEvent(options);
      expectAtMost(upper(event, 1e-4), upper(event, 1e-8));
    });
  });

  it('the order of composition changes nothing', () => {
    check(fc.tuple(setting, setting), ([first, second]) => {
      const [a, b] = [poissonGroupEvent(first), poissonGroupEvent(second)];
      const answer = accountant.epsilon(sequence([a, b]), { delta: 1e-5, neighbours });
      expect(accountant.epsilon(sequence([b, a]), { delta: 1e-5, neighbours })).toEqual(answer);
    });
  });

  it('the lower bound is at most the upper, and neither is negative', () => {
    check(setting, options => {
      const bound = accountant.epsilon(poissonGroupEvent(options), { delta: 1e-5, neighbours });
      expect(bound.lower ?? 0).toBeGreaterThanOrEqual(0);
      expect(bound.upper).toBeGreaterThanOrEqual(bound.lower ?? 0);
      expect(bound.detail).not.toBe('');
    });
  });

  it('delta at the upper bound of epsilon is about delta', () => {
    check(setting, options => {
      const event = poissonGroupEvent(options);
      const delta = answerOf(accountant.delta(event, { epsilon: upper(event), neighbours }));
      expect(delta).toBeLessThanOrEqual(1.02e-5);
    });
  });

  it('a group of one record is the record', () => {
    const options = { noiseMultiplier: 2, samplingProbability: 0.03, steps: 40 };
    expect(upper(poissonGroupEvent({ ...options, groupSize: 1 }))).toBe(upper(poissonEvent(options)));
  });

  it('sampling with probability 1 is no sampling', () => {
    const event = poissonEvent({ noiseMultiplier: 3, samplingProbability: 1, steps: 9 });
    expect(upper(event)).toBe(upper(repeat(gaussianEvent(3), 9)));
  });

  it('k steps of noise s are one step of noise s / sqrt(k)', () => {
    const [many, one] = [upper(repeat(gaussianEvent(10), 100)), upper(gaussianEvent(1))];
    expect(Math.abs(many / one - 1)).toBeLessThan(least);
  });
});

/** A mechanism with more noise as `noise` grows, and what may be composed of it. */
interface Family {
  readonly name: string;
  readonly neighbours: Neighbours;
  readonly least: number;
  readonly event: (noise: number) => BasicEvent;
}

const families: readonly Family[] = [
  {
    name: 'discrete-gaussian',
    neighbours,
    least: 1,
    event: scale => ({ kind: 'discrete-gaussian', scale, sensitivity: 2 }),
  },
  {
    name: 'randomised-response',
    neighbours: 'replace',
    least: 1,
    // The odds of a random answer are the noise.
    event: noise => ({ kind: 'randomised-response', randomProbability: noise / (10 + noise), buckets: 4 }),
  },
  {
    name: 'guarantee',
    neighbours,
    least: 1,
    event: noise => ({ kind: 'guarantee', epsilon: 1 / noise, delta: 0 }),
  },
  {
    name: 'fixed-size-gaussian',
    neighbours,
    least: 2,
    event: noiseMultiplier => ({
      kind: 'fixed-size-gaussian',
      noiseMultiplier,
      datasetSize: 400,
      batchSize: 40,
      groupSize: 2,
    }),
  },
  {
    name: 'truncated-poisson-gaussian',
    neighbours,
    least: 2,
    event: noiseMultiplier => ({
      kind: 'truncated-poisson-gaussian',
      noiseMultiplier,
      samplingProbability: 0.1,
      datasetSize: 400,
      maximumBatchSize: 70,
    }),
  },
  {
    name: 'balls-in-bins-gaussian',
    neighbours: 'zero-out',
    least: 2,
    event: noiseMultiplier => ({ kind: 'balls-in-bins-gaussian', noiseMultiplier, stepsPerEpoch: 5 }),
  },
  {
    name: 'repeat-and-select',
    neighbours,
    least: 2,
    event: noiseMultiplier => ({
      kind: 'repeat-and-select',
      event: gaussianEvent(noiseMultiplier),
      meanRuns: 5,
      shape: 0.5,
    }),
  },
];

const pairs = accountants.flatMap(accountant =>
  families
    .filter(({ event, neighbours: under }) => accountant.unsupported(event(2), under) === undefined)
    .map(family => ({ name: family.name, by: accountant.name, accountant, family })),
);

describe.each(pairs)('$by accountant on $name', ({ accountant, family }) => {
  const upper = (noise: number, count: number, delta = 1e-5): number =>
    answerOf(
      accountant.epsilon(repeat(family.event(noise), count), { delta, neighbours: family.neighbours }),
    );
  // What a single step is integrated to and what two are composed to differ in width.
  const most = (value: number): number => value * (1 + 5e-3) + 1e-9;

  it('epsilon falls with the noise and delta, and rises with the steps', () => {
    fc.assert(
      fc.property(
        fc.double({ min: family.least, max: 10 * family.least, noNaN: true }),
        fc.integer({ min: 2, max: 12 }),
        (noise, count) => {
          const epsilon = upper(noise, count);
          expect(upper(noise * 1.5, count)).toBeLessThanOrEqual(most(epsilon));
          expect(upper(noise, count - 1)).toBeLessThanOrEqual(most(epsilon));
          expect(epsilon).toBeLessThanOrEqual(most(upper(noise, 2 * count)));
          expect(epsilon).toBeLessThanOrEqual(most(upper(noise, count, 1e-8)));
        },
      ),
      { numRuns: 2, endOnFailure: true },
    );
  });
});

describe('accountants together', () => {
  const named = (name: Accountant['name']): Accountant | undefined =>
    accountants.find(each => each.name === name);

  it('PLD is never above RDP', () => {
    const [rdp, pld] = [named('rdp')!, named('pld')!];
    fc.assert(
      fc.property(setting, options => {
        const event = poissonGroupEvent(options);
        const question = { delta: 1e-6, neighbours } as const;
        const most = rdp.epsilon(event, question).upper;
        expect(pld.epsilon(event, question).upper).toBeLessThanOrEqual(most * (1 + 1e-3) + 1e-6);
      }),
      { numRuns: 10 },
    );
  });
});
