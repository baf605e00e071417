import { type Data, DataType, Field } from 'apache-arrow';
import { isWellFormed } from '../rule.ts';
import { buildData, isRecord, TextBuilder } from './build.ts';
import { type Shape, ShapeFault, typeOf, widen } from './json-shape.ts';
import { readLines } from './lines.ts';
import { longestRow, RowFaults, type RowOptions, type SkipReason } from './row-faults.ts';
import { invalidFile } from './source.ts';
import type { ColumnBatch, FileReader } from './table-file.ts';
import { batchBytes, batchRows } from './take.ts';

const escapedSurrogate = /\\u[dD][89a-fA-F]/;
const escapedNul = '\\u0000';

function someText(value: unknown, test: (text: string) => boolean): boolean {
  if (typeof value === 'string') return test(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, inner]) => test(key) || someText(inner, test));
}

function parseLine(line: string): Record<string, unknown> | SkipReason {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    // The parser's own message quotes the text, which must not appear.
    return 'invalid JSON';
  }
  if (!isRecord(parsed)) return 'no object';
  const isLone = escapedSurrogate.test(line) && someText(parsed, text => !isWellFormed(text));
  return isLone ? 'lone surrogate' : parsed;
}

interface UnsafeNumber {
  readonly path: string;
  readonly line: number;
}

/** The keys of all files of a table and what their values are. */
class Shapes {
  readonly #shapes = new Map<string, Shape | undefined>();
  readonly #unsafe = new Map<string, UnsafeNumber>();

  /** Takes in all keys of a record, or none of them where one does not fit. */
  accept(record: Readonly<Record<string, unknown>>, where: UnsafeNumber): void {
    const changes: [string, Shape | undefined][] = [];
    for (const name of Object.keys(record)) {
      const before = this.#shapes.get(name);
      const after = this.#widen(name, record[name], where);
      if (after !== before || !this.#shapes.has(name)) changes.push([name, after]);
    }
    for (const [name, shape] of changes) this.#shapes.set(name, shape);
    for (const name of Object.keys(record)) this.#noteNumber(name, record[name], where);
  }

  finish(): Field[] {
    return [...this.#shapes].map(([name, shape]) => {
      const unsafe = this.#unsafe.get(name);
      if (shape?.kind === 'whole number' && unsafe !== undefined) throw unsafeNumber(name, unsafe);
      return new Field(name, typeOf(shape), true);
    });
  }

  #widen(name: string, value: unknown, { line }: UnsafeNumber): Shape | undefined {
    try {
      return widen(this.#shapes.get(name), value);
    } catch (error) {
      if (!(error instanceof ShapeFault)) throw error;
      throw new ShapeFault(`key ${JSON.stringify(name)} ${error.message} in line ${line}`);
    }
  }

  #noteNumber(name: string, value: unknown, where: UnsafeNumber): void {
    if (typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value)) return;
    if (!this.#unsafe.has(name)) this.#unsafe.set(name, where);
  }
}

function unsafeNumber(name: string, { path, line }: UnsafeNumber): Error {
  return invalidFile(
    path,
    `key ${JSON.stringify(name)} holds a whole number beyond 2^53 in line ${line}, which JSON does not carry exactly`,
    'Quote such numbers',
  );
}

/** Cells of one column of a batch. */
interface ColumnCells {
  append(value: unknown): void;
  finish(): Data;
}

function textCells(): ColumnCells {
  const builder = new TextBuilder();
  return {
    append: value => builder.append(typeof value === 'string' ? value : null),
    finish: () => builder.finish(),
  };
}

function otherCells(type: DataType): ColumnCells {
  let values: unknown[] = [];
  return {
    append: value => values.push(value),
    finish: () => {
      const data = buildData(type, values);
      values = [];
      return data;
    },
  };
}

/** One file of JSON lines, whose faulty lines are known. */
class JsonlReader implements FileReader {
  readonly #path: string;
  readonly #faults: RowFaults;
  readonly #longest: number;
  #fields: readonly Field[] = [];
  #rows = 0;

