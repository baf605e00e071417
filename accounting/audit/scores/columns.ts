import { DpError } from '../../check.ts';
import { verb } from './arguments.ts';

/** What was tried with one canary. */
export interface CanaryScore {
  /** Its name, once in a run. */
  readonly canary: string;
  /** Whether it was trained on. */
  readonly included: boolean;
  /** Higher speaks for having been trained on. */
  readonly score: number;
  /** The unit of protection that it belongs to; itself where left out. */
  readonly unit?: string | undefined;
  /** How many copies of it were put in; 1 where left out. */
  readonly repeats?: number | undefined;
  /** The training that it was put into; one and the same where left out. */
  readonly run?: string | undefined;
}

/** Names of rows, in which each text is held once: row i has text `codes[i]`. */
export interface NameColumn {
  readonly codes: Int32Array;
  /** Text n is the UTF-8 from `offsets[n]` to `offsets[n + 1]`. No two texts are the same. */
  readonly bytes: Uint8Array;
  readonly offsets: Int32Array;
}

/** Scores of canaries by column, for more of them than objects are good for. */
export interface CanaryColumns {
  /** Their names, each once in a run. */
  readonly canary: NameColumn;
  /** 1 where a canary was trained on, 0 where not. */
  readonly included: Uint8Array;
  /** Higher speaks for having been trained on. */
  readonly score: Float64Array;
  /** The units of protection that they belong to; themselves where left out. */
  readonly unit?: NameColumn | undefined;
  /** How many copies of each were put in; 1 where left out. */
  readonly repeats?: Float64Array | undefined;
  /** The training that each was put into; one and the same where left out. */
  readonly run?: NameColumn | undefined;
}

/**
 * Names as a column.
 *
 * @example
 * ```ts
 * [...nameColumn(['ada', 'bo', 'ada']).codes]; // [0, 1, 0]
 * ```
 */
export function nameColumn(names: ArrayLike<string>): NameColumn {
  const numbers = new Map<string, number>();
  const codes = new Int32Array(names.length);
  for (let row = 0; row < names.length; row += 1) {
    const known = numbers.get(names[row]!);
    codes[row] = known ?? numbers.size;
    if (known === undefined) numbers.set(names[row]!, numbers.size);
  }
  return { codes, ...packed([...numbers.keys()]) };
}

function packed(texts: readonly string[]): Omit<NameColumn, 'codes'> {
  const offsets = new Int32Array(texts.length + 1);
  for (const [text, value] of texts.entries()) offsets[text + 1] = offsets[text]! + 3 * value.length;
  const bytes = new Uint8Array(offsets.at(-1)!);
  let end = 0;
  for (const [text, value] of texts.entries()) {
    offsets[text] = end;
    end = putText(bytes, value, end);
  }
  offsets[texts.length] = end;
  return { bytes: bytes.subarray(0, end), offsets };
}

/** Puts a text as UTF-8 and gives where it ends; at most three bytes a UTF-16 unit, half a surrogate pair as U+FFFD. */
function putText(bytes: Uint8Array, text: string, start: number): number {
  let at = start;
  for (const sign of text) {
    const point = sign.codePointAt(0)!;
    at = putSign(bytes, point >= 0xd800 && point < 0xe000 ? 0xfffd : point, at);
  }
  return at;
}

function putSign(bytes: Uint8Array, point: number, at: number): number {
  if (point < 0x80) {
    bytes[at] = point;
    return at + 1;
  }
  const more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  bytes[at] = ((0xff00 >> (more + 1)) & 0xff) | (point >> (6 * more));
  for (let byte = 1; byte <= more; byte += 1)
    bytes[at + byte] = 0x80 | ((point >> (6 * (more - byte))) & 0x3f);
  return at + more + 1;
}

