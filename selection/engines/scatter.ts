/** Where rows of a batch go: row `r`, from `from` to `to`, to word `rows[r - base]`, nowhere where that is -1. */
export interface Targets {
  readonly rows: Int32Array;
  readonly base: number;
  readonly from: number;
  readonly to: number;
}

export function scatterWords(
  words: Int32Array,
  { rows, base, from, to }: Targets,
  { offset, source }: { readonly offset: number; readonly source: Int32Array },
): void {
  for (let row = from; row < to; row++) {
    const target = rows[row - base]!;
    if (target >= 0) words[target + offset] = source[row]!;
  }
}

/** Numbers of 64 bits as two words each. */
export function scatterPairs(
  words: Int32Array,
  { rows, base, from, to }: Targets,
  { offset, source }: { readonly offset: number; readonly source: Float64Array },
): void {
  const pairs = new Int32Array(source.buffer, source.byteOffset, 2 * source.length);
  for (let row = from; row < to; row++) {
    const target = rows[row - base]!;
    if (target < 0) continue;
    words[target + offset] = pairs[2 * row]!;
    words[target + offset + 1] = pairs[2 * row + 1]!;
  }
}

/** The places of the rows in the source. */
export function scatterPlaces(
  words: Int32Array,
  { rows, base, from, to }: Targets,
  { offset, firstRow }: { readonly offset: number; readonly firstRow: number },
): void {
  for (let row = from; row < to; row++) {
    const target = rows[row - base]!;
    if (target >= 0) words[target + offset] = firstRow + row;
  }
}

export function scatterZeros(words: Int32Array, { rows, base, from, to }: Targets, offset: number): void {
  for (let row = from; row < to; row++) {
    const target = rows[row - base]!;
    if (target >= 0) words[target + offset] = 0;
  }
}