  constructor(path: string, options: RowOptions) {
    this.#path = path;
    this.#faults = new RowFaults(path, { unit: 'line', policy: options.onError ?? 'error' });
    this.#longest = options.longestRow ?? longestRow;
  }

  get fields(): readonly Field[] {
    return this.#fields;
  }

  get skipped(): ReadonlyMap<SkipReason, number> {
    return this.#faults.counts;
  }

  /** The first pass: finds the faulty lines and the shapes of the others. */
  async scan(shapes: Shapes): Promise<void> {
    const onFault = (line: number, reason: SkipReason): void => this.#faults.add(line, reason);
    for await (const { first, lines } of readLines(this.#path, { longest: this.#longest, onFault })) {
      for (const [i, line] of lines.entries())
        if (line !== undefined && line.trim() !== '') this.#scanLine(line, first + i, shapes);
    }
    if (this.#rows === 0 && this.#faults.counts.size === 0)
      throw invalidFile(this.#path, 'it holds 0 records', 'Give at least one line');
  }

  settle(fields: readonly Field[]): void {
    this.#fields = fields;
  }

  async *batches(columns: readonly string[]): AsyncGenerator<ColumnBatch> {
    const types = columns.map(name => this.#fields.find(field => field.name === name)!.type);
    const cells = types.map(type => (DataType.isUtf8(type) ? textCells() : otherCells(type)));
    const isSkipped = this.#faults.filter();
    let rows = 0;
    let bytes = 0;
    for await (const { first, lines } of readLines(this.#path, {
      longest: this.#longest,
      onFault: () => {},
    })) {
      for (const [i, line] of lines.entries()) {
        if (line === undefined || line.trim() === '' || isSkipped(first + i)) continue;
        const record: unknown = JSON.parse(line);
        for (const [c, name] of columns.entries()) cells[c]!.append(memberOf(record, name));
        rows += 1;
        bytes += line.length;
        if (rows < batchRows && bytes < batchBytes) continue;
        yield { rows, columns: cells.map(column => column.finish()) };
        rows = bytes = 0;
      }
    }
    if (rows > 0) yield { rows, columns: cells.map(column => column.finish()) };
  }

  #scanLine(line: string, number: number, shapes: Shapes): void {
    const record = parseLine(line);
    if (typeof record === 'string') {
      this.#faults.add(number, record);
      return;
    }
    if (
      !this.#faults.isStrict &&
      line.includes(escapedNul) &&
      someText(record, text => text.includes('\0'))
    ) {
      this.#faults.add(number, 'NUL');
      return;
    }
    try {
      shapes.accept(record, { path: this.#path, line: number });
      this.#rows += 1;
    } catch (error) {
      if (!(error instanceof ShapeFault)) throw error;
      this.#faults.add(number, 'mixed types', error.message);
    }
  }
}

function memberOf(record: unknown, name: string): unknown {
  return isRecord(record) && Object.hasOwn(record, name) ? record[name] : null;
}

/**
 * Opens files of JSON lines as one table: one object a line, UTF-8, `\n` or `\r\n`, packed by gzip or not; blank lines
 * are passed over and a byte order mark at the start is dropped.
 *
 * Each key becomes a column of one type over all files: text, Int64 (all numbers whole), Float64, Bool, lists and
 * structs; a missing key is null. All files are read once to find the types. Lines in messages count from 1.
 *
 * @throws DpError `INVALID_DATA` with the line for invalid JSON, mixed types, invalid UTF-8, lone surrogates and lines
 *   that are too long, unless they are skipped; and for whole numbers beyond 2^53 (JSON readers round those, so ids of
 *   that size must be quoted)
 */
export async function openJsonl(
  paths: readonly string[],
  options: RowOptions = {},
): Promise<(FileReader & { readonly skipped: ReadonlyMap<SkipReason, number> })[]> {
  const shapes = new Shapes();
  const readers = paths.map(path => new JsonlReader(path, options));
  for (const reader of readers) await reader.scan(shapes);
  const fields = shapes.finish();
  for (const reader of readers) reader.settle(fields);
  return readers;
}
