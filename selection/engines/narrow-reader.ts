import { basename } from 'node:path';
import { type Data, DataType, Precision, Vector } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';
import { needsTokens } from '../curate-options.ts';
import { textLength } from '../lengths.ts';
import { usesLengths, usesScores } from '../rule.ts';
import { isIntegerType, isNullAt, isTextType, type TextCells, textCells } from '../tables/cells.ts';
import { invalidFile } from '../tables/source.ts';
import type { SourceBatch, TableSource } from '../tables/table-source.ts';
import { enterStage, type SelectionRequest } from './engine.ts';

/** What ranking needs of some rows, up to the next batch; rows without a user are marked by `hasUser`. */
export interface NarrowBatch {
  readonly rows: number;
  /** Place of the file in the source, and the number of the first row, over all files and in the file. */
  readonly file: number;
  readonly firstRow: number;
  readonly rowInFile: number;
  readonly users: Data;
  readonly hasUser: Uint8Array;
  /** Undefined where rows are numbered. */
  readonly ids: Data | undefined;
  /** Lengths or scores that the strategy compares, if any. */
  readonly measures: Float64Array | undefined;
  readonly tokens: Float64Array | undefined;
}

/** A batch with what its messages need. */
interface Place {
  readonly path: string;
  readonly rowInFile: number;
}

function fault(place: Place, row: number, what: { reason: string; advice: string }): DpError {
  return invalidFile(place.path, `${what.reason} in row ${place.rowInFile + row + 1}`, what.advice);
}

function nullUser({ path, rowInFile }: Place, row: number): DpError {
  return new DpError(
    'NULL_USER',
    `Cannot read ${basename(path)}: the user of row ${rowInFile + row + 1} is null or empty. Mend the row, or drop such rows by policy.`,
  );
}

function isEmptyAt(cells: TextCells, row: number): boolean {
  return cells.isNull(row) || cells.bytes(row).length === 0;
}

/** Marks rows with a user. */
function markUsers(data: Data, dictionaries: Dictionaries): Uint8Array {
  const marks = new Uint8Array(data.length).fill(1);
  const isFull = data.nullCount === 0 && isTextType(data.type) && !dictionaries.hasEmpty(data);
  if (isFull || (data.nullCount === 0 && !isTextType(data.type))) return marks;
  const cells = textCells(data);
  for (let row = 0; row < data.length; row++) if (isEmptyAt(cells, row)) marks[row] = 0;
  return marks;
}

function hasEmptyEntry(data: Data): boolean {
  if (data.nullCount > 0) return true;
  const cells = textCells(data);
  for (let row = 0; row < data.length; row++) if (cells.byteLength(row) === 0) return true;
  return false;
}

/** What is known of dictionaries, which come along with many batches. */
class Dictionaries {
  readonly #empty = new WeakMap<Vector, boolean>();
  readonly #clean = new WeakSet<Vector>();

  /** Whether a column, or any entry of its dictionary, is null or empty. */
  hasEmpty(data: Data): boolean {
    if (!DataType.isDictionary(data.type)) return hasEmptyEntry(data);
    const dictionary = data.dictionary!;
    const known = this.#empty.get(dictionary);
    if (known !== undefined) return known;
    const found = dictionary.data.some(part => !isTextType(part.type) || hasEmptyEntry(part));
    this.#empty.set(dictionary, found);
    return found;
  }

