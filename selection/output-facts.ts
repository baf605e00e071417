import type { Data, RecordBatch } from 'apache-arrow';
import { DpError } from '../accounting/check.ts';
import { DuplicateCounter, type DuplicateReport } from './duplicates.ts';
import { KeptIds } from './kept-ids.ts';
import type { SelectionTokenizer } from './lengths.ts';
import {
  cellsOf,
  type ColumnPlace,
  ownerRows,
  type OwnerRows,
  type RowCells,
  wholeCells,
} from './output-cells.ts';
import type { OwnerForm } from './owners-column.ts';
import { OwnerCounts } from './owners-facts.ts';
import { SimilarUsers } from './similar-users.ts';
import { contributionsOf } from './statistics.ts';
import type { TextCells } from './tables/cells.ts';
import type { TableFormat } from './tables/index.ts';
import { openTables } from './tables/table-source.ts';

/** What a selected table holds, read back from its file; raw values, not private. */
export interface OutputFacts {
  readonly rows: number;
  readonly users: number;
  readonly maximumPerUser: number;
  /** See `keptIdsDigest`. */
  readonly keptIds: string;
  /**
   * Rows go up by (user, id) as UTF-8 bytes, none twice; by all owners and then id where there may be several. Where not,
   * counts per user may be too low.
   */
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
  /** Given where the user column names all owners of a record: each of them is a user. */
  readonly owners?: OwnerForm | undefined;
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

/** Takes the rows of a table in order. */
interface FactsReader<Users> {
  add(cells: RowCells & { readonly users: Users }): void;
  facts(): OutputFacts;
}

function duplicateCounter({ memoryLimit, comparesTexts }: OutputFactsOptions): DuplicateCounter | undefined {
  const limit = Math.max(1, Math.min(2 ** 28, Math.floor(memoryLimit / 4)));
  return comparesTexts ? new DuplicateCounter({ memoryLimit: limit }) : undefined;
}

/** Counts rows that come user by user; holds one user and no rows. */
class Reader implements FactsReader<TextCells> {
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
    const { memoryLimit, folder } = options;
    this.#options = options;
    this.#ids = new KeptIds({ folder, memoryLimit: memoryLimit / 4 });
    this.#similar = new SimilarUsers(memoryLimit / 8);
    this.#duplicates = duplicateCounter(options);
  }

  add(cells: RowCells & { readonly users: TextCells }): void {
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

/** Counts rows of several owners, each row for every owner; texts are compared between lists of owners. */
class OwnedReader implements FactsReader<OwnerRows> {
  readonly #options: OutputFactsOptions;
  readonly #ids: KeptIds;
  readonly #owners: OwnerCounts;
  readonly #duplicates: DuplicateCounter | undefined;
  #rows = 0;
  #totalTokens = 0;

  constructor(options: OutputFactsOptions) {
    const { memoryLimit, folder } = options;
    this.#options = options;
    this.#ids = new KeptIds({ folder, memoryLimit: memoryLimit / 4 });
    this.#owners = new OwnerCounts(memoryLimit / 8);
    this.#duplicates = duplicateCounter(options);
  }

  add(cells: RowCells & { readonly users: OwnerRows }): void {
    const { users, ids, texts } = cells;
    const { tokenizer } = this.#options;
    for (let row = 0; row < users.length; row++) {
      const tokens =
        texts === undefined || tokenizer === undefined ? 0 : tokenizer.encode(texts.text(row)).length;
      this.#owners.add(users.at(row), ids.bytes(row), tokens);
      this.#ids.add(ids.bytes(row));
      this.#totalTokens += tokens;
      this.#rows += 1;
      if (texts !== undefined) this.#duplicates?.add(this.#owners.lists - 1, texts.bytes(row));
    }
  }

  facts(): OutputFacts {
    const { records, users, isCanonical, similarUsers, mostTokens } = this.#owners;
    const contributions = contributionsOf(records);
    const hasTokens = this.#options.tokenizer !== undefined;
    return {
      rows: this.#rows,
      users,
      maximumPerUser: [...contributions.keys()].reduce((most, count) => Math.max(most, count), 0),
      keptIds: this.#ids.digest(),
      isCanonical,
      contributions,
      tokens: hasTokens ? { total: this.#totalTokens, maximumPerUser: mostTokens } : null,
      similarUsers,
      duplicates: this.#duplicates?.result() ?? null,
    };
  }
}

/** Reads batches into the reader for their users. */
interface Feeder {
  add(batch: RecordBatch, place: Omit<ColumnPlace, 'name'>): void;
  facts(): OutputFacts;
}

function feed<Users>(
  reader: FactsReader<Users>,
  readUsers: (data: Data, place: ColumnPlace) => Users,
): Feeder {
  return {
    add: (batch, place) => reader.add(cellsOf(batch, place, readUsers)),
    facts: () => reader.facts(),
  };
}

function feederFor(options: OutputFactsOptions): Feeder {
  const { owners } = options;
  return owners === undefined
    ? feed(new Reader(options), wholeCells)
    : feed(new OwnedReader(options), (data, place) => ownerRows(data, place, owners));
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
  const reader = feederFor({ ...options, comparesTexts: options.comparesTexts && text !== null });
  const columns = readsText ? [user, id, text] : [user, id];
  for await (const { batch, firstRow } of source.batches({ columns })) {
    if (options.signal?.aborted === true) {
      throw new DpError(
        'INTERRUPTED',
        'Cannot check the output: interrupted. Start again; nothing was written.',
      );
    }
    reader.add(batch, { path, firstRow });
  }
  return reader.facts();
}
