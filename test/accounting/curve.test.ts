import { describe, expect, it } from 'vitest';
import { privacyCurve } from '../../accounting/curve.ts';
import { deltaOf } from '../../accounting/epsilon.ts';
import { gaussianEvent, poissonEvent } from '../../accounting/event.ts';

const neighbours = 'add-or-remove';
const run = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 1000 });
const laplace = { kind: 'laplace', noiseMultiplier: 2 } as const;

describe('privacyCurve()', () => {
  const epsilons = [0, 0.2, 0.5, 1, 1.5, 2, 3, 5];

  it('delta falls as epsilon grows, from both sides', () => {
    const points = privacyCurve(run, { epsilons, neighbours });
    expect(points.map(({ epsilon }) => epsilon)).toEqual(epsilons);
    for (let index = 1; index < points.length; index += 1) {
      expect(points[index]!.delta.upper).toBeLessThan(points[index - 1]!.delta.lower);
      expect(points[index]!.delta.lower).toBeGreaterThan(0);
    }
  });

  it('each point is the answer to its own question', () => {
    for (const { epsilon, delta } of privacyCurve(run, { epsilons, neighbours })) {
      const alone = deltaOf(run, { epsilon, neighbours, relativeGap: 1e-4 }).delta;
      expect(delta.lower).toBeLessThanOrEqual(alone.upper);
      expect(delta.upper).toBeGreaterThanOrEqual(alone.lower);
      expect(delta.upper - delta.lower).toBeLessThanOrEqual(4e-3 * delta.upper);
    }
  });

  it('points come in the order asked, equal ones too', () => {
    const points = privacyCurve(laplace, { epsilons: [0.4, 0, 0.4], neighbours });
    expect(points.map(({ epsilon }) => epsilon)).toEqual([0.4, 0, 0.4]);
    expect(points[0]).toEqual(points[2]);
    // Closed form: 1 - exp((ε - 1/2) / 2).
    const truth = -Math.expm1(-0.05);
    expect(points[0]!.delta.lower).toBeLessThanOrEqual(truth);
    expect(points[0]!.delta.upper).toBeGreaterThanOrEqual(truth);
    expect(privacyCurve(laplace, { epsilons: [0.6], neighbours })[0]!.delta.upper).toBeLessThanOrEqual(
      1e-300,
    );
  });

  it('from delta to epsilon and back keeps the delta', () => {
    const deltas = [1e-3, 1e-6, 1e-12];
    const points = privacyCurve(run, { deltas, neighbours });
    expect(points.map(({ delta }) => delta.upper)).toEqual(deltas);
    expect(points[1]!.epsilon).toBeGreaterThanOrEqual(2.124515171);
    for (const { epsilon, delta } of points) {
      const back = privacyCurve(run, { epsilons: [epsilon], neighbours, relativeGap: 1e-4 })[0]!.delta;
      expect(back.lower).toBeLessThanOrEqual(delta.upper);
      expect(back.upper).toBeGreaterThanOrEqual(delta.upper * 0.99);
    }
  });

  it.each([-1, Number.NaN, Infinity])('refuses the epsilon %d with the value', epsilon => {
    expect(() => privacyCurve(gaussianEvent(1), { epsilons: [1, epsilon], neighbours })).toThrow(
      `epsilon is ${epsilon}.`,
    );
  });

  it.each([0, 1, Number.NaN])('refuses the delta %d with the value', delta => {
    expect(() => privacyCurve(gaussianEvent(1), { deltas: [0.1, delta], neighbours })).toThrow(
      `delta is ${delta}.`,
    );
  });
});
