import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calibrateNoise } from '../../accounting/calibrate.ts';
import { epsilonOf } from '../../accounting/epsilon.ts';
import { poissonEvent } from '../../accounting/event.ts';
import { convertGroup } from '../../accounting/group.ts';
import { referenceVectors, withWrong } from './vectors.ts';

const neighbours = 'add-or-remove' as const;
const setting = fc.record({
  epsilon: fc.double({ min: -3, max: 3, noNaN: true }).map(Math.exp),
  delta: fc.double({ min: -25, max: -5, noNaN: true }).map(Math.exp),
  samplingProbability: fc.double({ min: -6, max: 0, noNaN: true }).map(Math.exp),
  steps: fc.integer({ min: 1, max: 2000 }),
  groupSize: fc.integer({ min: 1, max: 6 }),
});

describe('calibrateNoise()', () => {
  it.each([
    ['rdp', 40],
    ['all', 5],
  ] as const)('never exceeds the target and comes within 0.1 % of it (%s)', (accountant, numRuns) => {
    fc.assert(
      fc.property(setting, options => {
        const { epsilon, noiseMultiplier } = calibrateNoise({ ...options, neighbours, accountant });
        expect(epsilon.upper).toBeLessThanOrEqual(options.epsilon);
        if (noiseMultiplier > 0.0201) expect(epsilon.upper).toBeGreaterThanOrEqual(options.epsilon * 0.999);
        const again = convertGroup({ ...options, noiseMultiplier, neighbours, accountant }, 'mixture').bound;
        expect(again.upper).toBe(epsilon.upper);
      }),
      { numRuns, endOnFailure: true },
    );
  });

  const cases = referenceVectors().filter(
    ({ query, truth }) => query.solve === 'sigma' && truth !== undefined,
  );
  it.each(cases)('finds the reference noise of $id, never less', ({ mechanism, query, truth }) => {
    const { q = 1, steps } = mechanism[0]!;
    const { noiseMultiplier } = calibrateNoise({
      epsilon: query.epsilon!,
      delta: query.delta!,
      samplingProbability: q,
      steps,
      neighbours,
    });
    expect(noiseMultiplier).toBeGreaterThanOrEqual(truth!.value);
    expect(noiseMultiplier).toBeLessThanOrEqual(truth!.value * 1.005);
  });

  it.each(['lemma', 'rdp', 'mixture'] as const)('keeps the target by the %s conversion', conversion => {
    const options = {
      epsilon: 4,
      delta: 1e-6,
      samplingProbability: 0.01,
      steps: 200,
      neighbours,
      groupSize: 4,
    };
    const { epsilon, noiseMultiplier } = calibrateNoise({ ...options, conversion });
    expect(epsilon.upper).toBeLessThanOrEqual(4);
    expect(epsilon.upper).toBeGreaterThanOrEqual(4 * 0.999);
    expect(convertGroup({ ...options, noiseMultiplier }, conversion).bound.upper).toBe(epsilon.upper);
  });

  it('asks less noise of a group the tighter the conversion', () => {
    const options = {
      epsilon: 3,
      delta: 1e-6,
      samplingProbability: 0.02,
      steps: 300,
      neighbours,
      groupSize: 3,
    };
    const noise = (['mixture', 'lemma', 'rdp'] as const).map(
      conversion => calibrateNoise({ ...options, conversion, accountant: 'rdp' }).noiseMultiplier,
    );
    expect(noise[0]).toBeLessThan(noise[1]!);
    expect(noise[0]).toBeLessThan(noise[2]!);
  });

  it('refuses a budget that no noise reaches, and says what the most noise gives', () => {
    const options = { epsilon: 1e-9, delta: 1e-12, samplingProbability: 0.5, steps: 1e6, neighbours };
    const message =
      /^Cannot reach epsilon 1e-9 at delta 1e-12 in 1000000 steps: even noiseMultiplier 1e6 gives 0\.00\d+\. Lower/;
    expect(() => calibrateNoise(options)).toThrow(message);
    expect(() => calibrateNoise(options)).toThrow(expect.objectContaining({ code: 'BUDGET_UNREACHABLE' }));
  });

  it('stops at the least noise it tries when any noise would do', () => {
    const options = {
      epsilon: 1e6,
      delta: 0.5,
      samplingProbability: 0.01,
      steps: 1,
      neighbours,
      accountant: 'rdp',
    } as const;
    const { noiseMultiplier, epsilon } = calibrateNoise(options);
    expect(noiseMultiplier).toBeLessThan(0.021);
    expect(epsilon.upper).toBeLessThanOrEqual(1e6);
  });

  it('needs more noise than the exact answer and less than RDP alone', () => {
    const options = { epsilon: 1, delta: 1e-6, samplingProbability: 0.01, steps: 10_000, neighbours };
    const { noiseMultiplier } = calibrateNoise(options);
    expect(noiseMultiplier).toBeGreaterThanOrEqual(4.3021064);
    expect(noiseMultiplier).toBeLessThan(4.3021064 * 1.002);
    const { lower } = epsilonOf(
      poissonEvent({ ...options, noiseMultiplier: noiseMultiplier * 0.99 }),
      options,
    ).epsilon;
    expect(lower).toBeGreaterThan(0.99);
  });

  it.each([
    [{ epsilon: 0 }, 'epsilon is 0'],
    [{ delta: 1 }, 'delta is 1'],
    [{ samplingProbability: 2 }, 'samplingProbability is 2'],
    [{ steps: 0 }, 'steps is 0'],
    [{ groupSize: 0 }, 'groupSize is 0'],
    [{ conversion: 'none' }, 'conversion is "none"'],
  ])('refuses %j with the value', (change, message) => {
    const good = { epsilon: 1, delta: 1e-6, samplingProbability: 0.1, steps: 10, neighbours };
    expect(() => calibrateNoise(withWrong(good, change))).toThrow(message);
  });
});
