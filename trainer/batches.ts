/** The static shape of one run of the step graph. */
export interface StepShape {
  /** Units of protection side by side: each is clipped by itself. */
  readonly units: number;
  readonly rowsPerUnit: number;
  /** Positions in a row, padding included. */
  readonly tokens: number;
}

/** The rows of one unit: one record for Group Privacy, a user's records for User-wise DP-SGD. */
export type UnitRows = readonly Int32Array[];

/** One run of the step graph, padded to its shape. Padding has weight zero and comes after the text. */
export interface MicroBatch {
  readonly shape: StepShape;
  /** Units that hold text; the rest is padding. */
  readonly unitsFilled: number;
  readonly inputIds: Int32Array;
  readonly targetIds: Int32Array;
  readonly tokenWeights: Float32Array;
}

/** What one run may hold at most. */
export interface PhysicalLimits {
  /** Units × rows × positions. */
  readonly tokens: number;
  readonly units: number;
}

/** A step's units as runs of the graph. */
export interface PackedUnits {
  /** Whole units, clipped in the graph. */
  readonly batches: readonly MicroBatch[];
  /** Each entry is one unit too large for a run: its parts' raw gradients are added up, then clipped once. */
  readonly oversized: readonly (readonly MicroBatch[])[];
}

/** How rows are read and laid out. */
export interface PackOptions {
  readonly contextLength: number;
  /** First input of every row: the model predicts a text's first token from it. */
  readonly endOfText: number;
  readonly limits: PhysicalLimits;
  /** Most rows that a unit has, where that is known: no unit is padded beyond it. */
  readonly mostRows?: number;
}

const leastTokens = 16;

/**
 * The smallest power of two that is at least `count`.
 *
 * @example
 * ```ts
 * [1, 3, 16].map(powerOfTwoAbove); // [1, 4, 16]
 * ```
 */
export function powerOfTwoAbove(count: number): number {
  let power = 1;
  while (power < count) power *= 2;
  return power;
}

/** Positions that rows of up to `length` tokens are padded to: a power of two >= 16, at most the context. */
export function paddedTokens(length: number, contextLength: number): number {
  return Math.min(contextLength, Math.max(leastTokens, powerOfTwoAbove(Math.min(length, contextLength))));
}

const mostTokens = 1024;
const mostUnits = 64;

/**
 * How much one run may hold for a model. Engines keep the memory of every shape that they ran, so
 * runs are small: measured on two layers of width 64, runs of 1,024 tokens are as fast as runs of
 * 4,096 and hold a third of the memory. Large vocabularies lower it further: logits take
 * tokens × vocabulary values. Units' gradients don't: a step that would keep too many of them takes ghost norms.
 *
 * @example
 * ```ts
 * physicalLimits({ vocabularySize: 257, contextLength: 128 }); // { tokens: 1024, units: 64 }
 * ```
 */
export function physicalLimits(model: { vocabularySize: number; contextLength: number }): PhysicalLimits {
  const logits = Math.floor(Math.max(1, 2 ** 26 / model.vocabularySize));
  const tokens = Math.min(mostTokens, powerOfTwoAbove((logits + 1) / 2));
  return { tokens: Math.max(tokens, powerOfTwoAbove(model.contextLength)), units: mostUnits };
}

interface SizedUnit {
  readonly rows: UnitRows;
  readonly rowsPerUnit: number;
  readonly tokens: number;
}

function sizeOf(rows: UnitRows, options: PackOptions): SizedUnit {
  const longest = rows.reduce((max, row) => Math.max(max, row.length), 0);
  const { contextLength, mostRows = Infinity } = options;
  const padded = powerOfTwoAbove(rows.length);
  const rowsPerUnit = rows.length > mostRows ? padded : Math.min(padded, mostRows);
  return { rows, rowsPerUnit, tokens: paddedTokens(longest, contextLength) };
}

/**
 * Packs units into runs of few static shapes. A unit is never split between two runs that clip:
 * it goes whole into one, or, where it is larger than a run, into parts that are added up before
 * its one clip. Units without rows take part in no run; their gradient is zero.
 *
 * Token weights make a unit's loss the mean over its records of the mean over the record's tokens.
 */
