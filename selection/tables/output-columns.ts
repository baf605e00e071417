import { Data, DataType, Dictionary, Field, Int32, type RecordBatch, Utf8, Vector } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';
import { isNullAt, isTextType, startsOf, textCells, valueType } from './cells.ts';
import { emptyBatch, everyRow, gather } from './gather.ts';
import { TextInterner } from './interner.ts';

/** Brings the batches of one column to the form in which they are written. */
export interface OutputColumn {
  readonly field: Field;
  convert(data: Data): Data;
}

function hasDictionary(type: DataType): boolean {
  return DataType.isDictionary(type) || (type.children ?? []).some(child => hasDictionary(child.type));
}

function retyped(data: Data, type: DataType): Data {
  const { offset, length, nullCount, children, dictionary, variadicBuffers } = data;
  return new Data(type, offset, length, nullCount, data, children, dictionary, variadicBuffers);
}

/** A column without dictionaries; nested ones are undone. */
function plainColumn(field: Field): OutputColumn {
  if (!hasDictionary(field.type)) return { field, convert: data => retyped(data, field.type) };
  const { type } = gather([emptyBatch(valueType(field.type))], everyRow(0));
  return {
    field: field.clone({ type }),
    convert: data => retyped(gather([data], everyRow(data.length)), type),
  };
}

/**
 * A text column behind one dictionary for the whole output, which holds what the written rows use and no more,
 * however many dictionaries the input had.
 */
export class DictionaryColumn implements OutputColumn {
  readonly field: Field;
  readonly #type: Dictionary;
  readonly #interner = new TextInterner();
  /** Numbers in the output, by chunk of a dictionary and entry in it; -1 where an entry was not used yet. */
  readonly #codes = new WeakMap<Data, Int32Array>();
  /** The first dictionary, whose entries need not be compared with each other. */
  #first: Data | undefined;
  #hasOthers = false;
  #chunks: Data[] = [];
  #handedOut = 0;

  constructor(field: Field) {
    const id = DataType.isDictionary(field.type) ? field.type.id : null;
    this.#type = new Dictionary(new Utf8(), new Int32(), id);
    this.field = field.clone({ type: this.#type });
  }

  get id(): number {
    return this.#type.id;
  }

  convert(data: Data): Data {
    const codeOf = this.#coder(data.dictionary!.data);
    const out = new Int32Array(data.length);
    const bitmap = new Uint8Array((data.length + 7) >> 3);
    const indices: ArrayLike<number | bigint> = data.values;
    let valid = 0;
    for (let row = 0; row < data.length; row++) {
      if (isNullAt(data, row)) continue;
      out[row] = codeOf(Number(indices[row]));
      bitmap[row >> 3]! |= 1 << (row & 7);
      valid += 1;
    }
    const validity = valid === data.length ? new Uint8Array(0) : bitmap;
    const { length } = data;
    return new Data(this.#type, 0, length, length - valid, { 1: out, 2: validity }, [], this.#soFar());
  }

  /** All entries, once nothing more comes. */
  entries(): Data {
    return this.#interner.entries(new Utf8());
  }

  /** Gives the number in the output of an entry of a dictionary, which may have several chunks. */
  #coder(chunks: readonly Data[]): (index: number) => number {
    const coders = chunks.map(chunk => this.#chunkCoder(chunk));
    if (coders.length === 1) return coders[0]!;
    const starts = startsOf(chunks);
    return index => {
      let part = starts.length - 1;
      while (starts[part]! > index) part -= 1;
      return coders[part]!(index - starts[part]!);
    };
  }

  #chunkCoder(chunk: Data): (index: number) => number {
    const cells = textCells(chunk);
    const codes = this.#codes.get(chunk) ?? new Int32Array(chunk.length).fill(-1);
    this.#codes.set(chunk, codes);
    this.#first ??= chunk;
    const isFirst = this.#first === chunk && !this.#hasOthers;
    this.#hasOthers ||= this.#first !== chunk;
    const interner = this.#interner;
    return index => {
      const known = codes[index]!;
      if (known !== -1) return known;
      const bytes = cells.bytes(index);
      return (codes[index] = isFirst ? interner.add(bytes) : interner.intern(bytes));
    };
  }

  /** The entries so far; each batch adds a chunk, which an Arrow stream carries as a delta. */
  #soFar(): Vector {
    if (this.#interner.size > this.#handedOut || this.#chunks.length === 0) {
      this.#chunks = [...this.#chunks, this.#interner.entries(new Utf8(), this.#handedOut)];
      this.#handedOut = this.#interner.size;
    }
    return new Vector(this.#chunks);
  }
}

export function outputColumn(field: Field): OutputColumn {
  return DataType.isDictionary(field.type) && isTextType(field.type)
    ? new DictionaryColumn(field)
    : plainColumn(field);
}

function differs(reason: string): DpError {
  return new DpError(
    'INVALID_DATA',
    `Cannot write rows: ${reason}. Write batches of the schema that the output was opened with.`,
  );
}

/** Refuses a batch of another schema, at which Arrow's own writer would fall silent. */
export function checkSchema(batch: RecordBatch, fields: readonly Field[]): void {
  const own = batch.schema.fields;
  if (own.length !== fields.length) throw differs(`a batch has ${own.length} columns, not ${fields.length}`);
  for (const [i, { name, type }] of fields.entries()) {
    const { name: ownName, type: ownType } = own[i]!;
    if (ownName !== name)
      throw differs(`column ${i + 1} of a batch is ${JSON.stringify(ownName)}, not ${JSON.stringify(name)}`);
    if (String(ownType) !== String(type))
      throw differs(`column ${JSON.stringify(name)} of a batch is ${String(ownType)}, not ${String(type)}`);
  }
}
