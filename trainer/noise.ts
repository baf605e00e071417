import { checkNonNegative, DpError } from '../accounting/check.ts';
import {
  edgeAbove,
  edgeAt,
  edgeBelow,
  finishDraw,
  unit32,
  type OpenDraw,
  type WordSource,
} from './noise-exact.ts';
import { acceptBits, boxBits, buildNoiseTable, columnsPerDeviation } from './noise-table.ts';
import type { RandomWords } from './randomness.ts';

const table = buildNoiseTable();
const boxShift = 32 - boxBits;
const acceptMask = 2 ** acceptBits - 1;
const clearMargin = 2 ** -20;
const blockLength = 8192;
// A short call becomes compiled code as a whole; out of a long loop V8 makes a slower version, and stays with it.
const stretchLength = 512;
const furtherWords = 256;
const gridBits = 22;

/**
 * The grid that noised sums lie on: the largest power of two of which the standard deviation holds at least 2^22.
 * It follows from the plan, not from the data.
 *
 * @param standardDeviation - above 0
 * @example
 * ```ts
 * noiseGrid(1.5) * 2 ** 22; // 1
 * ```
 */
export function noiseGrid(standardDeviation: number): number {
  const grid = 2 ** (Math.floor(Math.log2(standardDeviation)) - gridBits);
  // Math.log2 may reach the next whole number too early.
  return standardDeviation / grid < 2 ** gridBits ? grid / 2 : grid;
}

/** Words for the few draws that need more than their first two. */
class FurtherWords implements WordSource {
  readonly #buffer = new Uint32Array(furtherWords);
  readonly #bits: RandomWords;
  #position = furtherWords;

  constructor(bits: RandomWords) {
    this.#bits = bits;
  }

  next(): number {
    if (this.#position === furtherWords) {
      this.#bits.fillWords(this.#buffer);
      this.#position = 0;
    }
    return this.#buffer[this.#position++]!;
  }
}

/**
 * Adds independent Gaussian noise to every coordinate, in place, and rounds to a public grid: the result is
 * exactly (sum + Z) rounded to the nearest multiple of `noiseGrid(standardDeviation)`, with Z a draw of the real
 * N(0, standardDeviation²), tails and all.
 *
 * What is proved: rounding a real number to a fixed grid is post-processing, so the guarantee is that of the Gaussian
 * mechanism on real numbers, without a slack for rounding and with the same accounting. Nothing of the sum is left in
 * the low bits of the result, which is what Mironov (CCS 2012) and Holohan and Braghin (2021) read out of
 * floating-point noise.
 *
 * How: rejection from a table of boxes over the bell, decided from the first 64 random bits of a draw where they
 * suffice. Where the error of floating point could change what is accepted or which way it is rounded, more bits are drawn
 * and the question is settled in whole numbers, so the outcome is the one that endless bits would have given. Taken
 * for granted: that Math.exp is right to 2^-40, and that the generator's words are uniform.
 *
 * The clipped sum has sensitivity clipNorm (arXiv 2406.14322, both mechanisms), so the standard
 * deviation to give here is noiseMultiplier × clipNorm, on the sum, before any division.
 *
 * Known limit: how long it takes depends on the draws, as that of every sampler by rejection.
 *
 * @param sum - shape [parameters], finite, changed in place
 * @param options - standardDeviation: in the unit of the sum, >= 0, 0 changes nothing; bits: a stream used by nothing else; further: one
 *   for the few draws that take more than two words, so that the words of every coordinate have a place of their own in `bits`: see
 *   `noiseOfWords`. Where left out they come out of `bits` in between
 * @throws `INVALID_ARGUMENT`; `INVALID_DATA` where a value of the sum is not finite or beyond 2^1023 grid steps
 * @example
 * ```ts
 * const sum = Float64Array.of(0.3);
 * addGaussianNoise(sum, { standardDeviation: 1, bits: { fillWords: words => words.fill(0) } });
 * sum[0] * 2 ** 22; // 1258291
 * ```
 */
export function addGaussianNoise(
  sum: Float64Array,
  options: { standardDeviation: number; bits: RandomWords; further?: RandomWords },
): void {
  const { standardDeviation, bits, further = bits } = options;
  checkNonNegative(standardDeviation, { verb: 'add noise', name: 'standardDeviation' });
  if (standardDeviation === 0) return;
  const grid = noiseGrid(standardDeviation);
  const columnWidth = standardDeviation / grid / columnsPerDeviation;
  const words = new Uint32Array(2 * Math.min(blockLength, sum.length));
  const adder = new NoiseAdder({ grid, further: new FurtherWords(further), columnWidth });
  for (let start = 0; start < sum.length; start += blockLength) {
    bits.fillWords(words);
    const end = Math.min(sum.length, start + blockLength);
    for (let from = start; from < end; from += stretchLength) {
      const values = sum.subarray(from, Math.min(end, from + stretchLength));
      adder.add(values, words.subarray(2 * (from - start)));
    }
  }
}

/**
 * The noise that `addGaussianNoise` adds to a coordinate whose two words are these, but for the rounding to the grid: what is added
 * differs from it by at most half a step of the grid and 2^-32 of a column. Undefined where more than two words decide: one coordinate in sixty.
 *
 * @param words - word: the first, fraction: the second
 */
