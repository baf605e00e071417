import { isUtf8 } from 'node:buffer';
import {
  Bool,
  Data,
  type DataType,
  Field,
  Float64,
  Int64,
  List,
  Null,
  Struct,
  type Table,
  Utf8,
} from 'apache-arrow';
import type { DpError } from '../../accounting/check.ts';
import { isWellFormed } from '../rule.ts';
import { buildData, isRecord, TextBuilder } from './build.ts';
import { invalidFile, readLineRuns } from './source.ts';
import { batchBytes, batchRows, tableOf } from './take.ts';

type Kind = 'text' | 'number' | 'boolean' | 'nested';

const kindNames: Record<Kind, string> = {
  text: 'text',
  number: 'a number',
  boolean: 'true or false',
  nested: 'a list or an object',
};

function kindOf(value: unknown): Kind {
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number') return 'number';
  return typeof value === 'boolean' ? 'boolean' : 'nested';
}

/** A fault of one value, to be named with its line by the caller. */
class ValueFault extends Error {}

/** One key of the objects; batches of raw values until the whole file has shown the type. */
class JsonColumn {
  #kind: Kind | undefined;
  #text: TextBuilder = new TextBuilder();
  #values: unknown[] = [];
  #count = 0;
  readonly #batches: (Data | unknown[] | number)[] = [];
  #isFractional = false;
  #unsafeLine = 0;

  get byteLength(): number {
    return this.#text.byteLength;
  }

  /** Number of cells in the open batch. */
  get count(): number {
    return this.#count;
  }

