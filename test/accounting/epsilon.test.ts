import { describe, expect, it } from 'vitest';
import { epsilonOf, tightest } from '../../accounting/epsilon.ts';
import { gaussianEvent, poissonEvent, poissonGroupEvent, repeat } from '../../accounting/event.ts';
import { withWrong } from './vectors.ts';

const question = { delta: 1e-6, neighbours: 'add-or-remove' } as const;

describe('epsilonOf()', () => {
  it('encloses the closed form of the Gaussian', () => {
    const truth = 4.886554117462212;
    for (const event of [gaussianEvent(1), repeat(gaussianEvent(10), 100)]) {
      const { epsilon } = epsilonOf(event, question);
      expect(epsilon.lower).toBeLessThanOrEqual(truth);
      expect(epsilon.upper).toBeGreaterThanOrEqual(truth);
      expect(epsilon.upper - epsilon.lower).toBeLessThan(0.01 * truth);
    }
  });

  it('takes the least upper and the greatest lower bound', () => {
    const { epsilon, byAccountant } = epsilonOf(
      poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 1000 }),
      question,
    );
    const bounds = Object.values(byAccountant);
    expect(Object.keys(byAccountant)).toEqual(['rdp', 'pld', 'exact']);
    expect(epsilon.upper).toBe(Math.min(...bounds.map(({ upper }) => upper)));
    expect(epsilon.lower).toBe(Math.max(...bounds.map(({ lower = 0 }) => lower)));
    expect(epsilon.upper - epsilon.lower).toBeLessThanOrEqual(1e-4 * epsilon.upper);
  });

  it('asks only the accountant that is named', () => {
    const { byAccountant, epsilon } = epsilonOf(gaussianEvent(1), { ...question, accountant: 'rdp' });
    expect(Object.keys(byAccountant)).toEqual(['rdp']);
    expect(epsilon.lower).toBe(0);
  });

  it('zero-out has the pairs of add-or-remove, replace costs more', () => {
    const event = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 1000 });
    const [one, zero] = [
      epsilonOf(event, question),
      epsilonOf(event, { ...question, neighbours: 'zero-out' }),
    ];
    expect(zero.epsilon.upper).toBe(one.epsilon.upper);
    const replace = epsilonOf(event, { ...question, neighbours: 'replace' });
    expect(replace.epsilon.upper).toBeGreaterThanOrEqual(3.214230966557779);
    expect(replace.epsilon.upper).toBeLessThan(4.5);
  });

  it('is never NaN, and 0 where nothing is learnt', () => {
    for (const noiseMultiplier of [0.3, 1e6])
      for (const samplingProbability of [1e-3, 1])
        for (const delta of [1e-12, 0.9]) {
          const event = poissonEvent({ noiseMultiplier, samplingProbability, steps: 3 });
          const { lower, upper } = epsilonOf(event, { ...question, delta }).epsilon;
          expect(lower).toBeGreaterThanOrEqual(0);
          expect(upper).toBeGreaterThanOrEqual(lower);
        }
    expect(epsilonOf(gaussianEvent(1e6), { ...question, delta: 0.9 }).epsilon.upper).toBe(0);
  });

  it('names the accountants that refuse', () => {
    const event = poissonGroupEvent({ noiseMultiplier: 1, samplingProbability: 0.1, steps: 1, groupSize: 3 });
    const ask = (): unknown => epsilonOf(event, { ...question, neighbours: 'replace', accountant: 'rdp' });
    expect(ask).toThrow('rdp does not support mixture-of-gaussians under replace');
  });

  it.each([
    [{ delta: 2 }, 'delta is 2'],
    [{ neighbours: 'swap' }, 'neighbours is "swap"'],
    [{ accountant: 'moments' }, 'accountant is "moments"'],
    [{ relativeGap: 0 }, 'relativeGap is 0'],
  ])('refuses %j with the value', (change, message) => {
    expect(() => epsilonOf(gaussianEvent(1), withWrong(question, change))).toThrow(message);
  });
});

describe('tightest()', () => {
  it('refuses bounds that contradict each other', () => {
    const bounds = [
      { upper: 1, detail: '' },
      { lower: 2, upper: 3, detail: '' },
    ];
    expect(() => tightest(bounds)).toThrow('the lower bound 2 exceeds the upper bound 1');
  });
});
