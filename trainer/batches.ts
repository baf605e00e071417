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

/** What one run may hold at most. Both are powers of two. */
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

/**
 * How much one run may hold for a model, so that its memory stays in the hundreds of megabytes:
 * logits of tokens × vocabulary values, and units × trainable values for the units' own gradients.
 *
 * @example
 * ```ts
 * physicalLimits({ vocabularySize: 257, contextLength: 128, trainable: 200_000 }); // { tokens: 4096, units: 64 }
 * ```
 */
export function physicalLimits(model: {
  vocabularySize: number;
  contextLength: number;
  trainable: number;
}): PhysicalLimits {
  const within = (budget: number): number => powerOfTwoAbove((Math.floor(Math.max(1, budget)) + 1) / 2);
  const tokens = Math.min(4096, within(2 ** 26 / model.vocabularySize));
  return {
    tokens: Math.max(tokens, powerOfTwoAbove(model.contextLength)),
    units: Math.min(256, within(2 ** 24 / model.trainable)),
  };
}

interface SizedUnit {
  readonly rows: UnitRows;
  readonly rowsPerUnit: number;
  readonly tokens: number;
}

function sizeOf(rows: UnitRows, contextLength: number): SizedUnit {
  const longest = rows.reduce((max, row) => Math.max(max, row.length), 0);
  return { rows, rowsPerUnit: powerOfTwoAbove(rows.length), tokens: paddedTokens(longest, contextLength) };
}

/**
 * Packs units into runs of few static shapes. A unit is never split between two runs that clip:
 * it goes whole into one, or, where it is larger than a run, into parts that are added up before
 * its one clip. Units without rows take part in no run; their gradient is zero.
 *
 * Token weights make a unit's loss the mean over its records of the mean over the record's tokens.
 */
export function packUnits(units: readonly UnitRows[], options: PackOptions): PackedUnits {
  const sized = units.filter(rows => rows.length > 0).map(rows => sizeOf(rows, options.contextLength));
  const fits = ({ rowsPerUnit, tokens }: SizedUnit): boolean =>
    rowsPerUnit * powerOfTwoAbove(tokens) <= options.limits.tokens;
  return {
    batches: bucketsOf(sized.filter(fits)).flatMap(bucket => packBucket(bucket, options)),
    oversized: sized.filter(unit => !fits(unit)).map(unit => packParts(unit.rows, options)),
  };
}

function bucketsOf<Sized extends SizedUnit>(units: readonly Sized[]): Sized[][] {
  const buckets = new Map<string, Sized[]>();
  for (const unit of units) {
    const key = `${unit.rowsPerUnit}x${unit.tokens}`;
    const bucket = buckets.get(key) ?? [];
    bucket.push(unit);
    buckets.set(key, bucket);
  }
  return [...buckets.values()];
}

function packBucket(bucket: readonly SizedUnit[], options: PackOptions): MicroBatch[] {
  const { rowsPerUnit, tokens } = bucket[0]!;
  const most = Math.min(
    options.limits.units,
    options.limits.tokens / (rowsPerUnit * powerOfTwoAbove(tokens)),
  );
  const batches: MicroBatch[] = [];
  for (let start = 0; start < bucket.length; start += most) {
    const filled = bucket.slice(start, start + most).map(unit => unit.rows);
    const shape = { units: powerOfTwoAbove(filled.length), rowsPerUnit, tokens };
    batches.push(fill(filled, { ...options, shape, weightOf: (rows, read) => 1 / (rows.length * read) }));
  }
  return batches;
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
  const sized = rows.map((row, source) => ({ ...sizeOf([row], options.contextLength), source }));
  return bucketsOf(sized).flatMap(bucket => {
    const { tokens } = bucket[0]!;
    const most = options.limits.tokens / powerOfTwoAbove(tokens);
    const parts: RowBatch[] = [];
    for (let start = 0; start < bucket.length; start += most) {
      const sources = bucket.slice(start, start + most).map(row => row.source);
      const shape = { units: 1, rowsPerUnit: powerOfTwoAbove(sources.length), tokens };
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
