import { describe, expect, it } from 'vitest';
import { deltaOfCurve, epsilonOfCurve, rdpAccountant } from '../../../accounting/rdp/rdp.ts';
import {
  gaussianEvent,
  poissonEvent,
  poissonGroupEvent,
  repeat,
  sequence,
} from '../../../accounting/event.ts';
import { eventOf, neighboursOf, referenceVectors } from '../vectors.ts';

const relation = { neighbours: 'add-or-remove' } as const;
const isOneStepOfSampling = (id: string): boolean => id.startsWith('psg1-');

describe('rdpAccountant on the reference values', () => {
  const known = referenceVectors().filter(
    ({ truth, query }) => truth !== undefined && query.solve === undefined,
  );
  const supported = known.filter(
    vector => rdpAccountant.unsupported(eventOf(vector, 1), neighboursOf(vector)) === undefined,
  );
  const epsilons = supported.filter(({ query }) => query.delta !== undefined);

  it.each(epsilons)('epsilon of $id is at least the truth', vector => {
    const { upper } = rdpAccountant.epsilon(eventOf(vector), {
      delta: vector.query.delta!,
      neighbours: neighboursOf(vector),
    });
    expect(upper).toBeGreaterThanOrEqual(vector.truth!.value);
  });

  it.each(epsilons)('epsilon of $id is no looser than a grid of orders gives', vector => {
    const peer = neighboursOf(vector) === 'replace' ? undefined : vector.peers['dp_accounting.rdp']?.upper;
    const { upper } = rdpAccountant.epsilon(eventOf(vector), {
      delta: vector.query.delta!,
      neighbours: neighboursOf(vector),
    });
    expect(upper).toBeLessThanOrEqual((peer ?? Infinity) * (1 + 1e-8));
  });

  const composed = epsilons.filter(({ id, truth }) => !isOneStepOfSampling(id) && truth!.value > 1);
  it.each(composed)('epsilon of $id is within 16 % of the truth', vector => {
    const { upper } = rdpAccountant.epsilon(eventOf(vector), {
      delta: vector.query.delta!,
      neighbours: neighboursOf(vector),
    });
    expect(upper).toBeLessThanOrEqual(vector.truth!.value * 1.16);
  });

  it.each(supported.filter(({ query }) => query.epsilon !== undefined))(
    'delta of $id is at least the truth',
    vector => {
      const { upper } = rdpAccountant.delta(eventOf(vector), {
        epsilon: vector.query.epsilon!,
        neighbours: neighboursOf(vector),
      });
      expect(upper).toBeGreaterThanOrEqual(vector.truth!.value);
      expect(upper).toBeLessThanOrEqual(1);
    },
  );
});

