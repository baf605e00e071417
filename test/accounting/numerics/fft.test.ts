import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fftError, inverseRealFft, realFft } from '../../../accounting/numerics/fft.ts';

function slowSpectrum(signal: Float64Array): { real: number[]; imaginary: number[] } {
  const size = signal.length;
  const at = (k: number, part: (angle: number) => number): number =>
    signal.reduce((sum, value, j) => sum + value * part((-2 * Math.PI * ((j * k) % size)) / size), 0);
  const indices = Array.from({ length: size / 2 + 1 }, (_, k) => k);
  return { real: indices.map(k => at(k, Math.cos)), imaginary: indices.map(k => at(k, Math.sin)) };
}

function slowConvolution(a: Float64Array, b: Float64Array): Float64Array {
  const size = a.length;
  const result = new Float64Array(size);
  a.forEach((x, i) => b.forEach((y, j) => (result[(i + j) % size] = result[(i + j) % size]! + x * y)));
  return result;
}

function fastConvolution(a: Float64Array, b: Float64Array): Float64Array {
  const [x, y] = [realFft(a), realFft(b)];
  return inverseRealFft({
    real: x.real.map((value, k) => value * y.real[k]! - x.imaginary[k]! * y.imaginary[k]!),
    imaginary: x.real.map((value, k) => value * y.imaginary[k]! + x.imaginary[k]! * y.real[k]!),
  });
}

const signalOf = (size: number): fc.Arbitrary<Float64Array> =>
  fc
    .array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: size, maxLength: size })
    .map(values => Float64Array.from(values));

const sizes = [4, 8, 16, 32, 64, 128, 512] as const;

describe('realFft()', () => {
  it.each(sizes)('length %d agrees with the sum it stands for', size => {
    fc.assert(
      fc.property(signalOf(size), signal => {
        const bound = 4 * fftError(size) * signal.reduce((sum, value) => sum + value, 1e-300);
        const slow = slowSpectrum(signal);
        const { real, imaginary } = realFft(signal);
        real.forEach((value, k) => expect(Math.abs(value - slow.real[k]!)).toBeLessThanOrEqual(bound));
        imaginary.forEach((value, k) =>
          expect(Math.abs(value - slow.imaginary[k]!)).toBeLessThanOrEqual(bound),
        );
      }),
      { numRuns: 10 },
    );
  });

  it.each(sizes)('length %d convolves like the double loop', size => {
    fc.assert(
      fc.property(signalOf(size), signalOf(size), (a, b) => {
        const slow = slowConvolution(a, b);
        const mass = slow.reduce((sum, value) => sum + value, 1e-300);
        fastConvolution(a, b).forEach((value, k) =>
          expect(Math.abs(value - slow[k]!)).toBeLessThanOrEqual(4 * fftError(size) * mass),
        );
      }),
      { numRuns: 10 },
    );
  });

  it.each([2 ** 15, 2 ** 18, 2 ** 21])('length %d keeps its error bound on a geometric signal', size => {
    const ratio = 1 - 40 / size;
    const signal = Float64Array.from({ length: size }, (_, j) => ratio ** j);
    const mass = (1 - ratio ** size) / (1 - ratio);
    const { real, imaginary } = realFft(signal);
    let worst = 0;
    for (let k = 0; k <= size / 2; k += Math.max(1, size / 4096)) {
      // (1 - r^N) / (1 - r w), with 1 - r w in a form that doesn't cancel.
      const half = Math.sin((Math.PI * k) / size);
      const across = ratio * Math.sin((2 * Math.PI * k) / size);
      const along = 1 - ratio + 2 * ratio * half * half;
      const scale = (1 - ratio ** size) / (along * along + across * across);
      worst = Math.max(worst, Math.abs(real[k]! - along * scale), Math.abs(imaginary[k]! + across * scale));
    }
    expect(worst / mass).toBeLessThanOrEqual(fftError(size));
    const back = inverseRealFft({ real, imaginary });
    const error = back.reduce((most, value, j) => Math.max(most, Math.abs(value - signal[j]!)), 0);
    expect(error).toBeLessThanOrEqual(2 * fftError(size));
  });
});
