import { Data, DataType, Dictionary, Int32, Vector } from 'apache-arrow';
import { columnTexts, isNullAt, isTextType } from './cells.ts';
import { gather, type Places } from './gather.ts';

/** One dictionary for all batches, with the entries that the chosen rows use and no others. */
interface Codebook {
  readonly values: Vector;
  /** New index by old dictionary and old index. */
  readonly codes: ReadonlyMap<Vector, Int32Array>;
}

function usedEntries(batches: readonly Data[], at: Places): Map<Vector, Int32Array> {
  const used = new Map<Vector, Int32Array>();
  for (const { dictionary } of batches) {
    if (dictionary !== undefined && !used.has(dictionary))
      used.set(dictionary, new Int32Array(dictionary.length));
  }
  for (let i = 0; i < at.row.length; i++) {
    const data = batches[at.batch[i]!]!;
    if (!isNullAt(data, at.row[i]!)) used.get(data.dictionary!)![Number(data.values[at.row[i]!])] = 1;
  }
  return used;
}

/** Numbers the used entries; equal texts of different dictionaries share a number. */
function numberEntries(used: ReadonlyMap<Vector, Int32Array>): { pool: Data[]; first: Places } {
  const pool: Data[] = [];
  const batch: number[] = [];
  const row: number[] = [];
  const known = new Map<string | null, number>();
  for (const [dictionary, codes] of used) {
    const texts = used.size > 1 && isTextType(dictionary.type) ? columnTexts(dictionary) : undefined;
    let start = 0;
    for (const part of dictionary.data) {
      for (let i = 0; i < part.length; i++) {
        const at = start + i;
        if (codes[at] === 0) continue;
        const code = known.get(texts?.[at] ?? null) ?? batch.length;
        codes[at] = code;
        if (code < batch.length) continue;
        if (texts !== undefined && texts[at] !== null) known.set(texts[at]!, code);
        batch.push(pool.length);
        row.push(i);
      }
      pool.push(part);
      start += part.length;
    }
  }
  return { pool, first: { batch: Int32Array.from(batch), row: Int32Array.from(row) } };
}

function codebookOf(batches: readonly Data[], at: Places): Codebook {
  const codes = usedEntries(batches, at);
  const { pool, first } = numberEntries(codes);
  return { values: new Vector([gather(pool, first)]), codes };
}

function typeOf(type: Dictionary, codebook: Codebook): Dictionary {
  const sole = codebook.codes.size === 1;
  const values: DataType = codebook.values.type;
  return new Dictionary(values, sole ? type.indices : new Int32(), type.id, sole && type.isOrdered);
}

/** Indices of one run of rows under a codebook. */
function encode(
  batches: readonly Data[],
  at: Places,
  target: { type: Dictionary; codebook: Codebook },
): Data {
  const { type, codebook } = target;
  const count = at.row.length;
  const indices = new type.indices.ArrayType(count);
  const bitmap = new Uint8Array((count + 7) >> 3);
  let valid = 0;
  for (let i = 0; i < count; i++) {
    const data = batches[at.batch[i]!]!;
    if (isNullAt(data, at.row[i]!)) continue;
    const code = codebook.codes.get(data.dictionary!)![Number(data.values[at.row[i]!])]!;
    indices[i] = code;
    bitmap[i >> 3]! |= 1 << (i & 7);
    valid += 1;
  }
  const validity = valid === count ? new Uint8Array(0) : bitmap;
  return new Data(type, 0, count, count - valid, { 1: indices, 2: validity }, [], codebook.values);
}

/**
 * Copies rows of a dictionary column. Dictionaries belong to a batch, so the same index may mean different values in
 * two batches; the copy has one dictionary, which holds nothing of rows that were left out.
 *
 * @param runs - the rows of each batch to be made
 */
export function gatherDictionary(batches: readonly Data[], all: Places, runs: readonly Places[]): Data[] {
  const codebook = codebookOf(batches, all);
  const { type: before } = batches[0]!;
  if (!DataType.isDictionary(before)) throw new TypeError('not a dictionary column');
  const type = typeOf(before, codebook);
  return runs.map(run => encode(batches, run, { type, codebook }));
}
