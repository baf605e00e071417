import type { Data, RecordBatch } from 'apache-arrow';
import type { DpError } from '../accounting/check.ts';
import { holdsOwners, ownerCells, type OwnerForm, ownersAt } from './owners-column.ts';
import { isIntegerType, isTextType, textCells, type TextCells } from './tables/cells.ts';
import { invalidFile } from './tables/source.ts';

/** Ids and texts of the rows of a batch. */
export interface RowCells {
  readonly ids: TextCells;
  readonly texts: TextCells | undefined;
}

/** A column of a batch, for messages. */
export interface ColumnPlace {
  readonly path: string;
  readonly name: string;
  readonly firstRow: number;
}

function columnFault({ path, name }: ColumnPlace, what: string): DpError {
  return invalidFile(path, `column ${JSON.stringify(name)} ${what}`, 'Give a table that select wrote');
}

/** The cells of a column, none of them null or ill-formed. */
export function wholeCells(data: Data, place: ColumnPlace): TextCells {
  const { firstRow } = place;
  const fault = (what: string): DpError => columnFault(place, what);
  if (!isTextType(data.type) && !isIntegerType(data.type)) throw fault('is neither text nor whole numbers');
  const cells = textCells(data);
  const found = cells.firstDefect();
  if (found !== undefined) throw fault(`holds ${found.defect} in row ${firstRow + found.row + 1}`);
  if (data.nullCount === 0 && data.dictionary === undefined) return cells;
  for (let row = 0; row < cells.length; row++)
    if (cells.isNull(row)) throw fault(`is null in row ${firstRow + row + 1}`);
  return cells;
}

/** Owners of the rows of a batch, all there. */
export interface OwnerRows {
  readonly length: number;
  at(row: number): readonly Uint8Array[];
}

export function ownerRows(data: Data, place: ColumnPlace, form: OwnerForm): OwnerRows {
  if (!holdsOwners(data.type, form)) throw columnFault(place, 'holds no owners in the form of the manifest');
  const cells = ownerCells(data, form);
  const found = cells.firstDefect();
  if (found !== undefined)
    throw columnFault(place, `holds ${found.defect} in row ${place.firstRow + found.row + 1}`);
  const at = (row: number): readonly Uint8Array[] => {
    const owners = ownersAt(cells, row);
    if (owners === null) throw columnFault(place, `lacks an owner in row ${place.firstRow + row + 1}`);
    return owners;
  };
  return { length: cells.length, at };
}

/** A batch of user, id and perhaps text, its users read as the caller says. */
export function cellsOf<Users>(
  batch: RecordBatch,
  place: Omit<ColumnPlace, 'name'>,
  readUsers: (data: Data, place: ColumnPlace) => Users,
): RowCells & { readonly users: Users } {
  const [users, ids, texts] = batch.data.children;
  const column = (at: number): ColumnPlace => ({ ...place, name: batch.schema.fields[at]!.name });
  return {
    users: readUsers(users!, column(0)),
    ids: wholeCells(ids!, column(1)),
    texts: texts && wholeCells(texts, column(2)),
  };
}
