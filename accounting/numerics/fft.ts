/** Half the spectrum of a real signal of even length N: entries 0 to N/2; the others are their conjugates. */
export interface HalfSpectrum {
  readonly real: Float64Array;
  readonly imaginary: Float64Array;
}

interface Twiddles {
  readonly cosine: Float64Array;
  readonly sine: Float64Array;
}

/** Tables above this length are made anew each time, so that one large transform doesn't pin its memory. */
const longestKept = 2 ** 20;
const kept = new Map<string, Twiddles>();

/** cos and sin of 2π k / size for k < count, each from its own angle: a recurrence would lose digits. */
function twiddles(size: number, count: number): Twiddles {
  const key = `${size}/${count}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const made = { cosine: new Float64Array(count), sine: new Float64Array(count) };
  for (let k = 0; k < count; k += 1) {
    const angle = (2 * Math.PI * k) / size;
    made.cosine[k] = Math.cos(angle);
    made.sine[k] = Math.sin(angle);
  }
  if (count <= longestKept) kept.set(key, made);
  return made;
}

interface Complex {
  readonly real: Float64Array;
  readonly imaginary: Float64Array;
}

/** One pass of Stockham's self-sorting transform with radix 4: sub-signals of stride `stride`, forward sign. */
function radix4Pass(from: Complex, to: Complex, { cosine, sine }: Twiddles, stride: number): void {
  const quarter = from.real.length / 4;
  const { real: xr, imaginary: xi } = from;
  const { real: yr, imaginary: yi } = to;
  for (let k = 0; k < quarter; k += stride) {
    const c1 = cosine[k]!;
    const s1 = -sine[k]!;
    const c2 = cosine[2 * k]!;
    const s2 = -sine[2 * k]!;
    const c3 = cosine[3 * k]!;
    const s3 = -sine[3 * k]!;
    for (let q = 0; q < stride; q += 1) {
      const at = q + k;
      const ar = xr[at]!;
      const ai = xi[at]!;
      const br = xr[at + quarter]!;
      const bi = xi[at + quarter]!;
      const cr = xr[at + 2 * quarter]!;
      const ci = xi[at + 2 * quarter]!;
      const dr = xr[at + 3 * quarter]!;
      const di = xi[at + 3 * quarter]!;
      const evenR = ar + cr;
      const evenI = ai + ci;
      const oddR = br + dr;
      const oddI = bi + di;
      // (a - c) ∓ i (b - d)
      const turnR = ar - cr + (bi - di);
      const turnI = ai - ci - (br - dr);
      const backR = ar - cr - (bi - di);
      const backI = ai - ci + (br - dr);
      const halfR = evenR - oddR;
      const halfI = evenI - oddI;
      const out = q + 4 * k;
      yr[out] = evenR + oddR;
      yi[out] = evenI + oddI;
      yr[out + stride] = turnR * c1 - turnI * s1;
      yi[out + stride] = turnR * s1 + turnI * c1;
      yr[out + 2 * stride] = halfR * c2 - halfI * s2;
      yi[out + 2 * stride] = halfR * s2 + halfI * c2;
      yr[out + 3 * stride] = backR * c3 - backI * s3;
      yi[out + 3 * stride] = backR * s3 + backI * c3;
    }
  }
}

function radix2Pass(from: Complex, to: Complex): void {
  const half = from.real.length / 2;
  for (let q = 0; q < half; q += 1) {
    const ar = from.real[q]!;
    const ai = from.imaginary[q]!;
    const br = from.real[q + half]!;
    const bi = from.imaginary[q + half]!;
    to.real[q] = ar + br;
    to.imaginary[q] = ai + bi;
    to.real[q + half] = ar - br;
    to.imaginary[q + half] = ai - bi;
  }
}

function newComplex(size: number): Complex {
  return { real: new Float64Array(size), imaginary: new Float64Array(size) };
}

/** Discrete Fourier transform Σ x_j exp(-2πi jk/n), n a power of two. `signal` is overwritten; the answer may lie in it. */
function transform(signal: Complex): Complex {
  const size = signal.real.length;
  const table = twiddles(size, Math.max(1, (3 * size) / 4));
  let from = signal;
  let to = newComplex(size);
  let stride = 1;
  for (; size / stride >= 4; stride *= 4) {
    radix4Pass(from, to, table, stride);
    [from, to] = [to, from];
  }
  if (size / stride === 2) {
    radix2Pass(from, to);
    [from, to] = [to, from];
  }
  return from;
}

/**
 * Spectrum of a real signal, Σ x_j exp(-2πi jk/N).
 *
 * @param signal - length N, a power of two of at least 4
 * @returns every entry within `fftError(N)` × Σ |x_j| of the exact one
 * @example
 * ```ts
 * const { real } = realFft(new Float64Array([1, 2, 3, 4]));
 * real[0]; // 10
 * real[2]; // -2
 * ```
 */
export function realFft(signal: Float64Array): HalfSpectrum {
  const half = signal.length / 2;
  const packed = newComplex(half);
  for (let k = 0; k < half; k += 1) {
    packed.real[k] = signal[2 * k]!;
    packed.imaginary[k] = signal[2 * k + 1]!;
  }
  const { real: zr, imaginary: zi } = transform(packed);
  const { cosine, sine } = twiddles(signal.length, half / 2 + 1);
  const { real, imaginary } = newComplex(half + 1);
  real[0] = zr[0]! + zi[0]!;
  real[half] = zr[0]! - zi[0]!;
  for (let k = 1; k <= half / 2; k += 1) {
    const mirror = half - k;
    const sumR = (zr[k]! + zr[mirror]!) / 2;
    const sumI = (zi[k]! - zi[mirror]!) / 2;
    const gapR = (zr[k]! - zr[mirror]!) / 2;
    const gapI = (zi[k]! + zi[mirror]!) / 2;
    // -i exp(-2πi k/N) × gap
    const turnedR = gapI * cosine[k]! - gapR * sine[k]!;
    const turnedI = -gapR * cosine[k]! - gapI * sine[k]!;
    real[k] = sumR + turnedR;
    imaginary[k] = sumI + turnedI;
    real[mirror] = sumR - turnedR;
    imaginary[mirror] = turnedI - sumI;
  }
  return { real, imaginary };
}

/**
 * The real signal whose spectrum is given: the inverse of `realFft`.
 *
 * @param spectrum - entries 0 to N/2, N a power of two of at least 4; those at 0 and N/2 are taken to be real
 * @returns every entry within `fftError(N)` × the mean modulus of the spectrum's N entries of the exact one
 * @example
 * ```ts
 * inverseRealFft(realFft(new Float64Array([1, 2, 3, 4])))[2]; // ~3.00000000000000
 * ```
 */
export function inverseRealFft({ real, imaginary }: HalfSpectrum): Float64Array {
  const half = real.length - 1;
  const { cosine, sine } = twiddles(2 * half, half / 2 + 1);
  const packed = newComplex(half);
  // Real and imaginary parts change places, which turns the forward transform into the inverse.
  packed.imaginary[0] = (real[0]! + real[half]!) / 2;
  packed.real[0] = (real[0]! - real[half]!) / 2;
  for (let k = 1; k <= half / 2; k += 1) {
    const mirror = half - k;
    const sumR = (real[k]! + real[mirror]!) / 2;
    const sumI = (imaginary[k]! - imaginary[mirror]!) / 2;
    const gapR = (real[k]! - real[mirror]!) / 2;
    const gapI = (imaginary[k]! + imaginary[mirror]!) / 2;
    // i exp(2πi k/N) × gap
    const turnedR = -gapR * sine[k]! - gapI * cosine[k]!;
    const turnedI = gapR * cosine[k]! - gapI * sine[k]!;
    packed.imaginary[k] = sumR + turnedR;
    packed.real[k] = sumI + turnedI;
    packed.imaginary[mirror] = sumR - turnedR;
    packed.real[mirror] = turnedI - sumI;
  }
  const { real: odd, imaginary: even } = transform(packed);
  const signal = new Float64Array(2 * half);
  for (let k = 0; k < half; k += 1) {
    signal[2 * k] = even[k]! / half;
    signal[2 * k + 1] = odd[k]! / half;
  }
  return signal;
}

/**
 * Bound on the rounding error of a transform of length `size`, relative to the sum of the moduli of its input.
 *
 * Every output is a sum over paths of log2(size) butterflies; a butterfly rounds by less than 6 units of 2^-53
 * (a complex product, its twiddle factor and a sum; Higham, Accuracy and Stability, 2nd ed., Sec. 24.1), the packing counts as two.
 *
 * @example
 * ```ts
 * fftError(2 ** 20) < 1.5e-14; // true
 * ```
 */
export function fftError(size: number): number {
  return 6 * (Math.log2(size) + 2) * 2 ** -53;
}
