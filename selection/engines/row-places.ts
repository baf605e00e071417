import { basename } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import type { TableSource } from '../tables/table-source.ts';

/** Says of a row, counted over all files, which file it is in and where; learnt while the files are read. */
export class RowPlaces {
  readonly #source: TableSource;
  readonly #starts: number[] = [];
  #rows = 0;

  constructor(source: TableSource) {
    this.#source = source;
  }

  /** Rows seen. */
  get rows(): number {
    return this.#rows;
  }

  see(batch: {
    readonly file: number;
    readonly firstRow: number;
    readonly rowInFile: number;
    readonly rows: number;
  }): void {
    this.#starts[batch.file] ??= batch.firstRow - batch.rowInFile;
    this.#rows = batch.firstRow + batch.rows;
  }

  /** `<file>:<row>`, rows counted from 1: the id of a row that has none. */
  nameOf(row: number): string {
    const { file, start } = this.#find(row);
    return `${basename(this.#source.files[file]!.path)}:${row - start + 1}`;
  }

  duplicate(row: number): DpError {
    const { file, start } = this.#find(row);
    return new DpError(
      'DUPLICATE_RECORD',
      `Cannot read ${this.#source.files[file]!.name}: row ${row - start + 1} repeats a record id of its user. Make ids unique, or keep the first by policy.`,
    );
  }

  #find(row: number): { file: number; start: number } {
    let file = this.#starts.length - 1;
    while (file > 0 && (this.#starts[file] ?? Infinity) > row) file--;
    return { file, start: this.#starts[file]! };
  }
}
