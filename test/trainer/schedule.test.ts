import { describe, expect, it } from 'vitest';
import { checkSchedule, learningRateAt, type Schedule } from '../../trainer/schedule.ts';

const base: Schedule = { learningRate: 2, steps: 100, warmupSteps: 10, decay: 'cosine' };
const rates = (schedule: Schedule): number[] =>
  Array.from({ length: schedule.steps }, (_, step) => learningRateAt(step, schedule));

describe('learningRateAt()', () => {
  it('climbs in equal strides to the highest rate', () => {
    expect(rates(base).slice(0, 10)).toEqual([0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8, 2]);
  });

  it('then falls, never rises, and ends near a tenth', () => {
    const after = rates(base).slice(10);
    expect(after.every((rate, index) => index === 0 || rate < after[index - 1]!)).toBe(true);
    expect(after[45]).toBeCloseTo(1.1, 12);
    expect(learningRateAt(100, base)).toBeCloseTo(0.2, 12);
    expect(learningRateAt(1000, base)).toBeCloseTo(0.2, 12);
  });

  it('stays where it is without decay, and starts there without warm-up', () => {
    expect(
      rates({ ...base, decay: 'constant' })
        .slice(9)
        .every(rate => rate === 2),
    ).toBe(true);
    expect(learningRateAt(0, { ...base, warmupSteps: 0 })).toBe(2);
  });

  it('is above zero even where the warm-up is longer than the run', () => {
    expect(rates({ ...base, steps: 3 }).every(rate => rate > 0)).toBe(true);
  });
});

describe('checkSchedule()', () => {
  it.each([{ learningRate: 0 }, { learningRate: NaN }, { steps: 0 }, { warmupSteps: -1 }])(
    'refuses %o',
    wrong => {
      expect(() => checkSchedule({ ...base, ...wrong })).toThrow(/^Cannot train: /);
    },
  );
});