export function noiseOfWords(
  words: { word: number; fraction: number },
  standardDeviation: number,
): number | undefined {
  const { word, fraction } = words;
  if (standingOf(word, fraction) <= 0) return undefined;
  return roughSum(word, { fraction, rest: 0, columnWidth: standardDeviation / columnsPerDeviation });
}

/** Adds noise to a few coordinates at a time, from two words for each. */
class NoiseAdder {
  /** Coordinates that their two words do not settle. */
  readonly #open = new Int32Array(stretchLength);
  // Numbers of an array are numbers to V8 as well; those of objects and of modules it looks at again in every pass.
  readonly #scales: Float64Array;
  readonly #further: WordSource;

  constructor({ grid, columnWidth, further }: { grid: number; columnWidth: number; further: WordSource }) {
    this.#scales = Float64Array.of(grid, columnWidth, clearlyRounded(columnWidth));
    this.#further = further;
  }

  add(sum: Float64Array, words: Uint32Array): void {
    const count = this.#settle(sum, words);
    const grid = this.#scales[0]!;
    const columnWidth = this.#scales[1]!;
    const perGrid = 1 / grid;
    for (let at = 0; at < count; at += 1) {
      const index = this.#open[at]!;
      const scaled = sum[index]! * perGrid;
      const whole = Math.trunc(scaled);
      const word = words[2 * index]!;
      const fraction = words[2 * index + 1]!;
      const draw = { word, fraction, rest: scaled - whole, columnWidth };
      sum[index] = (whole + drawOn(draw, this.#further)) * grid;
    }
  }

  /** Adds the noise that two words settle; puts the other places into `open` and returns how many they are. */
  #settle(sum: Float64Array, words: Uint32Array): number {
    const { columnBoxes, boxes, sure } = table;
    const open = this.#open;
    const grid = this.#scales[0]!;
    const columnWidth = this.#scales[1]!;
    const clear = this.#scales[2]!;
    const perGrid = 1 / grid;
    const unit = columnWidth * unit32;
    const shift = 32 - boxBits;
    const mask = (1 << acceptBits) - 1;
    const most = 1 / unit32;
    let count = 0;
    for (let index = 0; index < sum.length; index += 1) {
      const scaled = sum[index]! * perGrid;
      const word = words[2 * index]!;
      const box = word >>> shift;
      if (box < columnBoxes && Math.abs(scaled) < most) {
        const column = boxes[box]!;
        const sign = 1 - ((word & 1) << 1);
        const noised = scaled + sign * (column * columnWidth + words[2 * index + 1]! * unit);
        // Half the time of Math.round.
        const rounded = Math.floor(noised + 0.5);
        if (((word >>> 1) & mask) < sure[column]! && Math.abs(noised - rounded) < clear) {
          sum[index] = rounded * grid;
          continue;
        }
      }
      open[count] = index;
      count += 1;
    }
    return count;
  }
}

/** A place is known to 2^-32 of a column, and numbers below 2^33 are off by less than 2^-20 after four roundings. */
function clearlyRounded(columnWidth: number): number {
  return 0.5 - columnWidth * unit32 - clearMargin;
}

function notFinite(): DpError {
  return new DpError(
    'INVALID_DATA',
    'Cannot add noise: a value of the sum is not finite in steps of the grid. Leave out what made it so.',
  );
}

/** Goes on with a draw that its first bits did not settle, and with new ones where it is rejected. */
function drawOn(first: OpenDraw, source: WordSource): number {
  const { rest, columnWidth } = first;
  if (!Number.isFinite(rest)) throw notFinite();
  let { word, fraction } = first;
  for (;;) {
    const standing = standingOf(word, fraction);
    const noised = standing < 0 ? NaN : roughSum(word, { fraction, rest, columnWidth });
    const rounded = Math.floor(noised + 0.5);
    if (standing > 0 && Math.abs(noised - rounded) < clearlyRounded(columnWidth)) return rounded;
    if (standing >= 0) {
      const finished = finishDraw({ word, fraction, rest, columnWidth }, { table, source });
      if (finished !== undefined) return finished;
    }
    word = source.next();
    fraction = source.next();
  }
}

/** 1 where a draw surely lies under the bell, -1 where it surely is to be drawn again, 0 where more bits have to tell. */
function standingOf(word: number, fraction: number): -1 | 0 | 1 {
  const box = word >>> boxShift;
  if (box >= table.columnBoxes) return box < table.boxes.length ? 0 : -1;
  const column = table.boxes[box]!;
  const accepting = (word >>> 1) & acceptMask;
  const edge = edgeAt(table, { column, fraction });
  if (accepting >= edge * edgeAbove) return -1;
  return accepting + 1 <= edge * edgeBelow ? 1 : 0;
}

function roughSum(word: number, { fraction, rest, columnWidth }: Omit<OpenDraw, 'word'>): number {
  const noise = (table.boxes[word >>> boxShift]! + fraction * unit32) * columnWidth;
  return (word & 1) === 0 ? rest + noise : rest - noise;
}
