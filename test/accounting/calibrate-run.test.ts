import { describe, expect, it } from 'vitest';
import {
  calibrateBatchSize,
  calibrateSamplingProbability,
  calibrateSteps,
  type RunOptions,
} from '../../accounting/calibrate-run.ts';
import { DpError } from '../../accounting/check.ts';
import { mixtureBound } from '../../accounting/group.ts';

const base: RunOptions = { epsilon: 2, delta: 1e-6, noiseMultiplier: 1, neighbours: 'add-or-remove' };

function upperOf(
  options: RunOptions,
  run: { readonly samplingProbability: number; readonly steps: number },
): number {
  const { groupSize = 1 } = options;
  return mixtureBound({ ...options, ...run, groupSize, accountant: 'exact' }).bound.upper;
}

const settings: readonly (readonly [string, RunOptions])[] = [
  ['a common run', base],
  ['a small epsilon', { ...base, epsilon: 0.1, noiseMultiplier: 4 }],
  ['a small delta', { ...base, delta: 1e-15, epsilon: 5 }],
  ['users of three records', { ...base, groupSize: 3, noiseMultiplier: 3 }],
  ['replace', { ...base, neighbours: 'replace', noiseMultiplier: 2 }],
];

describe('calibrateSteps()', () => {
  it.each(settings)('%s: keeps the target, and one more step exceeds it', (_, options) => {
    const { value, epsilon } = calibrateSteps({ ...options, samplingProbability: 0.01 });
    expect(Number.isSafeInteger(value)).toBe(true);
    expect(epsilon.upper).toBeLessThanOrEqual(options.epsilon);
    expect(epsilon.upper).toBe(upperOf(options, { samplingProbability: 0.01, steps: value }));
    expect(upperOf(options, { samplingProbability: 0.01, steps: value + 1 })).toBeGreaterThan(
      options.epsilon,
    );
  });

  it('finds the closed form of plain Gaussians', () => {
    // epsilon 4.886554117462212 at 1e-6 is that of ratio 1: 100 steps of noise 10.
    const options = { ...base, epsilon: 4.8866, noiseMultiplier: 10, samplingProbability: 1 };
    expect(calibrateSteps(options).value).toBe(100);
    expect(calibrateSteps({ ...options, epsilon: 4.8865 }).value).toBe(99);
  });
});

describe('calibrateSamplingProbability()', () => {
  // A search at tiny probabilities and a small delta takes long lines.
  const quick = settings.filter(([, { delta }]) => delta > 1e-10);
  it.each(quick)('%s: keeps the target, and a thousandth more exceeds it', (_, options) => {
    const { value, epsilon } = calibrateSamplingProbability({ ...options, steps: 300 });
    expect(epsilon.upper).toBeLessThanOrEqual(options.epsilon);
    expect(epsilon.upper).toBe(upperOf(options, { samplingProbability: value, steps: 300 }));
    expect(upperOf(options, { samplingProbability: value * 1.001, steps: 300 })).toBeGreaterThan(
      options.epsilon,
    );
  });

  it('is 1 where everybody may take part in every step', () => {
    const { value } = calibrateSamplingProbability({ ...base, noiseMultiplier: 100, steps: 10 });
    expect(value).toBe(1);
  });
});

describe('calibrateBatchSize()', () => {
  it('keeps the target, and one unit more exceeds it', () => {
    const { value, epsilon } = calibrateBatchSize({ ...base, steps: 500, datasetSize: 3000 });
    expect(epsilon.upper).toBeLessThanOrEqual(2);
    expect(epsilon.upper).toBe(upperOf(base, { samplingProbability: value / 3000, steps: 500 }));
    expect(upperOf(base, { samplingProbability: (value + 1) / 3000, steps: 500 })).toBeGreaterThan(2);
  });

  it('is the whole table where that keeps the target', () => {
    const options = { ...base, noiseMultiplier: 100, steps: 10, datasetSize: 77 };
    expect(calibrateBatchSize(options).value).toBe(77);
  });
});

describe('targets out of reach', () => {
  const hopeless = { ...base, epsilon: 1e-3, noiseMultiplier: 0.1 };
  it.each([
    ['one step', () => calibrateSteps({ ...hopeless, samplingProbability: 0.5 })],
    [
      'a sampling probability of 1e-12',
      () => calibrateSamplingProbability({ ...hopeless, delta: 1e-20, steps: 1000 }),
    ],
    ['an expected batch of one', () => calibrateBatchSize({ ...hopeless, steps: 100, datasetSize: 10 })],
  ])('%s: BUDGET_UNREACHABLE with what it gives', (what, calibrate) => {
    let thrown: unknown;
    try {
      calibrate();
    } catch (error) {
      thrown = error;
    }
    if (!(thrown instanceof DpError)) throw new Error('no DpError was thrown');
    expect(thrown.code).toBe('BUDGET_UNREACHABLE');
    expect(thrown.message).toMatch(/^Cannot reach epsilon 0\.001 at delta .* with noiseMultiplier 0\.1: /);
    expect(thrown.message).toContain(`${what} gives `);
    expect(Number(/ gives ([^ ]+)\. Raise /.exec(thrown.message)![1])).toBeGreaterThan(1e-3);
  });
});

describe('bad options', () => {
  it.each([
    [{ epsilon: 0 }, 'epsilon is 0.'],
    [{ epsilon: Infinity }, 'epsilon is Infinity.'],
    [{ delta: 1 }, 'delta is 1.'],
    [{ noiseMultiplier: -1 }, 'noiseMultiplier is -1.'],
    [{ groupSize: 1.5 }, 'groupSize is 1.5.'],
  ])('%j is refused with the value', (change, message) => {
    expect(() => calibrateSteps({ ...base, ...change, samplingProbability: 0.1 })).toThrow(message);
    expect(() => calibrateSamplingProbability({ ...base, ...change, steps: 3 })).toThrow(message);
    expect(() => calibrateBatchSize({ ...base, ...change, steps: 3, datasetSize: 9 })).toThrow(message);
  });

  it('the other number of the run is checked too', () => {
    expect(() => calibrateSteps({ ...base, samplingProbability: 1.2 })).toThrow(
      'samplingProbability is 1.2.',
    );
    expect(() => calibrateSamplingProbability({ ...base, steps: 1.5 })).toThrow('steps is 1.5.');
    expect(() => calibrateBatchSize({ ...base, steps: 3, datasetSize: 0 })).toThrow('datasetSize is 0.');
  });
});
