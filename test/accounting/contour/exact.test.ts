import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exactDeltas, exactEpsilon, type ExactBound } from '../../../accounting/contour/contour.ts';
import {
  poissonEvent,
  poissonGroupEvent,
  repeat,
  sequence,
  type DpEvent,
} from '../../../accounting/event.ts';
import { pldEpsilon } from '../../../accounting/pld/pld.ts';
import { rdpAccountant } from '../../../accounting/rdp/rdp.ts';
import { eventOf, everyVector, neighboursOf, type Vector } from '../vectors.ts';

const neighbours = 'add-or-remove';

function answer(vector: Vector, relativeGap?: number): ExactBound {
  const { query } = vector;
  const options = { neighbours: neighboursOf(vector), relativeGap };
  if (query.delta !== undefined) return exactEpsilon(eventOf(vector), { ...options, delta: query.delta });
  return exactDeltas(eventOf(vector), { ...options, epsilons: [query.epsilon!] })[0]!;
}

/** How well the reference value is known, and with it how close the answer must come. */
function closeness({ truth, mechanism }: Vector): number {
  // Participations are rare here: the terms are many, and 1e-9 is what either way promises.
  if (mechanism.some(({ q = 1, steps }) => q <= 1e-4 && steps > 1)) return 1e-9;
  return truth!.method!.includes('contour') ? 2e-10 : 1e-11;
}

describe('the exact accountant on the reference values', () => {
  const known = everyVector().filter(
    ({ truth, query }) => truth !== undefined && query.solve === undefined && query.order === undefined,
  );

  it.each(known)('$id: the value has ten digits, and the intervals enclose the truth', vector => {
    const truth = vector.truth!.value;
    // The reference is itself rounded, and a contour integral no more than that.
    const slack = truth * (vector.truth!.method!.includes('contour') ? 1e-9 : 1e-15);
    for (const relativeGap of [undefined, 1e-6]) {
      const { lower, upper, value } = answer(vector, relativeGap);
      // The one truth below every double is answered by less than 1e-305.
      expect(Math.abs(value! - truth)).toBeLessThanOrEqual(closeness(vector) * truth + 1e-305);
      expect(lower).toBeLessThanOrEqual(truth + slack);
      expect(upper).toBeGreaterThanOrEqual(truth - slack);
      expect(value!).toBeGreaterThanOrEqual(lower);
      expect(value!).toBeLessThanOrEqual(upper);
    }
  });
});

type Setting = readonly [noise: number, probability: number, steps: number, delta: number];

function run([noiseMultiplier, samplingProbability, steps]: Setting): DpEvent {
  return poissonEvent({ noiseMultiplier, samplingProbability, steps });
}

describe('the width of the exact interval', () => {
  const settings: Setting[] = [
    [0.3, 1e-3, 1, 1e-6],
    [0.3, 1e-6, 1e6, 1e-5],
    [0.3, 0.01, 1000, 1e-6],
    [0.3, 0.5, 100, 1e-9],
    [0.3, 1e-4, 1e4, 1e-20],
    [0.5, 1e-4, 1e6, 1e-12],
    [0.5, 1e-3, 1e4, 1e-3],
    [0.7, 0.02, 5000, 1e-20],
    [1, 1e-6, 1e6, 1e-4],
    [1, 1e-5, 1e6, 1e-6],
    [1, 1e-3, 1e5, 1e-15],
    [1, 0.01, 1e4, 1e-30],
    [1, 0.1, 100, 1e-6],
    [1, 0.9, 10, 1e-8],
    [2, 1e-4, 1e5, 1e-5],
    [2, 1e-3, 1e6, 1e-10],
    [2, 0.2, 50, 1e-3],
    [5, 0.01, 1e5, 1e-8],
    [5, 1, 1000, 1e-20],
    [10, 0.3, 1000, 1e-30],
    [10, 0.05, 2, 1e-6],
    [20, 1e-3, 1e6, 1e-12],
    [50, 0.5, 1e4, 1e-6],
    [50, 0.1, 20, 1e-4],
  ];

  it.each(settings)('sigma %d, q %d, %d steps, delta %d', (...setting) => {
    const event = run(setting);
    const delta = setting[3];
    const usual = exactEpsilon(event, { delta, neighbours });
    const narrow = exactEpsilon(event, { delta, neighbours, relativeGap: 1e-6 });
    expect((usual.upper - usual.lower) / usual.upper).toBeLessThanOrEqual(1e-4);
    expect((narrow.upper - narrow.lower) / narrow.upper).toBeLessThanOrEqual(1e-6);
    // One truth: the intervals meet, and the values are the same to nine digits.
    expect(narrow.lower).toBeLessThanOrEqual(usual.upper);
    expect(narrow.upper).toBeGreaterThanOrEqual(usual.lower);
    expect(Math.abs(narrow.value! / usual.value! - 1)).toBeLessThanOrEqual(1e-9);
  });

  const rare: Setting[] = [
    [1, 1e-5, 1e4, 1e-15],
    [2, 1e-3, 1000, 1e-30],
  ];

  it.each(rare)('is as narrow where participation is rare: %d, %d, %d, %d', (...setting) => {
    const event = run(setting);
    const delta = setting[3];
    const exact = exactEpsilon(event, { delta, neighbours });
    const pld = pldEpsilon(event, { delta, neighbours });
    expect(exact.upper - exact.lower).toBeLessThanOrEqual(1e-4 * exact.upper);
    expect(exact.lower).toBeLessThanOrEqual(pld.upper);
    expect(exact.upper).toBeGreaterThanOrEqual(pld.lower);
    expect(exact.lower).toBeLessThanOrEqual(rdpAccountant.epsilon(event, { delta, neighbours }).upper);
    expect(exact.detail).toContain('in closed form');
  });

  it('epsilon is 0 where everybody is seen with a probability of at most delta', () => {
    const { lower, upper, value } = exactEpsilon(run([50, 1e-4, 1e5, 1e-3]), { delta: 1e-3, neighbours });
    expect([lower, upper, value]).toEqual([0, 0, 0]);
  });
});

