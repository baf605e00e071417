import type { Data, RecordBatch } from 'apache-arrow';
import { DpError } from '../accounting/check.ts';
import { DuplicateCounter, type DuplicateReport } from './duplicates.ts';
import { KeptIds } from './kept-ids.ts';
import type { SelectionTokenizer } from './lengths.ts';
import { SimilarUsers } from './similar-users.ts';
import { isIntegerType, isTextType, textCells, type TextCells } from './tables/cells.ts';
import type { TableFormat } from './tables/index.ts';
import { invalidFile } from './tables/source.ts';
import { openTables } from './tables/table-source.ts';

/** What a selected table holds, read back from its file; raw values, not private. */
export interface OutputFacts {
  readonly rows: number;
  readonly users: number;
  readonly maximumPerUser: number;
  /** See `keptIdsDigest`. */
  readonly keptIds: string;
  /** Rows go up by (user, id) as UTF-8 bytes, none twice. Where not, counts per user are too low. */
  readonly isCanonical: boolean;
  /** Records of a user to number of users with so many. */
  readonly contributions: ReadonlyMap<number, number>;
  /** Null without a tokenizer. */
  readonly tokens: { readonly total: number; readonly maximumPerUser: number } | null;
  /** Users whose id differs from another by case, white space or Unicode normalisation alone. */
  readonly similarUsers: number;
  /** Null where texts were not compared. */
  readonly duplicates: DuplicateReport | null;
}

export interface OutputFactsOptions {
  readonly format: TableFormat;
  readonly columns: { readonly user: string; readonly id: string; readonly text: string | null };
  /** Given where tokens are to be counted. */
  readonly tokenizer?: SelectionTokenizer | undefined;
  /** Whether to look for texts that several users have. */
  readonly comparesTexts: boolean;
  /** An existing folder for what does not fit. */
  readonly folder: string;
  /** Bytes. */
  readonly memoryLimit: number;
  readonly signal?: AbortSignal | undefined;
}

const nothing = new Uint8Array(0);

function areSame(left: Uint8Array, right: Uint8Array): boolean {
  const { length } = left;
  if (length !== right.length) return false;
  for (let i = 0; i < length; i++) if (left[i] !== right[i]) return false;
  return true;
}

/** Counts rows that come user by user; holds one user and no rows. */
class Reader {
  readonly #options: OutputFactsOptions;
  readonly #ids: KeptIds;
  readonly #similar: SimilarUsers;
  readonly #duplicates: DuplicateCounter | undefined;
  readonly #contributions: Map<number, number> = new Map();
  #rows = 0;
  #users = 0;
  #maximum = 0;
  #isCanonical = true;
  #totalTokens = 0;
  #mostTokens = 0;
  #user: Uint8Array = nothing;
  #id: Uint8Array = nothing;
  #records = 0;
  #tokens = 0;

  constructor(options: OutputFactsOptions) {
    const { memoryLimit, folder, comparesTexts } = options;
    this.#options = options;
    this.#ids = new KeptIds({ folder, memoryLimit: memoryLimit / 4 });
    this.#similar = new SimilarUsers(memoryLimit / 8);
    const limit = Math.max(1, Math.min(2 ** 28, Math.floor(memoryLimit / 4)));
    this.#duplicates = comparesTexts ? new DuplicateCounter({ memoryLimit: limit }) : undefined;
  }

  add(cells: { users: TextCells; ids: TextCells; texts: TextCells | undefined }): void {
    const { users, ids, texts } = cells;
    for (let row = 0; row < users.length; row++) {
      this.#addKeys(users.bytes(row), ids.bytes(row));
      if (texts !== undefined) this.#addText(texts, row);
    }
  }