  checkDefects(place: Place, name: string, data: Data): void {
    const dictionary = DataType.isDictionary(data.type) ? data.dictionary! : undefined;
    if (dictionary !== undefined && this.#clean.has(dictionary)) return;
    checkDefects(place, name, data);
    if (
      dictionary !== undefined &&
      dictionary.data.every(part => textCells(part).firstDefect() === undefined)
    )
      this.#clean.add(dictionary);
  }
}

function typeName(data: Data): string {
  const column: Vector = new Vector([data]);
  return String(column.type);
}

function checkKeyType(place: Place, name: string, column: { role: 'user' | 'id'; data: Data }): void {
  const { role, data } = column;
  if (isTextType(data.type) || isIntegerType(data.type)) return;
  throw invalidFile(
    place.path,
    `${role} column ${JSON.stringify(name)} is of type ${typeName(data)}, whose text form is not fixed`,
    'Name a column of text or whole numbers',
  );
}

function checkDefects(place: Place, name: string, data: Data): void {
  const found = textCells(data).firstDefect();
  if (found === undefined) return;
  const reason = `column ${JSON.stringify(name)} holds ${found.defect}`;
  throw fault(place, found.row, { reason, advice: 'Mend or remove that row' });
}

function checkIds(place: Place, data: Data, hasUser: Uint8Array): void {
  if (data.nullCount === 0 && !isTextType(data.type)) return;
  const cells = textCells(data);
  for (let row = 0; row < data.length; row++) {
    if (hasUser[row] === 0 || !isEmptyAt(cells, row)) continue;
    throw fault(place, row, { reason: 'the id is null or empty', advice: 'Give every record an id' });
  }
}

function checkTexts(place: Place, name: string, column: { data: Data; hasUser: Uint8Array }): void {
  const { data, hasUser } = column;
  if (!isTextType(data.type)) {
    throw invalidFile(
      place.path,
      `text column ${JSON.stringify(name)} is of type ${typeName(data)}`,
      'Name a column of text',
    );
  }
  checkDefects(place, name, data);
  if (data.nullCount === 0 && !DataType.isDictionary(data.type)) return;
  const cells = textCells(data);
  for (let row = 0; row < data.length; row++) {
    if (hasUser[row] === 0 || !cells.isNull(row)) continue;
    throw fault(place, row, {
      reason: 'the text is null',
      advice: 'Give every record a text or remove the row',
    });
  }
}

const decimalNumber = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

function hasNaN(values: Float64Array, count: number): boolean {
  for (let row = 0; row < count; row++) if (Number.isNaN(values[row])) return true;
  return false;
}

function readScores(place: Place, name: string, column: { data: Data; hasUser: Uint8Array }): Float64Array {
  const { data, hasUser } = column;
  const isText = isTextType(data.type);
  const isHalf = DataType.isFloat(data.type) && data.type.precision === Precision.HALF;
  if (!isText && (isHalf || !(DataType.isFloat(data.type) || DataType.isInt(data.type)))) {
    throw invalidFile(
      place.path,
      `score column ${JSON.stringify(name)} is of type ${typeName(data)}`,
      'Name a column of numbers',
    );
  }
  if (data.values instanceof Float64Array && data.nullCount === 0 && !hasNaN(data.values, data.length))
    return data.values.subarray(0, data.length);
  const cells = isText ? textCells(data) : undefined;
  const numberIn = (text: string): number => (decimalNumber.test(text.trim()) ? Number(text) : NaN);
  return Float64Array.from({ length: data.length }, (_, row) => {
    if (hasUser[row] === 0) return 0;
    const score = isNullAt(data, row)
      ? NaN
      : cells === undefined
        ? Number(data.values[row])
        : numberIn(cells.text(row));
    if (!Number.isNaN(score)) return score;
    const reason = 'the score is null or not a number';
    throw fault(place, row, { reason, advice: 'Score every record or leave it out' });
  });
}

/** Lengths of the texts in a unit; 0 where there is no user. */
function lengthsOf(
  data: Data,
  hasUser: Uint8Array,
  measure: (cells: TextCells, row: number) => number,
): Float64Array {
  const cells = textCells(data);
  const lengths = new Float64Array(data.length);
  for (let row = 0; row < data.length; row++) if (hasUser[row] === 1) lengths[row] = measure(cells, row);
  return lengths;
}

/** Rows without a user. */
export function missingUsers({ hasUser }: NarrowBatch): number {
  let missing = 0;
  for (let row = 0; row < hasUser.length; row++) missing += 1 - hasUser[row]!;
  return missing;
}

/** Which columns a request looks at before it is known which rows are kept. */
export function narrowColumnsOf({ columns, rule }: SelectionRequest): string[] {
  const { user, id, text, score } = columns;
  const wanted = [user, id, text, usesScores(rule.strategy) ? score : undefined];
  return [...new Set(wanted.filter(name => name !== undefined && name !== null))];
}

function validated(
  batch: SourceBatch,
  request: SelectionRequest,
  known: { readonly path: string; readonly dictionaries: Dictionaries },
): NarrowBatch {
  const { path, dictionaries } = known;
  const { columns, rule, nullUsers, lengthUnit, tokenizer } = request;
  const place = { path, rowInFile: batch.rowInFile };
  const column = (name: string): Data => batch.batch.getChild(name)!.data[0]!;
  const users = column(columns.user);
  checkKeyType(place, columns.user, { role: 'user', data: users });
  dictionaries.checkDefects(place, columns.user, users);
  const hasUser = markUsers(users, dictionaries);
  const missing = nullUsers === 'error' ? hasUser.indexOf(0) : -1;
  if (missing >= 0) throw nullUser(place, missing);
  const ids = columns.id === null ? undefined : column(columns.id);
  if (ids !== undefined) {
    checkKeyType(place, columns.id!, { role: 'id', data: ids });
    checkDefects(place, columns.id!, ids);
    checkIds(place, ids, hasUser);
  }
  const text = columns.text === undefined ? undefined : column(columns.text);
  if (text !== undefined) checkTexts(place, columns.text!, { data: text, hasUser });
  const { file, firstRow, rowInFile } = batch;
  const measure = (unit: typeof lengthUnit): Float64Array =>
    lengthsOf(text!, hasUser, (cells, row) => textLength(cells, row, { unit, tokenizer }));
  return {
    rows: batch.batch.numRows,
    file,
    firstRow,
    rowInFile,
    users,
    hasUser,
    ids,
    measures: usesLengths(rule.strategy)
      ? measure(lengthUnit)
      : usesScores(rule.strategy)
        ? readScores(place, columns.score!, { data: column(columns.score!), hasUser })
        : undefined,
    tokens: needsTokens(rule) ? measure('tokens') : undefined,
  };
}

/** Reads and checks the narrow columns of every row. */
export async function* narrowBatches(
  source: TableSource,
  request: SelectionRequest,
): AsyncGenerator<NarrowBatch> {
  const { columns } = request;
  let rows = 0;
  const dictionaries = new Dictionaries();
  const options = { columns: narrowColumnsOf(request), encoded: [columns.user], reuse: true };
  for await (const batch of source.batches(options)) {
    if (batch.batch.numRows === 0) continue;
    enterStage(request, 'read');
    rows += batch.batch.numRows;
    yield validated(batch, request, { path: source.files[batch.file]!.path, dictionaries });
  }
  if (rows === 0)
    throw invalidFile(source.files[0]!.path, 'it holds 0 rows', 'Give a table with at least one record');
}