describe('the exact accountant beside the others', () => {
  // Enough steps that epsilon stays away from the sum of the highest losses.
  const logUniform = (min: number, max: number): fc.Arbitrary<number> =>
    fc.double({ min: Math.log(min), max: Math.log(max), noNaN: true }).map(Math.exp);
  const events: fc.Arbitrary<DpEvent> = fc.oneof(
    fc
      .record({
        noiseMultiplier: logUniform(0.4, 30),
        samplingProbability: logUniform(0.01, 1),
        steps: fc.integer({ min: 100, max: 3000 }),
        groupSize: fc.integer({ min: 1, max: 5 }),
      })
      .map(poissonGroupEvent),
    fc
      .tuple(logUniform(5, 30), logUniform(0.1, 0.99), fc.integer({ min: 100, max: 300 }))
      .map(([noiseMultiplier, samplingProbability, count]) =>
        repeat({ kind: 'poisson-subsampled-laplace', noiseMultiplier, samplingProbability }, count),
      ),
    fc
      .tuple(logUniform(5, 50), fc.integer({ min: 100, max: 300 }), logUniform(0.01, 1))
      .map(([noiseMultiplier, count, epsilon]) =>
        sequence([
          repeat({ kind: 'laplace', noiseMultiplier }, count),
          { kind: 'guarantee', epsilon, delta: 1e-12 },
        ]),
      ),
  );

  it('the intervals meet, RDP is above, and the value lies within', () => {
    fc.assert(
      fc.property(events, logUniform(1e-10, 1e-3), (event, delta) => {
        const exact = exactEpsilon(event, { delta, neighbours });
        const pld = pldEpsilon(event, { delta, neighbours });
        const rdp = rdpAccountant.epsilon(event, { delta, neighbours }).upper;
        expect(exact.lower).toBeLessThanOrEqual(pld.upper);
        expect(exact.upper).toBeGreaterThanOrEqual(pld.lower);
        expect(exact.lower).toBeLessThanOrEqual(rdp);
        // No wider than asked, an exact interval can't exceed RDP by more than its width.
        expect(exact.upper).toBeLessThanOrEqual(rdp * (1 + 1e-4) + 1e-12);
        expect(exact.value!).toBeGreaterThanOrEqual(exact.lower);
        expect(exact.value!).toBeLessThanOrEqual(exact.upper);
      }),
      { numRuns: 12, endOnFailure: true },
    );
  });

  it('delta at the value of epsilon is delta', () => {
    for (const delta of [1e-3, 1e-8, 1e-20]) {
      const event = run([1, 0.02, 800, delta]);
      const { value } = exactEpsilon(event, { delta, neighbours });
      const back = exactDeltas(event, { epsilons: [value!], neighbours })[0]!;
      expect(Math.abs(back.value! / delta - 1)).toBeLessThanOrEqual(1e-8);
      expect(back.lower).toBeLessThanOrEqual(delta * (1 + 1e-8));
      expect(back.upper).toBeGreaterThanOrEqual(delta * (1 - 1e-8));
    }
  });
});
