import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epsilonOf } from '../../accounting/epsilon.ts';
import { gaussianEvent, poissonEvent, poissonGroupEvent, flattenEvent } from '../../accounting/event.ts';
import {
  groupCurve,
  groupEpsilon,
  lemmaBound,
  mixtureBound,
  recordDelta,
  renyiGroupBound,
} from '../../accounting/group.ts';
import { renyiCurve } from '../../accounting/rdp/renyi.ts';

const run = {
  noiseMultiplier: 2,
  samplingProbability: 0.01,
  steps: 1000,
  delta: 1e-6,
  neighbours: 'add-or-remove',
} as const;

describe('groupEpsilon()', () => {
  it('with one record answers three times what the accountants answer', () => {
    const { byConversion, epsilon } = groupEpsilon({ ...run, groupSize: 1 });
    const record = epsilonOf(poissonEvent(run), run);
    expect(byConversion.lemma.upper).toBe(record.epsilon.upper);
    expect(byConversion.mixture.upper).toBe(record.epsilon.upper);
    expect(Math.abs(byConversion.rdp.upper / record.byAccountant.rdp!.upper - 1)).toBeLessThan(1e-9);
    expect(epsilon.upper).toBe(record.epsilon.upper);
  });

  it('encloses the reference value of a group of 4, each conversion on its side', () => {
    const { byConversion, epsilon } = groupEpsilon({ ...run, groupSize: 4 });
    const truth = 3.26988785224499;
    expect(epsilon.lower).toBeLessThanOrEqual(truth);
    for (const { upper } of Object.values(byConversion)) expect(upper).toBeGreaterThanOrEqual(truth);
    expect(byConversion.mixture.upper).toBeLessThan(truth * 1.002);
    expect(byConversion.lemma.upper).toBeLessThan(truth * 1.05);
    expect(byConversion.rdp.upper).toBeLessThan(truth * 1.12);
  });

  it('under replace gives the reason for the conversion that has no answer', () => {
    const { byConversion, epsilon } = groupEpsilon({ ...run, groupSize: 2, neighbours: 'replace' });
    expect(byConversion.mixture.upper).toBe(Infinity);
    expect(byConversion.mixture.detail).toContain('under replace');
    expect(epsilon.upper).toBe(Math.min(byConversion.lemma.upper, byConversion.rdp.upper));
  });
});

describe('lemmaBound()', () => {
  const gaussian = { ...run, samplingProbability: 1, steps: 1, noiseMultiplier: 10 };

  it('satisfies the lemma at its own record guarantee', () => {
    const groupSize = 5;
    const { upper } = lemmaBound({ ...gaussian, groupSize });
    const record = upper / groupSize;
    const delta = recordDelta(record, gaussian.delta, groupSize);
    expect(epsilonOf(gaussianEvent(10), { ...gaussian, delta }).epsilon.upper).toBeLessThanOrEqual(
      record * (1 + 1e-12),
    );
    const smaller = record * 0.999;
    const smallerDelta = recordDelta(smaller, gaussian.delta, groupSize);
    expect(epsilonOf(gaussianEvent(10), { ...gaussian, delta: smallerDelta }).epsilon.lower).toBeGreaterThan(
      smaller,
    );
  });

  it('is at least the truth for a Gaussian, whose group has k times the sensitivity', () => {
    for (const groupSize of [2, 7, 30]) {
      const truth = epsilonOf(gaussianEvent(10 / groupSize), gaussian).epsilon.lower;
      expect(lemmaBound({ ...gaussian, groupSize }).upper).toBeGreaterThanOrEqual(truth);
    }
  });

  it('is Infinity with a reason where the record delta leaves the range of numbers', () => {
    const { upper, detail } = lemmaBound({
      ...gaussian,
      noiseMultiplier: 0.05,
      groupSize: 100,
      accountant: 'rdp',
    });
    expect(upper).toBe(Infinity);
    expect(detail).toContain('1e-290');
  });

  it('is 0 where a record is', () => {
    expect(lemmaBound({ ...gaussian, noiseMultiplier: 1e6, delta: 0.5, groupSize: 3 }).upper).toBe(0);
  });
});

describe('recordDelta()', () => {
  it('inverts the lemma without overflow', () => {
    const epsilons = fc.double({ min: 1e-6, max: 50, noNaN: true });
    fc.assert(
      fc.property(epsilons, fc.integer({ min: 1, max: 12 }), (epsilon, groupSize) => {
        const delta =
          recordDelta(epsilon, 1e-6, groupSize) * (Math.expm1(groupSize * epsilon) / Math.expm1(epsilon));
        expect(delta).toBeLessThanOrEqual(1e-6);
        expect(delta).toBeGreaterThan(1e-6 * (1 - 1e-11));
      }),
    );
    expect(recordDelta(500, 1e-6, 10)).toBe(0);
  });
});

describe('RDP group privacy', () => {
  const sampled = {
    kind: 'poisson-subsampled-gaussian',
    noiseMultiplier: 2,
    samplingProbability: 0.05,
  } as const;

  it('is at least the Rényi divergence of the group itself', () => {
    for (const groupSize of [2, 3, 5, 8, 13]) {
      const grouped = groupCurve(renyiCurve(sampled, 'add-or-remove'), groupSize);
      const { event } = flattenEvent(poissonGroupEvent({ ...sampled, steps: 1, groupSize }))[0]!;
      const truth = renyiCurve(event, 'add-or-remove');
      for (const order of [1.2, 2, 4.5, 10]) expect(grouped(order)).toBeGreaterThanOrEqual(truth(order));
    }
  });

  it('of a Gaussian lies between the exact k² and Proposition 2', () => {
    const curve = renyiCurve(gaussianEvent(3), 'add-or-remove');
    for (const groupSize of [2, 3, 4, 6, 16, 100]) {
      for (const order of [2, 3.5, 20]) {
        const rounds = Math.ceil(Math.log2(groupSize));
        const value = groupCurve(curve, groupSize)(order);
        expect(value).toBeGreaterThanOrEqual(groupSize ** 2 * curve(order));
        expect(value).toBeLessThanOrEqual(3 ** rounds * curve(2 ** rounds * order));
      }
    }
  });

  it('at large orders loses little to the exact k²', () => {
    const curve = renyiCurve(gaussianEvent(3), 'add-or-remove');
    expect(groupCurve(curve, 8)(1000)).toBeLessThan(64 * curve(1000) * 1.01);
  });

  it('rises with the group', () => {
    const bounds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 16].map(
      groupSize => renyiGroupBound({ ...run, groupSize }).upper,
    );
    bounds.forEach((bound, index) => expect(bound).toBeGreaterThan(bounds[index - 1] ?? 0));
  });
});

describe('mixtureBound()', () => {
  it('with certain sampling is the Gaussian of k times the sensitivity', () => {
    const options = { ...run, noiseMultiplier: 12, samplingProbability: 1, steps: 4, groupSize: 6 };
    const { bound } = mixtureBound(options);
    expect(bound.lower).toBeLessThanOrEqual(4.886554117462212);
    expect(bound.upper).toBeGreaterThanOrEqual(4.886554117462212);
  });
});
