import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rdpAccountant } from '../../../accounting/rdp/rdp.ts';
import { renyiCurve } from '../../../accounting/rdp/renyi.ts';
import { repeatAndSelectCurve, runsParameter } from '../../../accounting/rdp/repeat-select.ts';
import { gaussianEvent, repeat, sequence } from '../../../accounting/event.ts';

/** Probabilities of 1, 2, .. runs under the truncated negative binomial law. */
function runs(shape: number, gamma: number): number[] {
  const laws: number[] = [];
  const normal = Math.abs(shape) < 1e-9 ? Math.log(1 / gamma) : Math.expm1(-shape * Math.log(gamma)) / shape;
  let term = (1 - gamma) / normal;
  for (let k = 1; k < 20_000; k += 1) {
    laws.push(term);
    term *= (1 - gamma) * ((k + shape) / (k + 1));
  }
  return laws;
}

/** Of coins that show heads with probability `heads`, tossed a random number of times: Pr[some toss shows tails]. */
function anyTails(laws: readonly number[], heads: number): number {
  return laws.reduce((sum, law, j) => sum - law * Math.expm1((j + 1) * Math.log(heads)), 0);
}

function coinDivergence(p: number, q: number, order: number): number {
  const moment = p ** order * q ** (1 - order) + (1 - p) ** order * (1 - q) ** (1 - order);
  return Math.log(moment) / (order - 1);
}

describe('runsParameter()', () => {
  it('gives the law its mean, for any shape', () => {
    const mean = fc.double({ min: 1.01, max: 60, noNaN: true });
    fc.assert(
      fc.property(mean, fc.double({ min: -0.8, max: 6, noNaN: true }), (meanRuns, shape) => {
        const gamma = Math.exp(-runsParameter({ meanRuns, shape }));
        fc.pre(gamma > 0.002);
        const laws = runs(shape, gamma);
        expect(Math.abs(laws.reduce((a, b) => a + b) - 1)).toBeLessThan(1e-6);
        const ours = laws.reduce((sum, law, j) => sum + law * (j + 1), 0);
        expect(Math.abs(ours / meanRuns - 1)).toBeLessThan(1e-5);
      }),
    );
  });

  it('is in closed form for the geometric law, and never below', () => {
    for (const meanRuns of [1 + 1e-9, 1.5, 10, 1e12]) {
      const ours = runsParameter({ meanRuns, shape: 1 });
      expect(ours).toBeGreaterThanOrEqual(Math.log(meanRuns));
      expect(ours).toBeLessThanOrEqual(Math.log(meanRuns) * (1 + 1e-12) + 1e-13);
    }
  });

  it('is finite at the edges', () => {
    for (const shape of [-0.999, -1e-12, 0, 1e-12, 1e6])
      for (const meanRuns of [1 + 1e-15, 2, 1e9]) {
        const ours = runsParameter({ meanRuns, shape });
        expect(ours).toBeGreaterThan(0);
        expect(ours).toBeLessThan(1e6);
      }
  });
});

describe('repeatAndSelectCurve()', () => {
  const epsilon = 0.3;
  const guarantee = { kind: 'guarantee', epsilon, delta: 0 } as const;
  const base = renyiCurve(guarantee, 'replace');
  const heads = 1 / (1 + Math.exp(-epsilon));

  it.each([
    [1, 5],
    [0, 8],
    [-0.5, 3],
    [3, 20],
  ])('bounds the best of repeated coins: shape %d, mean %d', (shape, meanRuns) => {
    const laws = runs(shape, Math.exp(-runsParameter({ meanRuns, shape })));
    const [p, q] = [anyTails(laws, heads), anyTails(laws, 1 - heads)];
    const curve = repeatAndSelectCurve(base, { meanRuns, shape });
    for (const order of [1.5, 3, 10, 50])
      for (const exact of [coinDivergence(p, q, order), coinDivergence(q, p, order)])
        expect(curve(order)).toBeGreaterThanOrEqual(exact);
  });

  it.each([1, 4, 20])('bounds the best of Poisson(%d) coins', meanRuns => {
    const none = (tails: number): number => Math.exp(-meanRuns * tails);
    const [p, q] = [none(heads), none(1 - heads)];
    const curve = repeatAndSelectCurve(base, { meanRuns, shape: 'poisson' });
    for (const order of [1.5, 3, 10, 50])
      for (const exact of [coinDivergence(p, q, order), coinDivergence(q, p, order)])
        expect(curve(order)).toBeGreaterThanOrEqual(exact);
  });

  it('of one run is that run, and rises with the mean', () => {
    const event = (meanRuns: number, shape: number | 'poisson') =>
      ({ kind: 'repeat-and-select', event: gaussianEvent(3), meanRuns, shape }) as const;
    const ask = { delta: 1e-6, neighbours: 'add-or-remove' } as const;
    const one = rdpAccountant.epsilon(gaussianEvent(3), ask).upper;
    expect(rdpAccountant.epsilon(event(1, 1), ask).upper).toBe(one);
    for (const shape of [0, 1, 2.5, 'poisson'] as const) {
      const [few, many] = [2, 30].map(mean => rdpAccountant.epsilon(event(mean, shape), ask).upper);
      expect(few).toBeGreaterThan(one);
      expect(many).toBeGreaterThan(few!);
    }
  });

  it('is the published formula where the curve is a line and the law geometric', () => {
    const slope = 1 / 200;
    const logMean = Math.log(10);
    // (1 - 1/b)·slope·b + log(10)/b is least at b² = log(10)/slope.
    const least = 2 * Math.sqrt(slope * logMean) - slope;
    const ours = repeatAndSelectCurve(order => slope * order, { meanRuns: 10, shape: 1 })(30);
    expect(Math.abs(ours / (30 * slope + logMean / 29 + 2 * least) - 1)).toBeLessThan(1e-9);
  });

  it('sets the delta of guarantees inside aside, once for every run', () => {
    const ask = { delta: 1e-6, neighbours: 'replace' } as const;
    const best = (delta: number) =>
      ({
        kind: 'repeat-and-select',
        event: sequence([repeat({ ...guarantee, delta }, 2), gaussianEvent(9)]),
        meanRuns: 4,
        shape: 1,
      }) as const;
    const rest = rdpAccountant.epsilon(best(0), { ...ask, delta: 1e-6 - 8e-8 }).upper;
    const ours = rdpAccountant.epsilon(best(1e-8), ask).upper;
    expect(ours).toBeGreaterThanOrEqual(rest * (1 - 1e-12));
    expect(ours).toBeLessThanOrEqual(rest * (1 + 1e-9));
    expect(rdpAccountant.epsilon(best(1.3e-7), ask).upper).toBe(Infinity);
  });
});