export function packUnits(units: readonly UnitRows[], options: PackOptions): PackedUnits {
  const sized = units.filter(rows => rows.length > 0).map(rows => sizeOf(rows, options));
  const fits = ({ rowsPerUnit, tokens }: SizedUnit): boolean => rowsPerUnit * tokens <= options.limits.tokens;
  const classes = groupBy(sized.filter(fits), unit => unit.rowsPerUnit);
  return {
    batches: classes.flatMap(units => packClass(units, options)),
    oversized: sized.filter(unit => !fits(unit)).map(unit => packParts(unit.rows, options)),
  };
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => number): Item[][] {
  const groups = new Map<number, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item)) ?? [];
    group.push(item);
    groups.set(keyOf(item), group);
  }
  return [...groups].sort(([first], [second]) => first - second).map(([, group]) => group);
}

/**
 * Packs units of one number of rows, short texts first. What is left over of one length, less than
 * half a run, goes along with the next longer one: a few more padded tokens, but fewer runs, and
 * fewer shapes to compile and keep.
 */
function packClass(units: readonly SizedUnit[], options: PackOptions): MicroBatch[] {
  const batches: MicroBatch[] = [];
  let carried: SizedUnit[] = [];
  const lengths = groupBy(units, unit => unit.tokens);
  for (const [index, group] of lengths.entries()) {
    const { rowsPerUnit, tokens } = group[0]!;
    const most = Math.min(options.limits.units, Math.floor(options.limits.tokens / (rowsPerUnit * tokens)));
    const waiting = [...carried, ...group];
    while (waiting.length >= most / 2 || (index === lengths.length - 1 && waiting.length > 0)) {
      const filled = waiting.splice(0, most).map(unit => unit.rows);
      const shape = { units: placesFor(filled.length, most), rowsPerUnit, tokens };
      batches.push(fill(filled, { ...options, shape, weightOf: (rows, read) => 1 / (rows.length * read) }));
    }
    carried = waiting;
  }
  return batches;
}

/** Places for `filled` units: the whole run, or a half, a quarter, ... of it. */
function placesFor(filled: number, most: number): number {
  let places = most;
  while (Math.ceil(places / 2) >= filled && places > 1) places = Math.ceil(places / 2);
  return places;
}

/** One unit cut into parts that each fit a run; the whole unit's record count weighs every part. */
function packParts(rows: UnitRows, options: PackOptions): MicroBatch[] {
  return packRows(rows, { ...options, weightOf: read => 1 / (rows.length * read) });
}

/** A run of rows without units, and where in the input each row comes from. */
export interface RowBatch extends MicroBatch {
  readonly sources: readonly number[];
}

/**
 * Packs rows into runs of one unit each, rows of like length together: for gradients that are
 * added up unclipped, and for evaluation.
 *
 * @param options - weightOf: weight of each token in a row of which `read` tokens are read
 */
export function packRows(
  rows: UnitRows,
  options: PackOptions & { weightOf: (read: number) => number },
): RowBatch[] {
  const sized = rows.map((row, source) => ({ ...sizeOf([row], options), source }));
  return groupBy(sized, row => row.tokens).flatMap(bucket => {
    const { tokens } = bucket[0]!;
    const most = Math.floor(options.limits.tokens / tokens);
    const parts: RowBatch[] = [];
    for (let start = 0; start < bucket.length; start += most) {
      const sources = bucket.slice(start, start + most).map(row => row.source);
      const shape = { units: 1, rowsPerUnit: placesFor(sources.length, most), tokens };
      const part = sources.map(source => rows[source]!);
      const filled = fill([part], { ...options, shape, weightOf: (_, read) => options.weightOf(read) });
      parts.push({ ...filled, sources });
    }
    return parts;
  });
}

interface FillOptions extends PackOptions {
  readonly shape: StepShape;
  /** Weight of each token in a row of the unit of which `read` tokens are read. */
  readonly weightOf: (rows: UnitRows, read: number) => number;
}

function fill(units: readonly UnitRows[], options: FillOptions): MicroBatch {
  const { shape, contextLength, endOfText, weightOf } = options;
  const size = shape.units * shape.rowsPerUnit * shape.tokens;
  const inputIds = new Int32Array(size).fill(endOfText);
  const targetIds = new Int32Array(size).fill(endOfText);
  const tokenWeights = new Float32Array(size);
  for (const [unit, rows] of units.entries()) {
    for (const [row, tokens] of rows.entries()) {
      const start = (unit * shape.rowsPerUnit + row) * shape.tokens;
      const read = tokens.subarray(0, contextLength);
      targetIds.set(read, start);
      inputIds.set(read.subarray(0, read.length - 1), start + 1);
      tokenWeights.fill(weightOf(rows, read.length), start, start + read.length);
    }
  }
  return { shape, unitsFilled: units.length, inputIds, targetIds, tokenWeights };
}