  append(value: unknown, line: number): void {
    if (value === null || value === undefined) {
      this.#push(null);
      return;
    }
    const kind = kindOf(value);
    if (this.#kind === undefined) this.#open(kind);
    if (kind !== this.#kind)
      throw new ValueFault(`holds ${kindNames[kind]} where earlier lines hold ${kindNames[this.#kind!]}`);
    if (typeof value === 'number') this.#noteNumber(value, line);
    this.#push(value);
  }

  /** Fills up with nulls, as for a key that a line lacks. */
  padTo(count: number): void {
    while (this.#count < count) this.#push(null);
  }

  closeBatch(): void {
    if (this.#kind === 'text') this.#batches.push(this.#text.finish());
    else this.#batches.push(this.#kind === undefined ? this.#count : this.#values);
    this.#values = [];
    this.#count = 0;
  }

  finish(): { type: DataType; batches: Data[] } {
    const type = this.#type();
    const batches = this.#batches.map(batch => {
      if (batch instanceof Data) return batch;
      return buildData(type, typeof batch === 'number' ? Array.from({ length: batch }, () => null) : batch);
    });
    return { type, batches };
  }

  #open(kind: Kind): void {
    this.#kind = kind;
    const before = Array.from({ length: this.#count }, () => null);
    if (kind === 'text') for (const cell of before) this.#text.append(cell);
    else this.#values = before;
  }

  #push(value: unknown): void {
    this.#count += 1;
    if (this.#kind === 'text') this.#text.append(typeof value === 'string' ? value : null);
    else if (this.#kind !== undefined) this.#values.push(value);
  }

  #noteNumber(value: number, line: number): void {
    if (!Number.isInteger(value)) this.#isFractional = true;
    else if (!Number.isSafeInteger(value) && this.#unsafeLine === 0) this.#unsafeLine = line;
  }

  #type(): DataType {
    switch (this.#kind) {
      case undefined:
        return new Null();
      case 'text':
        return new Utf8();
      case 'boolean':
        return new Bool();
      case 'number':
        return this.#numberType();
      default:
        return nestedType(this.#batches.flatMap(batch => (Array.isArray(batch) ? batch : [])));
    }
  }

  #numberType(): DataType {
    if (this.#isFractional) return new Float64();
    if (this.#unsafeLine === 0) return new Int64();
    throw new ValueFault(
      `holds a whole number beyond 2^53 in line ${this.#unsafeLine}, which JSON does not carry exactly`,
    );
  }
}

/** The type that fits all of some nested values; numbers become Float64. */
function nestedType(values: readonly unknown[]): DataType {
  const present = values.filter(value => value !== null && value !== undefined);
  const [first] = present;
  if (first === undefined) return new Null();
  if (present.some(value => shapeOf(value) !== shapeOf(first)))
    throw new ValueFault('holds nested values of mixed types');
  if (Array.isArray(first)) return new List(new Field('item', nestedType(present.flat(1)), true));
  if (typeof first === 'object') return structType(present.filter(isRecord));
  if (typeof first === 'number') return new Float64();
  return typeof first === 'string' ? new Utf8() : new Bool();
}

function shapeOf(value: unknown): string {
  return Array.isArray(value) ? 'list' : typeof value;
}

function structType(values: readonly Record<string, unknown>[]): DataType {
  const names = new Set(values.flatMap(value => Object.keys(value)));
  return new Struct(
    [...names].map(name => new Field(name, nestedType(values.map(value => value[name])), true)),
  );
}

const escapedSurrogate = /\\u[dD][89a-fA-F]/;

function hasLoneSurrogate(value: unknown): boolean {
  if (typeof value === 'string') return !isWellFormed(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, inner]) => !isWellFormed(key) || hasLoneSurrogate(inner));
}

/** Collects objects by key; a key that appears late is null before. */
class JsonTable {
  readonly #path: string;
  readonly #columns = new Map<string, JsonColumn>();
  readonly #closed: number[] = [];
  #rows = 0;

  constructor(path: string) {
    this.#path = path;
  }

  append(line: string, number: number): void {
    const record = this.#parse(line, number);
    for (const name of Object.keys(record)) {
      const column = this.#column(name);
      column.padTo(this.#rows);
      this.#guard(name, number, () => column.append(record[name], number));
    }
    this.#rows += 1;
    if (this.#rows >= batchRows || this.#isLarge()) this.#closeBatch();
  }

  finish(): Table {
    if (this.#rows > 0) this.#closeBatch();
    if (this.#closed.length === 0)
      throw invalidFile(this.#path, 'it holds 0 records', 'Give at least one line');
    const finished = [...this.#columns].map(([name, column]) => ({
      name,
      ...this.#guard(name, undefined, () => column.finish()),
    }));
    const fields = finished.map(({ name, type }) => new Field(name, type, true));
    return tableOf(
      fields,
      finished.map(({ batches }) => batches),
    );
  }

  #parse(line: string, number: number): Record<string, unknown> {
    const parsed = this.#parseJson(line, number);
    if (!isRecord(parsed)) {
      throw this.#fault(`line ${number} is no JSON object`, 'Give one object a line');
    }
    if (escapedSurrogate.test(line) && hasLoneSurrogate(parsed)) {
      throw this.#fault(`line ${number} holds a lone surrogate`, 'Mend or remove that line');
    }
    return parsed;
  }

  #parseJson(line: string, number: number): unknown {
    try {
      return JSON.parse(line);
    } catch {
      // The parser's own message quotes the text, which must not appear.
      throw this.#fault(`line ${number} is no valid JSON`, 'Give one object a line');
    }
  }

  #column(name: string): JsonColumn {
    const found = this.#columns.get(name);
    if (found !== undefined) return found;
    const column = new JsonColumn();
    for (const rows of this.#closed) {
      column.padTo(rows);
      column.closeBatch();
    }
    this.#columns.set(name, column);
    return column;
  }

  #isLarge(): boolean {
    for (const column of this.#columns.values()) if (column.byteLength > batchBytes) return true;
    return false;
  }

  #closeBatch(): void {
    for (const column of this.#columns.values()) {
      column.padTo(this.#rows);
      column.closeBatch();
    }
    this.#closed.push(this.#rows);
    this.#rows = 0;
  }

  #guard<T>(name: string, line: number | undefined, action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof ValueFault)) throw error;
      const where = line === undefined ? '' : ` in line ${line}`;
      throw this.#fault(`key ${JSON.stringify(name)} ${error.message}${where}`, 'Give each key one type');
    }
  }

  #fault(reason: string, advice: string): DpError {
    return invalidFile(this.#path, reason, advice);
  }
}

function badLine(run: Buffer, firstLine: number): number {
  let line = firstLine;
  for (let start = 0; start < run.length; line++) {
    const end = run.indexOf(10, start);
    const stop = end < 0 ? run.length : end;
    if (!isUtf8(run.subarray(start, stop))) return line;
    start = stop + 1;
  }
  return line;
}

/**
 * Reads JSON lines: one object a line, UTF-8, `\n` or `\r\n`, packed by gzip or not; blank lines are passed over and a
 * byte order mark at the start is dropped.
 *
 * Each key becomes a column of one type: text, Int64 (all numbers whole), Float64, Bool, lists and structs; a missing
 * key is null. Lines in messages count from 1.
 *
 * @throws DpError `INVALID_DATA` with the line for invalid JSON, mixed types, invalid UTF-8, lone surrogates and whole
 *   numbers beyond 2^53 (JSON readers round those, so ids of that size must be quoted)
 */
export async function readJsonl(path: string): Promise<Table> {
  const table = new JsonTable(path);
  let line = 1;
  for await (const run of readLineRuns(path)) {
    if (!isUtf8(run))
      throw invalidFile(path, `line ${badLine(run, line)} holds invalid UTF-8`, 'Mend or remove that line');
    const lines = run.toString('utf8').split('\n');
    if (lines.at(-1) === '') lines.pop();
    for (const text of lines) {
      if (text.trim() !== '') table.append(text, line);
      line += 1;
    }
  }
  return table.finish();
}
