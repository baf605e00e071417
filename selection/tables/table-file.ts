import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Data, Field } from 'apache-arrow';
import { formatOf, type TableFormat } from './formats.ts';
import { invalidFile, readFailure } from './source.ts';

/** A file of a table source. */
export interface TableFile {
  readonly path: string;
  /** The last part of the path, as messages name it. */
  readonly name: string;
  readonly format: TableFormat;
  /** Size on disk, packed where it is packed. */
  readonly bytes: number;
}

/** What tells that a file is the one that was opened. */
interface FileState {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ino: bigint;
  readonly dev: bigint;
}

/** Rows of a file by column, in the order of the columns asked for; no columns where nobody wants the rows. */
export interface ColumnBatch {
  readonly rows: number;
  readonly columns: readonly Data[] | undefined;
}

/** Reads the columns of one file, again and again. */
export interface FileReader {
  readonly fields: readonly Field[];
  /** What the file says about itself, such as how pandas sees it. */
  readonly metadata?: Map<string, string>;
  batches(columns: readonly string[], options?: ReadOptions): AsyncGenerator<ColumnBatch>;
}

export interface ReadOptions {
  /** Text columns that may come as dictionaries where the file keeps them so. */
  readonly encoded?: readonly string[] | undefined;
  /** Whether any of the `rows` rows from `first` on, counted within the file, is wanted; a reader may ask or not. */
  readonly wants?: ((first: number, rows: number) => boolean) | undefined;
  /** The memory of a batch may be used again for the next. */
  readonly reuse?: boolean | undefined;
}

async function stateOf(path: string): Promise<FileState> {
  try {
    const { size, mtimeNs, ino, dev } = await stat(path, { bigint: true });
    return { size, mtimeNs, ino, dev };
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** A file as it was when it was opened. */
export class OpenedFile implements TableFile {
  readonly path: string;
  readonly name: string;
  readonly format: TableFormat;
  readonly #state: FileState;

  private constructor(path: string, format: TableFormat, state: FileState) {
    this.path = path;
    this.name = basename(resolve(path));
    this.format = format;
    this.#state = state;
  }

  static async open(path: string, format?: TableFormat): Promise<OpenedFile> {
    return new OpenedFile(path, format ?? formatOf(path), await stateOf(path));
  }

  get bytes(): number {
    return Number(this.#state.size);
  }

  /** Refuses a file whose size, time or place on disk is another than when it was opened. */
  async checkUnchanged(): Promise<void> {
    const now = await stateOf(this.path);
    const { size, mtimeNs, ino, dev } = this.#state;
    if (now.size === size && now.mtimeNs === mtimeNs && now.ino === ino && now.dev === dev) return;
    throw invalidFile(this.path, 'it changed while it was read', 'Start again when nothing writes to it');
  }
}
