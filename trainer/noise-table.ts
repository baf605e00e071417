/**
 * The envelope that a Gaussian is drawn under: half the bell, in columns of equal width, each as many boxes high
 * as are needed to cover it; all boxes are equally likely. Beyond the last column a geometric tail.
 */
export interface NoiseTable {
  /** Boxes from here on are the tail's, those from `boxes.length` on are drawn again. */
  readonly columnBoxes: number;
  /** The column of each box. */
  readonly boxes: Uint8Array;
  /** Boxes in each column. */
  readonly heights: Uint16Array;
  /** Chances of 2^acceptBits below which a place in the column lies under the bell wherever in the column it is. */
  readonly sure: Int32Array;
}

/** Columns to one standard deviation. */
export const columnsPerDeviation = 64;
/** Columns up to 4 standard deviations; the tail begins there. */
export const columns = 256;
/** Boxes as high as the bell at 0. */
export const peakBoxes = 201;
/**
 * Boxes of the tail, which comes in pieces of 12 columns, each half as likely as the one before. The first gets one box,
 * so it is 1/12 of a box high, where the bell is 201 exp(-8) = 0.067 of one. From piece to piece the bell
 * falls by exp(-4 · 12/64) = 0.47 or more, the tail by 1/2.
 */
export const tailBoxes = 2;
/** Width of a piece of the tail, in columns. */
export const tailPiece = 12;
/** Bits that choose a box. */
export const boxBits = 14;
/** Bits of the same word that decide on acceptance; the last of its 32 is the sign. */
export const acceptBits = 17;

// Heights are rounded up and sure chances down by more than Math.exp can be off.
const margin = 2 ** -40;

function bell(column: number): number {
  const x = column / columnsPerDeviation;
  return Math.exp((-x * x) / 2);
}

/** Builds the table; `test/trainer/noise.test.ts` checks in exact arithmetic that it covers the bell. */
export function buildNoiseTable(): NoiseTable {
  const heights = Uint16Array.from({ length: columns }, (_, column) =>
    Math.ceil(peakBoxes * bell(column) * (1 + margin)),
  );
  const sure = Int32Array.from(heights, (height, column) =>
    Math.floor(((2 ** acceptBits * peakBoxes * bell(column + 1)) / height) * (1 - margin)),
  );
  const columnBoxes = heights.reduce((sum, height) => sum + height, 0);
  const boxes = new Uint8Array(columnBoxes + tailBoxes);
  let start = 0;
  heights.forEach((height, column) => boxes.fill(column, start, (start += height)));
  return { columnBoxes, boxes, heights, sure };
}
