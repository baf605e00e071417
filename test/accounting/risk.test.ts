import { describe, expect, it } from 'vitest';
import { exactDeltas } from '../../accounting/contour/contour.ts';
import { gaussianEvent, poissonEvent, type DpEvent } from '../../accounting/event.ts';
import { erfc } from '../../accounting/numerics/special.ts';
import { attackRisk } from '../../accounting/risk.ts';
import { eventOf, everyVector } from './vectors.ts';

const neighbours = 'add-or-remove';
const rates = [1e-4, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.9];

function normal(x: number): number {
  return erfc(-x / Math.SQRT2) / 2;
}

function normalQuantile(probability: number): number {
  let [low, high] = [-40, 40];
  for (let round = 0; round < 100; round += 1) {
    const middle = (low + high) / 2;
    if (normal(middle) < probability) low = middle;
    else high = middle;
  }
  return low;
}

function tprsOf(event: DpEvent, falsePositiveRates: readonly number[]): number[] {
  const { truePositiveRates } = attackRisk(event, { falsePositiveRates, neighbours });
  expect(truePositiveRates.map(({ falsePositiveRate }) => falsePositiveRate)).toEqual(falsePositiveRates);
  return truePositiveRates.map(({ upper }) => upper);
}

describe('attackRisk() of the Gaussian', () => {
  it.each([0.3, 1, 3, 20])('sigma %d: rates are at least the closed form, and at most 1e-3 above', noise => {
    tprsOf(gaussianEvent(noise), rates).forEach((upper, index) => {
      const truth = normal(normalQuantile(rates[index]!) + 1 / noise);
      expect(upper).toBeGreaterThanOrEqual(truth * (1 - 1e-12));
      expect(upper).toBeLessThanOrEqual(Math.min(1, truth + 1e-3));
    });
  });

  it.each([0.3, 1, 3, 20])('sigma %d: the advantage encloses 2 Phi(mu / 2) - 1', noise => {
    const { advantage } = attackRisk(gaussianEvent(noise), { falsePositiveRates: [], neighbours });
    const truth = 1 - erfc(1 / (2 * noise * Math.SQRT2));
    expect(advantage.lower).toBeLessThanOrEqual(truth * (1 + 1e-15));
    expect(advantage.upper).toBeGreaterThanOrEqual(truth * (1 - 1e-15));
    expect(advantage.upper - advantage.lower).toBeLessThanOrEqual(1e-9 * truth);
  });

  it.each([0.5, 0.1, 0.9, 1e-3])('prior %d: the Bayes error encloses that of the best threshold', prior => {
    const { bayesError, prior: told } = attackRisk(gaussianEvent(1), {
      falsePositiveRates: [],
      neighbours,
      prior,
    });
    // Accuse above t: the error is prior·Phi(t - 1) + (1 - prior)·Phi(-t), least where the likelihood ratio is the odds.
    const threshold = 1 / 2 + Math.log((1 - prior) / prior);
    const truth = prior * normal(threshold - 1) + (1 - prior) * normal(-threshold);
    expect(told).toBe(prior);
    expect(bayesError.lower).toBeLessThanOrEqual(truth * (1 + 1e-12));
    expect(bayesError.upper).toBeGreaterThanOrEqual(truth * (1 - 1e-12));
    expect(bayesError.upper - bayesError.lower).toBeLessThanOrEqual(1e-9);
  });
});

describe('attackRisk()', () => {
  const run = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 1000 });

  it('rates rise with the false positive rate and are at least it', () => {
    const asked = [1e-3, 0.1, 0.5];
    const uppers = tprsOf(run, asked);
    uppers.forEach((upper, index) => {
      expect(upper).toBeGreaterThanOrEqual(Math.max(asked[index]!, uppers[index - 1] ?? 0));
      expect(upper).toBeLessThanOrEqual(1);
    });
  });

  it('more noise or fewer steps never help the attacker', () => {
    const noisier = poissonEvent({ noiseMultiplier: 1.5, samplingProbability: 0.01, steps: 1000 });
    const shorter = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 500 });
    const question = { falsePositiveRates: [0.1], neighbours } as const;
    const most = attackRisk(run, question);
    for (const event of [noisier, shorter]) {
      const less = attackRisk(event, question);
      expect(less.advantage.upper).toBeLessThan(most.advantage.lower);
      expect(less.bayesError.lower).toBeGreaterThan(most.bayesError.upper);
      less.truePositiveRates.forEach(({ upper }, index) =>
        expect(upper).toBeLessThanOrEqual(most.truePositiveRates[index]!.upper),
      );
    }
  });

  it('randomised response is answered at its corner', () => {
    const event = { kind: 'guarantee', epsilon: 1, delta: 0 } as const;
    const truth = Math.E / (1 + Math.E);
    const { advantage, truePositiveRates } = attackRisk(event, {
      falsePositiveRates: [1 - truth, 0.1],
      neighbours,
    });
    expect(Math.abs(advantage.upper - Math.tanh(0.5))).toBeLessThanOrEqual(1e-12);
    expect(truePositiveRates[0]!.upper).toBeGreaterThanOrEqual(truth * (1 - 1e-14));
    expect(truePositiveRates[0]!.upper).toBeLessThanOrEqual(truth * (1 + 1e-9));
    expect(truePositiveRates[1]!.upper).toBeGreaterThanOrEqual(0.1 * Math.E * (1 - 1e-14));
    expect(truePositiveRates[1]!.upper).toBeLessThanOrEqual(0.1 * Math.E * (1 + 1e-3));
  });

  it.each([
    [{ falsePositiveRates: [0] }, 'a false positive rate is 0.'],
    [{ falsePositiveRates: [Number.NaN] }, 'a false positive rate is NaN.'],
    [{ falsePositiveRates: [1.5] }, 'a false positive rate is 1.5.'],
    [{ falsePositiveRates: [0.1], prior: 0 }, 'prior is 0.'],
  ])('refuses %j with the value', (options, message) => {
    expect(() => attackRisk(run, { ...options, neighbours })).toThrow(message);
  });
});

describe('attackRisk() on the reference cases', () => {
  const cases = everyVector().filter(({ query }) => query.ask === 'beta');

  it.each(cases)('$id: is the envelope of dense lines', vector => {
    const event = eventOf(vector);
    const alpha = vector.query.alpha!;
    const [upper] = tprsOf(event, [alpha]);
    const epsilons = Array.from({ length: 81 }, (_, index) => index / 10);
    const deltas = exactDeltas(event, { epsilons, neighbours });
    // The envelope of these lines is within 1e-3 of the trade-off curve.
    const dense = deltas.flatMap(({ lower }, index) => [
      Math.exp(epsilons[index]!) * alpha + lower,
      1 - Math.exp(-epsilons[index]!) * (1 - lower - alpha),
    ]);
    const truth = Math.min(1, ...dense);
    expect(upper!).toBeGreaterThanOrEqual(truth - 1e-3);
    expect(upper!).toBeLessThanOrEqual(truth + 1e-3);
  });
});
