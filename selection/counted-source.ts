import type { Schema } from 'apache-arrow';
import type { TableFile } from './tables/table-file.ts';
import type { BatchOptions, SourceBatch, TableSource } from './tables/table-source.ts';

/** The same table, which notes by the way how many rows each file holds. */
export interface CountedSource extends TableSource {
  /** Rows of each file. A pass of its own is made only where no other has gone through all of them. */
  rowsByFile(): Promise<readonly number[]>;
}

class CountedTables implements CountedSource {
  readonly #source: TableSource;
  #rows: readonly number[] | undefined;

  constructor(source: TableSource) {
    this.#source = source;
  }

  get schema(): Schema {
    return this.#source.schema;
  }

  get files(): readonly TableFile[] {
    return this.#source.files;
  }

  get skipped(): TableSource['skipped'] {
    return this.#source.skipped;
  }

  async *batches(options: BatchOptions = {}): AsyncGenerator<SourceBatch> {
    const rows = this.files.map(() => 0);
    for await (const found of this.#source.batches(options)) {
      rows[found.file] = found.rowInFile + found.batch.numRows;
      yield found;
    }
    // Batches that nobody wants are not seen.
    if (options.wants === undefined) this.#rows ??= rows;
  }

  async rowsByFile(): Promise<readonly number[]> {
    if (this.#rows === undefined) {
      const [first] = this.schema.names;
      for await (const _ of this.batches({ columns: [String(first)] }));
    }
    return this.#rows!;
  }
}

/** A table that counts rows by file. */
export function countedSource(source: TableSource): CountedSource {
  return new CountedTables(source);
}