  facts(): OutputFacts {
    this.#closeUser();
    return {
      rows: this.#rows,
      users: this.#users,
      maximumPerUser: this.#maximum,
      keptIds: this.#ids.digest(),
      isCanonical: this.#isCanonical,
      contributions: this.#contributions,
      tokens:
        this.#options.tokenizer === undefined
          ? null
          : { total: this.#totalTokens, maximumPerUser: this.#mostTokens },
      similarUsers: this.#similar.result(),
      duplicates: this.#duplicates?.result() ?? null,
    };
  }

  #addKeys(user: Uint8Array, id: Uint8Array): void {
    if (this.#records > 0 && areSame(user, this.#user)) {
      if (Buffer.compare(this.#id, id) >= 0) this.#isCanonical = false;
    } else {
      if (this.#records > 0 && Buffer.compare(this.#user, user) > 0) this.#isCanonical = false;
      this.#closeUser();
      this.#user = user;
      this.#users += 1;
      this.#similar.add(user);
    }
    this.#id = id;
    this.#rows += 1;
    this.#records += 1;
    this.#ids.add(id);
  }

  #addText(texts: TextCells, row: number): void {
    this.#duplicates?.add(this.#users - 1, texts.bytes(row));
    const { tokenizer } = this.#options;
    if (tokenizer !== undefined) this.#tokens += tokenizer.encode(texts.text(row)).length;
  }

  #closeUser(): void {
    if (this.#records === 0) return;
    this.#contributions.set(this.#records, (this.#contributions.get(this.#records) ?? 0) + 1);
    this.#maximum = Math.max(this.#maximum, this.#records);
    this.#totalTokens += this.#tokens;
    this.#mostTokens = Math.max(this.#mostTokens, this.#tokens);
    this.#records = this.#tokens = 0;
  }
}

/** The cells of a column, none of them null or ill-formed. */
function wholeCells(data: Data, place: { path: string; name: string; firstRow: number }): TextCells {
  const { path, name, firstRow } = place;
  const fault = (what: string): DpError =>
    invalidFile(path, `column ${JSON.stringify(name)} ${what}`, 'Give a table that select wrote');
  if (!isTextType(data.type) && !isIntegerType(data.type)) throw fault('is neither text nor whole numbers');
  const cells = textCells(data);
  const found = cells.firstDefect();
  if (found !== undefined) throw fault(`holds ${found.defect} in row ${firstRow + found.row + 1}`);
  if (data.nullCount === 0 && data.dictionary === undefined) return cells;
  for (let row = 0; row < cells.length; row++)
    if (cells.isNull(row)) throw fault(`is null in row ${firstRow + row + 1}`);
  return cells;
}

function cellsOf(
  batch: RecordBatch,
  place: { path: string; firstRow: number },
): { users: TextCells; ids: TextCells; texts: TextCells | undefined } {
  const [users, ids, texts] = batch.data.children.map((data, at) =>
    wholeCells(data, { ...place, name: batch.schema.fields[at]!.name }),
  );
  return { users: users!, ids: ids!, texts };
}

/**
 * Reads a selected table back, batch by batch, and counts what the claims rest on.
 *
 * @throws DpError `MISSING_FILE`, `MISSING_COLUMN`, `INVALID_DATA`; `INTERRUPTED`
 */
export async function outputFacts(path: string, options: OutputFactsOptions): Promise<OutputFacts> {
  const { user, id, text } = options.columns;
  const readsText = text !== null && (options.comparesTexts || options.tokenizer !== undefined);
  const source = await openTables([path], { format: options.format });
  const reader = new Reader({ ...options, comparesTexts: options.comparesTexts && text !== null });
  const columns = readsText ? [user, id, text] : [user, id];
  for await (const { batch, firstRow } of source.batches({ columns })) {
    if (options.signal?.aborted === true) {
      throw new DpError(
        'INTERRUPTED',
        'Cannot check the output: interrupted. Start again; nothing was written.',
      );
    }
    reader.add(cellsOf(batch, { path, firstRow }));
  }
  return reader.facts();
}
