import { type Data, DataType, Field, List, Utf8 } from 'apache-arrow';
import { DpError } from '../accounting/check.ts';
import { type OwnerCells, ownerCells, type OwnerForm } from './owners-column.ts';
import { buildData } from './tables/build.ts';
import { isTextType } from './tables/cells.ts';
import { normaliseUser, type UserNormalisation } from './user-ids.ts';

/** Rewrites every owner in a column of owners by a public map of single ids. */
export class OwnersMap {
  readonly #form: OwnerForm;
  readonly #modes: readonly UserNormalisation[];
  readonly #text: Utf8 = new Utf8();
  readonly #list: List = new List(new Field('item', new Utf8(), true));

  constructor(form: OwnerForm, modes: readonly UserNormalisation[]) {
    this.#form = form;
    this.#modes = modes;
  }

  /** The type that a column has afterwards; whole numbers stay as they are. */
  typeOf(type: DataType): DataType {
    if (this.#form.separator !== null) return isTextType(type) ? this.#text : type;
    const entry: DataType | undefined = type.children?.[0]?.type;
    return entry !== undefined && isTextType(entry) ? this.#list : type;
  }

  column(data: Data): Data {
    const type = this.typeOf(data.type);
    if (type === data.type && type !== this.#text && type !== this.#list) return data;
    const cells = ownerCells(data, this.#form);
    const rows = Array.from({ length: cells.length }, (_, row) => this.#entries(cells, row));
    const { separator } = this.#form;
    if (separator === null) return buildData(type, rows);
    const joined = rows.map(entries => (entries === null ? null : entries.join(separator)));
    return buildData(type, joined);
  }

  #entries(cells: OwnerCells, row: number): (string | null)[] | null {
    const entries = cells.entriesAt(row);
    return entries === null ? null : entries.map(entry => (entry === null ? null : this.#normalised(entry)));
  }

  #normalised(entry: Uint8Array): string {
    const owner = normaliseUser(Buffer.from(entry).toString(), this.#modes);
    const { separator } = this.#form;
    if (separator === null || !owner.includes(separator)) return owner;
    throw new DpError(
      'INVALID_DATA',
      `Cannot select: an owner holds the separator ${JSON.stringify(separator)} once it is normalised. Choose another separator, or normalise less.`,
    );
  }
}
