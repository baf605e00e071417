import { describe, expect, it } from 'vitest';
import { repeat, type BasicEvent, type Neighbours } from '../../../accounting/event.ts';
import { rdpAccountant } from '../../../accounting/rdp/rdp.ts';
import { renyiCurve } from '../../../accounting/rdp/renyi.ts';

const samplingProbability = 0.02;
const relations: readonly Neighbours[] = ['add-or-remove', 'replace', 'zero-out'];

/** Every kind of event at a level of noise. */
function eventsAt(noiseMultiplier: number): BasicEvent[] {
  const fixed = { noiseMultiplier, datasetSize: 1000, batchSize: 20 };
  const response = { randomProbability: noiseMultiplier / (1 + noiseMultiplier), buckets: 3 };
  return [
    { kind: 'gaussian', noiseMultiplier },
    { kind: 'poisson-subsampled-gaussian', noiseMultiplier, samplingProbability },
    {
      kind: 'mixture-of-gaussians',
      noiseMultiplier,
      sensitivities: [0, 1, 2],
      probabilities: [0.9, 0.09, 0.01],
    },
    { kind: 'laplace', noiseMultiplier },
    { kind: 'poisson-subsampled-laplace', noiseMultiplier, samplingProbability },
    { kind: 'discrete-gaussian', scale: noiseMultiplier, sensitivity: 1 },
    { kind: 'randomised-response', ...response },
    { kind: 'guarantee', epsilon: 1 / noiseMultiplier, delta: 1e-9 },
    { kind: 'fixed-size-gaussian', ...fixed, groupSize: 1 },
    { kind: 'fixed-size-gaussian', ...fixed, groupSize: 3 },
    {
      kind: 'truncated-poisson-gaussian',
      noiseMultiplier,
      samplingProbability,
      datasetSize: 1000,
      maximumBatchSize: 25,
    },
    { kind: 'repeat-and-select', event: { kind: 'laplace', noiseMultiplier }, meanRuns: 3, shape: 1 },
    {
      kind: 'repeat-and-select',
      event: { kind: 'gaussian', noiseMultiplier },
      meanRuns: 3,
      shape: 'poisson',
    },
  ];
}

const cases = eventsAt(1).flatMap((event, index) =>
  relations
    .filter(neighbours => rdpAccountant.unsupported(event, neighbours) === undefined)
    .map(neighbours => ({ index, neighbours, kind: event.kind })),
);

describe.each(cases)('rdpAccountant on $kind under $neighbours', ({ index, neighbours }) => {
  const epsilon = (noise: number, steps: number): number =>
    rdpAccountant.epsilon(repeat(eventsAt(noise)[index]!, steps), { delta: 1e-6, neighbours }).upper;

  it('has an ε that falls with noise and rises with steps', () => {
    expect(epsilon(2, 10)).toBeLessThan(epsilon(1, 10));
    expect(epsilon(8, 10)).toBeLessThan(epsilon(2, 10));
    expect(epsilon(2, 11)).toBeGreaterThan(epsilon(2, 10));
    expect(epsilon(2, 200)).toBeGreaterThan(epsilon(2, 11));
    expect(epsilon(2, 200)).toBeLessThanOrEqual(20 * epsilon(2, 10) * (1 + 1e-6));
  });

  it('answers the delta that it was asked about', () => {
    const event = repeat(eventsAt(2)[index]!, 10);
    const { upper } = rdpAccountant.delta(event, { epsilon: epsilon(2, 10), neighbours });
    expect(upper).toBeGreaterThan(0.99e-6);
    expect(upper).toBeLessThan(1.01e-6);
  });

  it('has a curve that never falls with the order and is never NaN', () => {
    const event = { ...eventsAt(1.5)[index]!, ...(eventsAt(1)[index]!.kind === 'guarantee' && { delta: 0 }) };
    const curve = renyiCurve(event, neighbours);
    const values = [1.001, 1.1, 1.9, 2, 2.1, 5.5, 30, 200].map(curve);
    // Selection pays log E[K] / (order - 1), which falls.
    if (event.kind !== 'repeat-and-select')
      values.reduce((before, value) => {
        expect(value).toBeGreaterThanOrEqual(before * (1 - 1e-9));
        return value;
      });
    for (const value of values) expect(value).toBeGreaterThan(0);
  });
});

