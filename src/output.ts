import { DpError } from '../accounting/check.ts';
import type { Interval } from '../accounting/accountant.ts';

/** What a command found out: one object for programs, one text for people. */
export interface Answer {
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** Standard output carries data, so the answer goes to standard error. */
  readonly isAside?: boolean;
  /** What the command ends with after its answer: a check that failed. */
  readonly failure?: DpError | undefined;
}

/** Infinities have no spelling in JSON; as text they survive. */
function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  const typed = value instanceof Float64Array || value instanceof Float32Array || value instanceof Int32Array;
  return typed ? Array.from(value) : value;
}

/** One object as indented JSON with a final line break. */
export function renderJson(value: unknown): string {
  return `${JSON.stringify(value, jsonValue, 2)}\n`;
}

const diskTrouble: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the disk is read-only',
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  EFBIG: 'a file may not grow so large',
  ENAMETOOLONG: 'a name is too long',
};

/** What the system says of a full or closed disk, as a failure that the user can mend; anything else as it came. */
export function mendable(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const trouble = diskTrouble[code];
  if (trouble === undefined || error instanceof DpError) return error;
  const path = error instanceof Error && 'path' in error ? ` ${String(error.path)}` : '';
  return new DpError(
    'OUTPUT_FAILED',
    `Cannot write${path}: ${trouble} (${code}). Mend that and run the same command again; an unfinished run goes on.`,
    { cause: error },
  );
}

/** The one error object of `--json`. */
export function errorObject(error: unknown): { error: { code: string; message: string } } {
  if (error instanceof DpError) return { error: { code: error.code, message: error.message } };
  const message = error instanceof Error ? error.message : String(error);
  return { error: { code: 'INTERNAL', message: `Internal failure, please report it: ${message}` } };
}

/** The lines for people; a bug of ours shows its stack so that it can be reported. */
export function errorText(error: unknown): string {
  if (error instanceof DpError) return `${error.message}\n`;
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `Internal failure, please report it:\n${trace}\n`;
}

/** Column of a text table: left for words, right for numbers. */
export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

function padded(text: string, width: number, align: 'left' | 'right'): string {
  return align === 'left' ? text.padEnd(width) : text.padStart(width);
}

/** A plain table: title row, rule, rows; columns as wide as their widest cell. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...rows.map(row => row[at]!.length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => padded(cell, widths[at]!, columns[at]!.align ?? 'left'))
      .join('  ')
      .trimEnd();
  const rule = widths.map(width => '-'.repeat(width)).join('  ');
  return [line(columns.map(({ title }) => title)), rule, ...rows.map(line)].join('\n');
}

/** Digits for people; ∞ and very small numbers keep their meaning. */
export function number(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return value > 0 ? '∞' : String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e9 ? value.toExponential(digits - 1) : value.toPrecision(digits);
}

/** `number` rounded away from a false promise: never below the value. */
export function upward(value: number, digits = 4): string {
  const text = number(value, digits);
  if (!Number.isFinite(value) || Number(text) >= value) return text;
  const [mantissa = '', exponent = '0'] = value.toExponential(digits - 1).split('e');
  const unit = 10 ** (Number(exponent) - digits + 1);
  return number(Number(mantissa) * 10 ** Number(exponent) + unit, digits);
}

/** The mirror of {@link upward}: never above the value. */
export function downward(value: number, digits = 4): string {
  const text = number(value, digits);
  if (!Number.isFinite(value) || Number(text) <= value) return text;
  const [mantissa = '', exponent = '0'] = value.toExponential(digits - 1).split('e');
  const unit = 10 ** (Number(exponent) - digits + 1);
  return number(Math.max(0, Number(mantissa) * 10 ** Number(exponent) - unit), digits);
}

/** `[7.912, 8.000]`, rounded outward so that the printed interval still holds the truth. */
export function renderInterval({ lower, upper }: Interval): string {
  return `[${downward(lower)}, ${upward(upper)}]`;
}
