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
  type DpEvent,
} from '../../accounting/event.ts';
import { eventOf, neighboursOf, referenceVectors } from './vectors.ts';

const neighbours = 'add-or-remove';
// What a bound may move the wrong way because its error is not the same at neighbouring settings.
const slack = { rdp: 1e-6, pld: 2e-3, exact: 2e-4, gdp: 1e-9 } as const;
const runs = { rdp: 40, pld: 4, exact: 6, gdp: 40 } as const;

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

  it('sampling with probability 1 is no sampling', () => {
    const event = poissonEvent({ noiseMultiplier: 3, samplingProbability: 1, steps: 9 });
    expect(upper(event)).toBe(upper(repeat(gaussianEvent(3), 9)));
  });

  it('k steps of noise s are one step of noise s / sqrt(k)', () => {
    const [many, one] = [upper(repeat(gaussianEvent(10), 100)), upper(gaussianEvent(1))];
    expect(Math.abs(many / one - 1)).toBeLessThan(least);
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

  const known = referenceVectors().filter(
    ({ truth, query }) => truth !== undefined && query.delta !== undefined && query.solve === undefined,
  );
  it.each(known)('the reference value of $id lies within every bound', vector => {
    const question = { delta: vector.query.delta!, neighbours: neighboursOf(vector) };
    for (const accountant of accountants) {
      const event = eventOf(vector);
      if (accountant.unsupported(event, question.neighbours) !== undefined) continue;
      const { lower = 0, upper } = accountant.epsilon(event, question);
      expect(lower).toBeLessThanOrEqual(vector.truth!.value);
      expect(upper).toBeGreaterThanOrEqual(vector.truth!.value);
    }
  });
});
