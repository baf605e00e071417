const scratch = new DataView(new ArrayBuffer(4));

/**
 * The value of an IEEE 754 half-precision number.
 *
 * @param bits - the 16 bits
 * @example
 * ```ts
 * halfToNumber(0x3c00); // 1
 * halfToNumber(0x0001); // ~5.96e-8
 * ```
 */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The value of a bfloat16 number: the upper half of a float32.
 *
 * @param bits - the 16 bits
 * @example
 * ```ts
 * brainFloatToNumber(0x3f80); // 1
 * ```
 */
export function brainFloatToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** A float32's bits as a half, ties to even; from 65520 on the result is infinite. */
function halfOfFloatBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00;
  if (magnitude >= 0x4780_0000) return sign | 0x7c00;
  if (magnitude < 0x3880_0000) return sign | subnormalHalf(magnitude);
  return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x3800_0000) >>> 13);
}

/** Below 2^-14 a half counts multiples of 2^-24; adding 2^52 rounds a double to a whole number, ties to even. */
function subnormalHalf(magnitude: number): number {
  scratch.setUint32(0, magnitude);
  return scratch.getFloat32(0) * 2 ** 24 + 2 ** 52 - 2 ** 52;
}

function brainFloatOfFloatBits(bits: number): number {
  if ((bits & 0x7fff_ffff) > 0x7f80_0000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/**
 * Rounds float32 values to half precision, ties to even.
 *
 * @returns the bits of each; infinite from 65520 on
 * @example
 * ```ts
 * [...toHalves(Float32Array.of(1, 65504, 65520))]; // [0x3c00, 0x7bff, 0x7c00]
 * ```
 */
export function toHalves(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let index = 0; index < words.length; index++) halves[index] = halfOfFloatBits(words[index]!);
  return halves;
}

/**
 * Rounds float32 values to bfloat16, ties to even.
 *
 * @returns the bits of each
 * @example
 * ```ts
 * [...toBrainFloats(Float32Array.of(1, 1 + 2 ** -8))]; // [0x3f80, 0x3f80]
 * ```
 */
export function toBrainFloats(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let index = 0; index < words.length; index++) halves[index] = brainFloatOfFloatBits(words[index]!);
  return halves;
}

let halfValues: Float32Array | undefined;

/** Widens half-precision numbers, as many as there are. */
export function fromHalves(bits: Uint16Array): Float32Array {
  halfValues ??= Float32Array.from({ length: 0x1_0000 }, (_, half) => halfToNumber(half));
  const values = new Float32Array(bits.length);
  for (let index = 0; index < bits.length; index++) values[index] = halfValues[bits[index]!]!;
  return values;
}

/** Widens bfloat16 numbers, as many as there are. */
export function fromBrainFloats(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let index = 0; index < bits.length; index++) words[index] = bits[index]! << 16;
  return new Float32Array(words.buffer);
}
