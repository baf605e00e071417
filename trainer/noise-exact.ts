import {
  acceptBits,
  boxBits,
  columns,
  columnsPerDeviation,
  peakBoxes,
  tailPiece,
  type NoiseTable,
} from './noise-table.ts';

/** Uniform words, one at a time. */
export interface WordSource {
  /** The next word, uniform over 0 .. 2^32 - 1. */
  next(): number;
}

/** What a draw that floating point could not finish has to go on with. */
export interface OpenDraw {
  /** Box, acceptance and sign. */
  readonly word: number;
  /** First 32 bits of the place in the column. */
  readonly fraction: number;
  /** What the noise is added to, in units of the grid, without its whole part. */
  readonly rest: number;
  /** Width of a column in units of the grid. */
  readonly columnWidth: number;
}

/** A uniform real number in [0, 1) of which the first bits are known; more are drawn when they are asked for. */
class LazyUniform {
  value: bigint;
  bits: number;
  readonly #source: WordSource;

  constructor(first: { value: number; bits: number }, source: WordSource) {
    this.value = BigInt(first.value);
    this.bits = first.bits;
    this.#source = source;
  }

  extend(): void {
    this.value = (this.value << 32n) | BigInt(this.#source.next());
    this.bits += 32;
  }
}

/** Where a draw lies: at (start + width × place) columns, under a box height of heightOver / heightUnder. */
interface Strip {
  readonly start: number;
  readonly width: number;
  readonly heightOver: number;
  /** A power of two times a small number. */
  readonly heightUnder: number;
}

/** Trust in Math.exp, relative: V8 is off by less than 2^-52. What lies closer is decided in whole numbers. */
const trust = 2 ** -40;
// Powers are taken once: V8 works out `2 ** -32` anew wherever it stands.
const acceptScale = 2 ** acceptBits * peakBoxes;
/** 2^-32, what the last bit of a word is worth. */
export const unit32: number = 2 ** -32;
/** exp(-x²/2) at x = c / 64 columns is exp(-c² / 2^13). */
const squareShift = 1 + 2 * Math.log2(columnsPerDeviation);

/**
 * Finishes a draw exactly: in whole numbers of any length where the error of floating point could matter.
 *
 * @returns rest plus noise, rounded to a whole number; undefined where the draw is rejected and a new one is due
 */
export function finishDraw(
  draw: OpenDraw,
  options: { table: NoiseTable; source: WordSource },
): number | undefined {
  const { table, source } = options;
  const box = draw.word >>> (32 - boxBits);
  if (box >= table.boxes.length) return undefined;
  const strip = stripOf(box, options);
  const { fraction, word } = draw;
  const accepting = (word >>> 1) % 2 ** acceptBits;
  const isRoughlyUnder = roughly(strip, { fraction, accepting });
  if (isRoughlyUnder === false) return undefined;
  const place = new LazyUniform({ value: fraction, bits: 32 }, source);
  const chance = new LazyUniform({ value: accepting, bits: acceptBits }, source);
  if (isRoughlyUnder === undefined && !isUnderBell(strip, { place, chance })) return undefined;
  return roundedSum(draw, { strip, place });
}

function stripOf(box: number, { table, source }: { table: NoiseTable; source: WordSource }): Strip {
  if (box < table.columnBoxes) {
    const start = table.boxes[box]!;
    return { start, width: 1, heightOver: table.heights[start]!, heightUnder: 1 };
  }
  const piece = leadingZeros(source);
  return {
    start: columns + tailPiece * piece,
    width: tailPiece,
    heightOver: 1,
    heightUnder: tailPiece * 2 ** piece,
  };
}

/** Number of zeros before the first one in an endless row of coins. */
function leadingZeros(source: WordSource): number {
  let zeros = 0;
  let word = source.next();
  while (word === 0) {
    zeros += 32;
    word = source.next();
  }
  return zeros + Math.clz32(word);
}

/** The chance, of 2^17, below which a draw lies under the bell at a place in a column; `fraction` in 2^-32. */
export function edgeAt(
  table: NoiseTable,
  { column, fraction }: { column: number; fraction: number },
): number {
  const x = (column + fraction * unit32) / columnsPerDeviation;
  return (acceptScale * Math.exp((-x * x) / 2)) / table.heights[column]!;
}

// Within the last bit of the fraction the bell falls by less than 4 · 2^-38 of itself, and Math.exp is trusted to 2^-40.
const edgeMargin = 2 ** -34;
/** Times the edge: what lies as high is above the bell whatever bits follow. */
export const edgeAbove: number = 1 + edgeMargin;
/** Times the edge: what ends as low is under the bell whatever bits follow. */
export const edgeBelow: number = 1 - edgeMargin;

/** Whether a draw lies under the bell, for any strip; undefined where more bits have to tell. */
function roughly(
  strip: Strip,
  { fraction, accepting }: { fraction: number; accepting: number },
): boolean | undefined {
  const { start, width, heightOver, heightUnder } = strip;
  const bellAt = (place: number): number => {
    const x = (start + width * place * unit32) / columnsPerDeviation;
    return (acceptScale * heightUnder * Math.exp((-x * x) / 2)) / heightOver;
  };
  if (accepting + 1 <= bellAt(fraction + 1) * (1 - trust)) return true;
  return accepting >= bellAt(fraction) * (1 + trust) ? false : undefined;
}

/** Whether chance × height lies under the bell at the place. */
function isUnderBell(strip: Strip, { place, chance }: { place: LazyUniform; chance: LazyUniform }): boolean {
  const height = BigInt(strip.heightOver);
  for (;;) {
    place.extend();
    chance.extend();
    // chance × height < peak × exp(-y), written as chance × height × exp(y) < peak × under.
    const bits = 2 * place.bits;
    const peak = (BigInt(peakBoxes) * BigInt(strip.heightUnder)) << BigInt(chance.bits + bits);
    const [below, above] = [place.value, place.value + 1n].map(value =>
      exponentOf(strip, { value, bits: place.bits }),
    );
    if ((chance.value + 1n) * height * expAbove(above!, bits) <= peak) return true;
    if (chance.value * height * expBelow(below!, bits) >= peak) return false;
  }
}

/** y = c²/2^13 at c = start + width × value / 2^bits, times 2^(2 bits): exact but for 13 bits, which are left in the shift. */
function exponentOf(strip: Strip, { value, bits }: { value: bigint; bits: number }): Dyadic {
  const place = (BigInt(strip.start) << BigInt(bits)) + BigInt(strip.width) * value;
  return { value: place * place, shift: 2 * bits + squareShift };
}

/** value / 2^shift. */
interface Dyadic {
  readonly value: bigint;
  readonly shift: number;
}

/** A lower bound on exp(y) × 2^bits, for y >= 0: a part of the series, every term rounded down. */
export function expBelow({ value, shift }: Dyadic, bits: number): bigint {
  let term = 1n << BigInt(bits);
  let sum = 0n;
  for (let index = 1n; term > 0n; index += 1n) {
    sum += term;
    term = ((term * value) >> BigInt(shift)) / index;
  }
  return sum;
}

/** An upper bound on exp(y) × 2^bits, for y >= 0: every term rounded up; once terms halve, the last covers the rest. */
export function expAbove({ value, shift }: Dyadic, bits: number): bigint {
  const one = 1n << BigInt(shift);
  let term = 1n << BigInt(bits);
  let sum = 0n;
  for (let index = 1n; term > 2n || index * one < 2n * value; index += 1n) {
    sum += term;
    term = ((term * value) >> BigInt(shift)) / index + 1n;
  }
  return sum + 2n * term + 2n;
}

/** A float64 as a whole number over a power of two, exactly. */
function dyadicOf(number: number): Dyadic {
  let shift = 0;
  let scaled = number;
  while (!Number.isInteger(scaled)) {
    scaled *= 2 ** 53;
    shift += 53;
  }
  return { value: BigInt(scaled), shift };
}

/** floor(rest ± columnWidth × (start + width × place) + 1/2), with as many bits of the place as that takes. */
function roundedSum(draw: OpenDraw, { strip, place }: { strip: Strip; place: LazyUniform }): number {
  const rest = dyadicOf(draw.rest);
  const columnWidth = dyadicOf(draw.columnWidth);
  const sign = draw.word % 2 === 1 ? -1n : 1n;
  for (;;) {
    const shift = BigInt(rest.shift + columnWidth.shift + place.bits);
    const half = 1n << (shift - 1n);
    const [near, far] = [place.value, place.value + 1n].map(value => {
      const columnsAway = (BigInt(strip.start) << BigInt(place.bits)) + BigInt(strip.width) * value;
      const noise = sign * ((columnWidth.value * columnsAway) << BigInt(rest.shift));
      return ((rest.value << BigInt(columnWidth.shift + place.bits)) + noise + half) >> shift;
    });
    if (near === far) return Number(near);
    place.extend();
  }
}
