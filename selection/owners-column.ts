import { isUtf8 } from 'node:buffer';
import { type Data, DataType } from 'apache-arrow';
import {
  isIntegerType,
  isNullAt,
  isTextType,
  type TextCells,
  textCells,
  type TextDefect,
} from './tables/cells.ts';

/** How a column names all owners of a record: as a list of texts, or as one text that is cut at every separator. */
export interface OwnerForm {
  /** Null for a column of lists. */
  readonly separator: string | null;
}

/** Owners of the rows of one batch, as UTF-8. */
export interface OwnerCells {
  readonly length: number;
  /** What stands in a row, in its order, empty and null entries included; null for a null row. */
  entriesAt(row: number): readonly (Uint8Array | null)[] | null;
  /** The first row with a defect, or undefined. */
  firstDefect(): { row: number; defect: TextDefect } | undefined;
}

/** True for lists, of either width of offsets. */
function isListType(type: DataType): boolean {
  return DataType.isList(type) || DataType.isLargeList(type);
}

/** True where a column of this type can hold owners in this form. */
export function holdsOwners(type: DataType, { separator }: OwnerForm): boolean {
  if (separator !== null) return isTextType(type);
  if (!isListType(type)) return false;
  const entry: DataType = type.children[0]!.type;
  return isTextType(entry) || isIntegerType(entry) || DataType.isNull(entry);
}

function defectOf(bytes: Uint8Array | null): TextDefect | undefined {
  if (bytes === null) return undefined;
  if (!isUtf8(bytes)) return 'invalid UTF-8';
  return bytes.includes(0) ? 'a NUL character' : undefined;
}

class ListCells implements OwnerCells {
  readonly length: number;
  readonly #data: Data;
  readonly #offsets: ArrayLike<number | bigint>;
  /** Undefined where every entry is null. */
  readonly #entries: TextCells | undefined;

  constructor(data: Data) {
    this.#data = data;
    this.length = data.length;
    this.#offsets = data.valueOffsets;
    const [entries] = data.children;
    this.#entries = DataType.isNull(entries!.type) ? undefined : textCells(entries!);
  }

  entriesAt(row: number): (Uint8Array | null)[] | null {
    if (isNullAt(this.#data, row)) return null;
    const entries = this.#entries;
    const found: (Uint8Array | null)[] = [];
    const end = Number(this.#offsets[row + 1]!);
    for (let at = Number(this.#offsets[row]!); at < end; at++)
      found.push(entries === undefined || entries.isNull(at) ? null : entries.bytes(at));
    return found;
  }

  firstDefect(): { row: number; defect: TextDefect } | undefined {
    if (this.#entries?.firstDefect() === undefined) return undefined;
    for (let row = 0; row < this.length; row++) {
      for (const entry of this.entriesAt(row) ?? []) {
        const defect = defectOf(entry);
        if (defect !== undefined) return { row, defect };
      }
    }
    return undefined;
  }
}

/** Cutting bytes is safe: no character of UTF-8 begins inside another. */
class SeparatedCells implements OwnerCells {
  readonly length: number;
  readonly #cells: TextCells;
  readonly #separator: Buffer;

  constructor(data: Data, separator: string) {
    this.#cells = textCells(data);
    this.length = data.length;
    this.#separator = Buffer.from(separator);
  }

  entriesAt(row: number): Uint8Array[] | null {
    if (this.#cells.isNull(row)) return null;
    const cell = this.#cells.bytes(row);
    const text = Buffer.from(cell.buffer, cell.byteOffset, cell.byteLength);
    const found: Uint8Array[] = [];
    let start = 0;
    for (let end = text.indexOf(this.#separator); end >= 0; end = text.indexOf(this.#separator, start)) {
      found.push(text.subarray(start, end));
      start = end + this.#separator.length;
    }
    found.push(text.subarray(start));
    return found;
  }

  firstDefect(): { row: number; defect: TextDefect } | undefined {
    return this.#cells.firstDefect();
  }
}

/** Reads one batch of a column of owners; `holdsOwners` must be true of its type. */
export function ownerCells(data: Data, { separator }: OwnerForm): OwnerCells {
  return separator === null ? new ListCells(data) : new SeparatedCells(data, separator);
}

/**
 * The owners of a row, one named twice given twice. Null where the row names none, and where one of its entries is null
 * or empty: an owner whose name is not there cannot be counted, so such a row has a missing user.
 */
export function ownersAt(cells: OwnerCells, row: number): readonly Uint8Array[] | null {
  const entries = cells.entriesAt(row);
  if (entries === null || entries.length === 0) return null;
  const owners: Uint8Array[] = [];
  for (const entry of entries) {
    if (entry === null || entry.length === 0) return null;
    owners.push(entry);
  }
  return owners;
}
