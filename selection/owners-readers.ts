import { type Data, Vector } from 'apache-arrow';
import { DpError } from '../accounting/check.ts';
import { type LengthUnit, type SelectionTokenizer, textLength } from './lengths.ts';
import { holdsOwners, ownerCells, ownersAt, type OwnerForm } from './owners-column.ts';
import { batchNumbers } from './records.ts';
import { isIntegerType, isNullAt, isTextType, textCells } from './tables/cells.ts';
import { invalidFile } from './tables/source.ts';

/** A batch as messages name it. */
export interface Place {
  readonly path: string;
  readonly rowInFile: number;
}

function fault({ path, rowInFile }: Place, row: number, what: { reason: string; advice: string }): DpError {
  return invalidFile(path, `${what.reason} in row ${rowInFile + row + 1}`, what.advice);
}

export function nullOwner({ path, rowInFile }: Place, row: number): DpError {
  const { message } = fault({ path, rowInFile }, row, {
    reason: 'an owner is null or empty, or there is none,',
    advice: 'Mend the row, or drop such rows by policy',
  });
  return new DpError('NULL_USER', message);
}

/** Reads one column of a batch, row by row. */
export type Reader<T> = (row: number) => T;

function columnType(place: Place, name: string, what: { role: string; data: Data; advice: string }): DpError {
  const { role, data, advice } = what;
  const column: Vector = new Vector([data]);
  const type = String(column.type);
  return invalidFile(place.path, `${role} column ${JSON.stringify(name)} is of type ${type}`, advice);
}

function checkDefect(place: Place, name: string, found: { row: number; defect: string } | undefined): void {
  if (found === undefined) return;
  const reason = `column ${JSON.stringify(name)} holds ${found.defect}`;
  throw fault(place, found.row, { reason, advice: 'Mend or remove that row' });
}

/** Owners of rows; null where one is missing. */
export function ownersReader(
  place: Place,
  data: Data,
  options: { name: string; form: OwnerForm },
): Reader<readonly Uint8Array[] | null> {
  const { name, form } = options;
  if (!holdsOwners(data.type, form)) {
    const advice =
      form.separator === null
        ? 'Name a column of lists of text, or give the separator of a column of text'
        : 'Name a column of text, or give no separator for a column of lists';
    throw columnType(place, name, { role: 'owners', data, advice });
  }
  const cells = ownerCells(data, form);
  checkDefect(place, name, cells.firstDefect());
  return row => ownersAt(cells, row);
}

export function idReader(place: Place, name: string, data: Data): Reader<string> {
  if (!isTextType(data.type) && !isIntegerType(data.type)) {
    const advice = 'Name a column of text or whole numbers';
    throw columnType(place, name, { role: 'id', data, advice });
  }
  const cells = textCells(data);
  checkDefect(place, name, cells.firstDefect());
  return row => {
    const id = cells.isNull(row) ? '' : cells.text(row);
    if (id !== '') return id;
    throw fault(place, row, { reason: 'the id is null or empty', advice: 'Give every record an id' });
  };
}

/** A length of the text of a row, in one unit. */
export function lengthReader(
  place: Place,
  data: Data,
  options: { unit: LengthUnit; tokenizer: SelectionTokenizer | undefined; name: string },
): Reader<number> {
  const { name } = options;
  if (!isTextType(data.type))
    throw columnType(place, name, { role: 'text', data, advice: 'Name a column of text' });
  const cells = textCells(data);
  checkDefect(place, name, cells.firstDefect());
  return row => {
    if (!cells.isNull(row)) return textLength(cells, row, options);
    throw fault(place, row, {
      reason: 'the text is null',
      advice: 'Give every record a text or remove the row',
    });
  };
}

export function scoreReader(place: Place, name: string, data: Data): Reader<number> {
  const read = batchNumbers(data);
  if (read === undefined)
    throw columnType(place, name, { role: 'score', data, advice: 'Name a column of numbers' });
  return row => {
    const score = isNullAt(data, row) ? NaN : read(row);
    if (!Number.isNaN(score)) return score;
    const reason = 'the score is null or not a number';
    throw fault(place, row, { reason, advice: 'Score every record or leave it out' });
  };
}