/** Rows by column. */
export function columnsOfRows(rows: readonly CanaryScore[]): CanaryColumns {
  const has = (key: 'unit' | 'repeats' | 'run'): boolean => rows.some(row => row[key] !== undefined);
  return {
    canary: nameColumn(rows.map(({ canary }) => canary)),
    included: Uint8Array.from(rows, ({ included }) => Number(included)),
    score: Float64Array.from(rows, ({ score }) => score),
    unit: has('unit') ? nameColumn(rows.map(({ canary, unit = canary }) => unit)) : undefined,
    repeats: has('repeats') ? Float64Array.from(rows, ({ repeats = 1 }) => repeats) : undefined,
    run: has('run') ? nameColumn(rows.map(({ run = '' }) => run)) : undefined,
  };
}

function misshapen(reason: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${reason}. Give columns of equal length.`);
}

function checkNames({ codes, offsets, bytes }: NameColumn, name: string): void {
  const texts = offsets.length - 1;
  for (let row = 0; row < codes.length; row += 1)
    if (!(codes[row]! >= 0 && codes[row]! < texts))
      throw misshapen(`${name} ${row + 1} has code ${codes[row]} of ${texts} texts`);
  for (let text = 0; text < texts; text += 1)
    if (!(offsets[text]! <= offsets[text + 1]! && offsets[text + 1]! <= bytes.length))
      throw misshapen(`text ${text + 1} of ${name} ends at ${offsets[text + 1]} of ${bytes.length} bytes`);
}

/**
 * Checks that columns fit together.
 *
 * @throws DpError `INVALID_ARGUMENT`
 */
export function checkShape({ canary, included, score, unit, repeats, run }: CanaryColumns): void {
  const rows = score.length;
  const lengths = { canary: canary.codes, included, unit: unit?.codes, repeats, run: run?.codes };
  for (const [name, column] of Object.entries(lengths))
    if (column !== undefined && column.length !== rows)
      throw misshapen(`${name} has ${column.length} rows and score ${rows}`);
  checkNames(canary, 'canary');
  if (unit !== undefined) checkNames(unit, 'unit');
  if (run !== undefined) checkNames(run, 'run');
  for (let row = 0; row < rows; row += 1)
    if (included[row]! > 1) throw misshapen(`included ${row + 1} is ${included[row]}, neither 0 nor 1`);
}

/** Two rows of one run that have the same code, the later one second; undefined where there are none. */
export function repeatedPair(
  codes: Int32Array,
  { runs, runCount }: { readonly runs: Int32Array; readonly runCount: number },
): readonly [number, number] | undefined {
  if (runCount === 1) return repeatedCode(codes);
  const keys = new Float64Array(codes.length);
  for (let row = 0; row < codes.length; row += 1) keys[row] = codes[row]! * runCount + runs[row]!;
  const sorted = keys.slice().sort();
  for (let place = 1; place < sorted.length; place += 1) {
    if (sorted[place] !== sorted[place - 1]) continue;
    const first = keys.indexOf(sorted[place]!);
    return [first, keys.indexOf(sorted[place]!, first + 1)];
  }
  return undefined;
}

function repeatedCode(codes: Int32Array): readonly [number, number] | undefined {
  let most = 0;
  for (let row = 0; row < codes.length; row += 1) most = Math.max(most, codes[row]!);
  const seen = new Uint8Array(most + 1);
  for (let row = 0; row < codes.length; row += 1) {
    if (seen[codes[row]!] === 1) return [codes.indexOf(codes[row]!), row];
    seen[codes[row]!] = 1;
  }
  return undefined;
}

/** Runs numbered from 0 without gaps. */
export function numberedRuns({ run, score }: CanaryColumns): {
  readonly runs: Int32Array;
  readonly runCount: number;
} {
  const runs = new Int32Array(score.length);
  if (run === undefined) return { runs, runCount: Math.min(1, score.length) };
  const numbers = new Int32Array(run.offsets.length).fill(-1);
  let runCount = 0;
  for (let row = 0; row < runs.length; row += 1) {
    const code = run.codes[row]!;
    if (numbers[code]! < 0) numbers[code] = runCount++;
    runs[row] = numbers[code]!;
  }
  return { runs, runCount };
}