describe('rdpAccountant', () => {
  it('is never NaN or negative at the edges of its range', () => {
    for (const noiseMultiplier of [1e-3, 0.01, 0.1, 1, 1e3, 1e6])
      for (const samplingProbability of [1e-12, 1e-3, 1])
        for (const steps of [1, 1e6])
          for (const delta of [1e-300, 1e-6, 0.999]) {
            const event = poissonEvent({ noiseMultiplier, samplingProbability, steps });
            const { upper } = rdpAccountant.epsilon(event, { ...relation, delta });
            expect(upper).toBeGreaterThanOrEqual(0);
            const back = rdpAccountant.delta(event, { ...relation, epsilon: Math.min(upper, 1e6) }).upper;
            expect(back).toBeGreaterThanOrEqual(0);
          }
  });

  it('delta at the epsilon of delta is that delta', () => {
    const event = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 1000 });
    const { upper } = rdpAccountant.epsilon(event, { ...relation, delta: 1e-7 });
    expect(
      Math.abs(rdpAccountant.delta(event, { ...relation, epsilon: upper }).upper / 1e-7 - 1),
    ).toBeLessThan(1e-6);
  });

  it('converts a Gaussian as a fine search over orders does', () => {
    const curve = (order: number): number => order / 8;
    const by = (order: number): number =>
      curve(order) + Math.log((order - 1) / order) - (Math.log(1e-9) + Math.log(order)) / (order - 1);
    let least = Infinity;
    for (let order = 1.01; order < 100; order += 1e-3) least = Math.min(least, by(order));
    expect(epsilonOfCurve(curve, 1e-9).upper).toBeLessThanOrEqual(least);
    expect(epsilonOfCurve(curve, 1e-9).upper).toBeGreaterThan(least * (1 - 1e-6));
  });

  it('answers 0 and not less for noise without end', () => {
    expect(epsilonOfCurve(() => 0, 0.5).upper).toBe(0);
    expect(deltaOfCurve(() => 0, 1).upper).toBeLessThan(1e-12);
  });

  it('leaves out rare large sensitivities only at their price in delta', () => {
    const options = { noiseMultiplier: 1, samplingProbability: 1e-3, steps: 10 };
    const group = poissonGroupEvent({ ...options, groupSize: 30 });
    const one = rdpAccountant.epsilon(poissonEvent(options), { ...relation, delta: 1e-6 }).upper;
    const { upper } = rdpAccountant.epsilon(group, { ...relation, delta: 1e-6 });
    expect(upper).toBeGreaterThan(one);
    expect(upper).toBeLessThan(30 * one);
  });

  it('answers 0 where a unit takes part with a probability of at most delta, and not above', () => {
    const event = poissonEvent({ noiseMultiplier: 0.05, samplingProbability: 1e-3, steps: 10 });
    const unseen = 1 - (1 - 1e-3) ** 10;
    expect(rdpAccountant.epsilon(event, { ...relation, delta: unseen * 1.001 }).upper).toBe(0);
    expect(rdpAccountant.epsilon(event, { ...relation, delta: unseen * 0.999 }).upper).toBeGreaterThan(1);
    const group = poissonGroupEvent({
      noiseMultiplier: 0.05,
      samplingProbability: 1e-3,
      steps: 10,
      groupSize: 4,
    });
    const groupUnseen = 1 - (1 - 1e-3) ** 40;
    expect(rdpAccountant.epsilon(group, { ...relation, delta: groupUnseen * 1.001 }).upper).toBe(0);
    expect(rdpAccountant.epsilon(group, { ...relation, delta: groupUnseen * 0.999 }).upper).toBeGreaterThan(
      1,
    );
  });

  describe('with a rare sensitivity that gives everything away', () => {
    const mass = 5e-10;
    const rare = {
      kind: 'mixture-of-gaussians',
      noiseMultiplier: 1,
      sensitivities: [0, 1e3],
      probabilities: [1 - mass, mass],
    } as const;

    it('delta is at least its mass, and not much more', () => {
      const { upper } = rdpAccountant.delta(rare, { ...relation, epsilon: 5 });
      expect(upper).toBeGreaterThanOrEqual(mass);
      expect(upper).toBeLessThan(mass * 1.001);
    });

    it('epsilon pays for leaving it out, in delta and in epsilon', () => {
      const steps = 1000;
      const event = sequence([gaussianEvent(1), repeat(rare, steps)]);
      const delta = 1e-3;
      const { upper } = rdpAccountant.epsilon(event, { ...relation, delta });
      const rest = rdpAccountant.epsilon(gaussianEvent(1), {
        ...relation,
        delta: delta - steps * mass,
      }).upper;
      expect(upper - rest).toBeGreaterThanOrEqual(steps * mass * 0.999);
      expect(upper - rest).toBeLessThan(steps * mass * 1.01);
    });
  });

  it('names what it does not support', () => {
    const event = poissonGroupEvent({ noiseMultiplier: 1, samplingProbability: 0.1, steps: 2, groupSize: 2 });
    const ask = (): unknown => rdpAccountant.epsilon(event, { delta: 1e-6, neighbours: 'replace' });
    expect(ask).toThrow('mixture-of-gaussians under replace');
    expect(() => rdpAccountant.delta(event, { epsilon: 1, neighbours: 'replace' })).toThrow(
      'mixture-of-gaussians',
    );
  });

  it.each([0, 1, Number.NaN, -1])('refuses delta %d with the value', delta => {
    expect(() => rdpAccountant.epsilon(gaussianEvent(1), { ...relation, delta })).toThrow(
      `delta is ${delta}`,
    );
  });
});