describe('rdpAccountant.unsupported()', () => {
  const word = (event: BasicEvent, neighbours: Neighbours): string | undefined =>
    rdpAccountant.unsupported(event, neighbours);

  it.each(relations)('says under %s what it has no bound for', neighbours => {
    const refused = eventsAt(1).map(event => word(event, neighbours));
    const expected = {
      'add-or-remove': ['randomised-response under add-or-remove'],
      replace: [
        'mixture-of-gaussians under replace',
        'poisson-subsampled-laplace under replace',
        'fixed-size-gaussian under replace with groupSize 3',
      ],
      'zero-out': [
        'randomised-response under zero-out',
        'fixed-size-gaussian under zero-out',
        'fixed-size-gaussian under zero-out',
      ],
    }[neighbours];
    expect(refused.filter(part => part !== undefined)).toEqual(expected);
  });

  it('names epochs whose steps depend on each other, and what is hidden in a selection', () => {
    const epoch = { noiseMultiplier: 1, stepsPerEpoch: 10 };
    expect(word({ kind: 'balls-in-bins-gaussian', ...epoch }, 'zero-out')).toBe('balls-in-bins-gaussian');
    const shuffled = { kind: 'shuffled-gaussian', ...epoch, epochs: 2, order: 'persistent' } as const;
    expect(word(shuffled, 'replace')).toBe('shuffled-gaussian, of which only lower bounds are known');
    const best = { kind: 'repeat-and-select', event: repeat(shuffled, 3), meanRuns: 2, shape: 0 } as const;
    expect(word(best, 'replace')).toContain('shuffled-gaussian');
    expect(renyiCurve(best, 'replace')(2)).toBe(Infinity);
    expect(() => rdpAccountant.epsilon(best, { delta: 1e-6, neighbours: 'replace' })).toThrow(
      'Use Poisson sampling.',
    );
  });
});

describe('rdpAccountant on guarantees', () => {
  const ask = { delta: 1e-6, neighbours: 'replace' } as const;
  const guarantee = (delta: number) => repeat({ kind: 'guarantee', epsilon: 0.1, delta }, 50);

  it('sets their delta aside and loses nothing else', () => {
    const rest = rdpAccountant.epsilon(guarantee(0), { ...ask, delta: 1e-6 - 50e-8 }).upper;
    const { upper } = rdpAccountant.epsilon(guarantee(1e-8), ask);
    expect(upper).toBeGreaterThanOrEqual(rest * (1 - 1e-12));
    expect(upper).toBeLessThanOrEqual(rest * (1 + 1e-9));
    // What a grid of orders gives for the same.
    expect(upper).toBeLessThan(3.43992);
  });

  it('has no ε where their delta uses up the delta, and then a δ of at least theirs', () => {
    expect(rdpAccountant.epsilon(guarantee(2.1e-8), ask).upper).toBe(Infinity);
    const { upper } = rdpAccountant.delta(guarantee(2e-8), { epsilon: 100, neighbours: 'replace' });
    expect(upper).toBeGreaterThanOrEqual(1e-6 * (1 - 1e-15));
    expect(upper).toBeLessThan(1e-6 * (1 + 1e-9));
  });

  // Exact binomial sums, rounded down.
  it.each([
    [{ kind: 'guarantee', epsilon: 0.1, delta: 0 }, 100, 1e-6, 4.774567588107986],
    [{ kind: 'guarantee', epsilon: 0.5, delta: 0 }, 100, 1e-3, 25.948894035659993],
    [{ kind: 'randomised-response', randomProbability: 0.5, buckets: 2 }, 10, 1e-6, 10.986105128796792],
    [{ kind: 'discrete-gaussian', scale: 5, sensitivity: 1 }, 100, 1e-6, 10.99690401838],
    [{ kind: 'discrete-gaussian', scale: 0.5, sensitivity: 1 }, 1, 1e-5, 9.96141138802],
    [{ kind: 'laplace', noiseMultiplier: 1 }, 1, 1e-3, 0.997998999332833],
  ] as const)(
    'and the like is at least the truth, within a tenth or so: %o',
    (event, steps, delta, truth) => {
      const neighbours = event.kind === 'randomised-response' ? 'replace' : 'add-or-remove';
      const { upper } = rdpAccountant.epsilon(repeat(event, steps), { delta, neighbours });
      expect(upper).toBeGreaterThanOrEqual(truth);
      expect(upper).toBeLessThan(truth * 1.17);
    },
  );
});
