import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  flattenEvent,
  gaussianEvent,
  poissonEvent,
  poissonGroupEvent,
  repeat,
  sequence,
  type DpEvent,
} from '../../accounting/event.ts';
import { parseEvent } from '../../accounting/event-json.ts';

const noise = fc.double({ min: 0.01, max: 1e6, noNaN: true });
const probability = fc.double({ min: 1e-9, max: 1, noNaN: true });
const steps = fc.integer({ min: 1, max: 1e9 });

const basic: fc.Arbitrary<DpEvent> = fc.oneof(
  noise.map(gaussianEvent),
  fc.record({ noiseMultiplier: noise, samplingProbability: probability, steps }).map(poissonEvent),
  fc
    .record({
      noiseMultiplier: noise,
      samplingProbability: probability,
      steps,
      groupSize: fc.integer({ min: 1, max: 60 }),
    })
    .map(poissonGroupEvent),
);

const { event } = fc.letrec<{ event: DpEvent }>(tie => ({
  event: fc.oneof(
    { maxDepth: 3 },
    basic,
    fc.tuple(tie('event'), fc.integer({ min: 1, max: 50 })).map(([inner, count]) => repeat(inner, count)),
    fc.array(tie('event'), { minLength: 1, maxLength: 3 }).map(sequence),
  ),
}));

describe('parseEvent()', () => {
  it('gives back what was serialised', () => {
    fc.assert(
      fc.property(event, value => {
        expect(parseEvent(JSON.parse(JSON.stringify(value)))).toEqual(value);
      }),
    );
  });

  const gaussian = { kind: 'gaussian', noiseMultiplier: 1 };
  const mixture = {
    kind: 'mixture-of-gaussians',
    noiseMultiplier: 1,
    sensitivities: [0, 1],
    probabilities: [0.5, 0.5],
  };
  const broken: [unknown, string][] = [
    [null, 'undefined'],
    [{ kind: 'exponential' }, '"exponential"'],
    [{ ...gaussian, noiseMultiplier: '1' }, '"1"'],
    [{ ...gaussian, noiseMultiplier: -3 }, '-3'],
    [{ ...gaussian, sigma: 1 }, '"sigma"'],
    [{ kind: 'gaussian' }, '"noiseMultiplier"'],
    [{ kind: 'poisson-subsampled-gaussian', noiseMultiplier: 1, samplingProbability: 1.5 }, '1.5'],
    [{ ...mixture, probabilities: [0.5, 0.4] }, '[0.5,0.4]'],
    [{ ...mixture, probabilities: [1] }, 'probabilities has 1'],
    [{ ...mixture, sensitivities: [1, 0] }, '[1,0]'],
    [{ ...mixture, sensitivities: [-1, 0] }, '-1'],
    [{ ...mixture, sensitivities: [] }, '[]'],
    [{ kind: 'repeated', event: gaussian, count: 0 }, '0'],
    [{ kind: 'repeated', event: { kind: 'x' }, count: 2 }, '"x"'],
    [{ kind: 'sequence', events: [] }, '[]'],
  ];
  it.each(broken)('refuses %j and shows what is wrong', (value, shown) => {
    expect(() => parseEvent(value)).toThrow(/^Cannot read the event: .* Give |Add it|Remove it/);
    expect(() => parseEvent(value)).toThrow(shown);
  });
});

describe('flattenEvent()', () => {
  it('adds up equal events whatever their nesting and order', () => {
    const [a, b] = [gaussianEvent(1), gaussianEvent(2)];
    const one = flattenEvent(sequence([repeat(sequence([a, b]), 3), a]));
    const other = flattenEvent(sequence([repeat(b, 3), a, repeat(a, 3)]));
    expect(one).toEqual(other);
    expect(one.map(part => part.count)).toEqual([4, 3]);
  });
});

describe('constructors', () => {
  const good = { noiseMultiplier: 1, samplingProbability: 0.1, steps: 10, groupSize: 3 };
  it.each([
    ['noiseMultiplier', 0],
    ['noiseMultiplier', Number.NaN],
    ['samplingProbability', 0],
    ['samplingProbability', 1.01],
    ['steps', 0],
    ['steps', 1.5],
    ['groupSize', 0],
    ['groupSize', 10_001],
  ])('poissonGroupEvent() refuses %s = %d with the value', (name, value) => {
    expect(() => poissonGroupEvent({ ...good, [name]: value })).toThrow(`${name} is ${value}`);
  });

  it('poissonEvent() with probability 1 is the plain Gaussian', () => {
    expect(poissonEvent({ noiseMultiplier: 2, samplingProbability: 1, steps: 1 })).toEqual(gaussianEvent(2));
  });

  it('poissonGroupEvent() of one record is the record, of certain sampling a larger sensitivity', () => {
    expect(poissonGroupEvent({ ...good, groupSize: 1 })).toEqual(poissonEvent(good));
    const certain = poissonGroupEvent({ ...good, samplingProbability: 1, steps: 1, noiseMultiplier: 6 });
    expect(certain).toEqual(gaussianEvent(2));
  });
});
