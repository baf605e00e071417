import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyUpdate,
  defaultOptimizer,
  openOptimizer,
  type OptimizerSettings,
} from '../../trainer/optimizer.ts';

type AdamW = Extract<OptimizerSettings, { kind: 'adamw' }>;
const adamw: AdamW = { kind: 'adamw', beta1: 0.9, beta2: 0.99, stability: 1e-8, weightDecay: 0 };

/** AdamW of one parameter, straight from Algorithm 2 of arXiv 1711.05101. */
function referenceAdamW(start: number, slopes: readonly number[], options: AdamW & { rate: number }): number {
  let theta = start;
  let m = 0;
  let v = 0;
  for (const [index, g] of slopes.entries()) {
    m = options.beta1 * m + (1 - options.beta1) * g;
    v = options.beta2 * v + (1 - options.beta2) * g ** 2;
    const mHat = m / (1 - options.beta1 ** (index + 1));
    const vHat = v / (1 - options.beta2 ** (index + 1));
    theta -= options.rate * (mHat / (Math.sqrt(vHat) + options.stability) + options.weightDecay * theta);
  }
  return theta;
}

function run(
  start: number,
  slopes: readonly number[],
  options: { settings: OptimizerSettings; rate: number },
): number {
  const parameters = Float32Array.of(start);
  const state = openOptimizer(1, options.settings);
  for (const slope of slopes) {
    const gradient = Float64Array.of(slope);
    applyUpdate(parameters, { gradient, learningRate: options.rate, settings: options.settings, state });
  }
  return parameters[0]!;
}

describe('applyUpdate()', () => {
  it('AdamW agrees with the paper, parameter by parameter', () => {
    const slope = fc.double({ min: -10, max: 10, noNaN: true }).filter(value => Math.abs(value) > 1e-6);
    fc.assert(
      fc.property(
        fc.double({ min: -2, max: 2, noNaN: true }),
        fc.array(slope, { minLength: 1, maxLength: 30 }),
        fc.double({ min: 0, max: 0.5, noNaN: true }),
        (start, slopes, weightDecay) => {
          const settings: AdamW = { ...adamw, weightDecay };
          const expected = referenceAdamW(start, slopes, { ...settings, rate: 0.01 });
          expect(Math.abs(run(start, slopes, { settings, rate: 0.01 }) - expected)).toBeLessThan(1e-5);
        },
      ),
    );
  });

  it('AdamW first moves by the learning rate, whatever the size of the gradient', () => {
    for (const slope of [1e-3, 1, 1e3]) {
      expect(Math.abs(run(0, [slope], { settings: defaultOptimizer, rate: 0.5 }) + 0.5)).toBeLessThan(1e-4);
    }
  });

  it('AdamW decays weights apart from the gradient', () => {
    const settings: AdamW = { ...adamw, weightDecay: 0.5 };
    expect(run(4, [0], { settings, rate: 0.1 })).toBe(Math.fround(4 * (1 - 0.1 * 0.5)));
  });

  it('SGD with momentum follows the recurrence', () => {
    const settings: OptimizerSettings = { kind: 'sgd', momentum: 0.5, weightDecay: 0 };
    // velocities 2, 1 + 1, -1 + 1; rate 0.25
    expect(run(1, [2, 1, -1], { settings, rate: 0.25 })).toBe(1 - 0.25 * (2 + 2 + 0));
  });

  it('keeps a count of updates and gives zero gradients no direction', () => {
    const state = openOptimizer(2, defaultOptimizer);
    const parameters = Float32Array.of(1, -1);
    applyUpdate(parameters, {
      gradient: new Float64Array(2),
      learningRate: 1,
      settings: defaultOptimizer,
      state,
    });
    expect([...parameters]).toEqual([1, -1]);
    expect(state.updates).toBe(1);
  });
});
