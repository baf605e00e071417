import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openNoiseSamples, openSampleReader, type SampledStep } from '../../trainer/noise-sample.ts';
import { addGaussianNoise, noiseOfWords } from '../../trainer/noise.ts';
import { deriveKey, openPointBits, wordPairsAt } from '../../trainer/randomness.ts';

const key = new Uint8Array(32).fill(3);
const step: SampledStep = { step: 5, attempt: 1, clippedSumDigest: 'abc', standardDeviation: 0.7 };

/** Noise of a step as a mechanism adds it. */
function addOwn(sum: Float64Array, at: SampledStep, of = key): void {
  const [bits, further] = [deriveKey(of, 'noise'), deriveKey(of, 'noise')].map(openPointBits);
  bits!.seek(at, at.clippedSumDigest);
  further!.seek(at, `${at.clippedSumDigest}\0further`);
  addGaussianNoise(sum, { standardDeviation: at.standardDeviation, bits: bits!, further: further! });
}

function sampleOf(
  sum: Float64Array,
  { at = step, add = addOwn }: { at?: SampledStep; add?: typeof addOwn } = {},
): string {
  const seen = openNoiseSamples(deriveKey(key, 'sample')).watch(sum, at);
  add(sum, at);
  return seen();
}

const steps = fc.record({
  step: fc.nat(1e6),
  attempt: fc.nat(3),
  clippedSumDigest: fc.string(),
  standardDeviation: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
});

describe('openNoiseSamples()', () => {
  it('tells the noise that was added to whoever has the key, whatever it was added to', () => {
    fc.assert(
      fc.property(
        steps,
        fc.integer({ min: 1, max: 30_000 }),
        fc.double({ min: -1e9, max: 1e9, noNaN: true }),
        (at, coordinates, value) => {
          const sum = new Float64Array(coordinates).fill(value * at.standardDeviation);
          const found = openSampleReader(key, { coordinates })(sampleOf(sum, { at }), at);
          expect(found ?? { isSame: true, factor: 1 }).toEqual({ isSame: true, factor: 1 });
        },
      ),
      { numRuns: 200 },
    );
  });

  it.each<[string, typeof addOwn, { isSame: boolean; factor: unknown }]>([
    [
      'half of it',
      (sum, at) => addOwn(sum, { ...at, standardDeviation: at.standardDeviation / 2 }),
      { isSame: false, factor: expect.closeTo(0.5, 3) },
    ],
    ['none', () => undefined, { isSame: false, factor: 0 }],
    [
      'that of another sum',
      (sum, at) => addOwn(sum, { ...at, clippedSumDigest: 'other' }),
      { isSame: false, factor: undefined },
    ],
    [
      'that of another step',
      (sum, at) => addOwn(sum, { ...at, step: 6 }),
      { isSame: false, factor: undefined },
    ],
    [
      'that of another key',
      (sum, at) => addOwn(sum, at, new Uint8Array(32)),
      { isSame: false, factor: undefined },
    ],
    [
      '1.01 times as much',
      (sum, at) => addOwn(sum, { ...at, standardDeviation: at.standardDeviation * 1.01 }),
      { isSame: false, factor: expect.closeTo(1.01, 3) },
    ],
  ])('tells other noise: %s', (_, add, found) => {
    const sum = Float64Array.from({ length: 20_000 }, (__, index) => Math.sin(index));
    expect(openSampleReader(key, { coordinates: 20_000 })(sampleOf(sum, { add }), step)).toEqual(found);
  });

  it('looks at other places in every step, all over the sum', () => {
    const places = new Set<number>();
    for (let at = 0; at < 400; at += 1) {
      const watched = new Proxy(new Float64Array(1000), {
        get(target, name) {
          if (typeof name === 'string' && /^\d+$/.test(name)) places.add(Number(name));
          return Reflect.get(target, name, target);
        },
      });
      openNoiseSamples(deriveKey(key, 'sample')).watch(watched, { ...step, step: at });
    }
    expect(places.size).toBeGreaterThan(990);
  });

  it('hides equal numbers otherwise under every standard deviation, key, attempt and digest', () => {
    const add = (): void => undefined;
    const others: SampledStep[] = [
      step,
      { ...step, standardDeviation: 1.4 },
      { ...step, attempt: 2 },
      { ...step, step: 6 },
      { ...step, clippedSumDigest: 'abd' },
    ];
    const texts = others.map(at => sampleOf(new Float64Array(50), { at, add }));
    const other = openNoiseSamples(deriveKey(new Uint8Array(32), 'sample')).watch(
      new Float64Array(50),
      step,
    )();
    expect(new Set([...texts, other]).size).toBe(6);
    expect(sampleOf(new Float64Array(50), { add })).toBe(texts[0]);
  });

  it('is a random text to everybody else: fair bits, and others for every key, step and sum', () => {
    const add = (): void => undefined;
    const samples = Array.from({ length: 1000 }, (_, at) =>
      sampleOf(new Float64Array(50), { at: { ...step, step: at % 500, attempt: at < 500 ? 0 : 1 }, add }),
    );
    expect(new Set(samples).size).toBe(1000);
    const bits = samples
      .join('')
      .replace(/./g, digit => Number.parseInt(digit, 16).toString(2).padStart(4, '0'));
    const ones = bits.replaceAll('0', '').length;
    // Of 256,000 fair bits, five standard deviations.
    expect(Math.abs(ones - bits.length / 2)).toBeLessThan(5 * Math.sqrt(bits.length / 4));
  });
});

describe('wordPairsAt()', () => {
  it('gives words out of the middle of a stream', () => {
    const places = Int32Array.of(0, 1, 2, 3, 4097, 8191, 9999);
    const bits = openPointBits(key);
    bits.seek(step, 'context');
    const words = new Uint32Array(20_000);
    bits.fillWords(words);
    const expected = Array.from(places).flatMap(place => [words[2 * place]!, words[2 * place + 1]!]);
    expect(Array.from(wordPairsAt(key, { point: step, context: 'context', places }))).toEqual(expected);
  });
});

describe('noiseOfWords()', () => {
  it('is what is added where two words decide, and undefined for about one coordinate in sixty', () => {
    const words = new Uint32Array(2 * 50_000);
    const bits = openPointBits(key);
    bits.seek(step);
    bits.fillWords(words);
    const sum = new Float64Array(50_000);
    bits.seek(step);
    const further = openPointBits(key);
    further.seek(step, 'further');
    addGaussianNoise(sum, { standardDeviation: 3, bits, further });
    let open = 0;
    sum.forEach((noise, at) => {
      const due = noiseOfWords({ word: words[2 * at]!, fraction: words[2 * at + 1]! }, 3);
      if (due === undefined) open += 1;
      else expect(Math.abs(noise - due)).toBeLessThan(3 * 2 ** -22);
    });
    expect(open / 50_000).toBeGreaterThan(0.013);
    expect(open / 50_000).toBeLessThan(0.02);
  });
});
