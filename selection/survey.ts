import { type Data, Utf8 } from 'apache-arrow';
import { openInputs } from './curate-inputs.ts';
import {
  checkInputOptions,
  defaultMemory,
  engineOf,
  stage,
  type InputOptions,
  temporaryFolderOf,
} from './curate-options.ts';
import { DuplicateCounter, type DuplicateReport } from './duplicates.ts';
import type { SelectionCounts, SelectionRequest } from './engines/engine.ts';
import { openSelectionEngine } from './engines/open.ts';
import { SizeHistogram, type SizeStatistics } from './statistics-sizes.ts';
import { textCells } from './tables/cells.ts';
import type { TableSource } from './tables/index.ts';
import { TextInterner } from './tables/interner.ts';
import { type UserIdVariants, userIdVariants } from './user-ids.ts';
import { withWorkFolder } from './work-folder.ts';

export interface SurveyOptions extends InputOptions {
  /** Whether users and texts are looked at as well, which takes a second pass; default true. */
  readonly describes?: boolean | undefined;
}

/** What users and texts are like; raw values, not private. */
export interface SurveyDescription {
  /** User ids that differ by little; they may be one person. */
  readonly userIds: UserIdVariants;
  /** Null without a text column, as are the lengths. */
  readonly duplicates: DuplicateReport | null;
  /** UTF-8 bytes of the texts. */
  readonly lengths: SizeStatistics | null;
  /** Bytes that the builtin engine would want for a selection from this table. */
  readonly memoryEstimate: number;
}

/** What a table holds, before anything is selected; raw values, not private. */
export interface Survey extends SelectionCounts {
  readonly notPrivate: true;
  /** Rows that could not be read, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Null where it was not asked for, or the table is in a database. */
  readonly description: SurveyDescription | null;
}

/** Memory of the builtin engine: place, user, key and flags of a record; hash slot and offset of a user. */
const bytesPerRecord = 32;
const bytesPerUser = 32;

/** Looks at every user id once, and at every text. */
class Describer {
  readonly #users: TextInterner = new TextInterner();
  readonly #duplicates: DuplicateCounter;
  readonly #lengths: SizeHistogram = new SizeHistogram();
  #hasText = false;
  #records = 0;

  constructor(memoryLimit: number) {
    this.#duplicates = new DuplicateCounter({
      memoryLimit: Math.min(2 ** 28, Math.max(1, memoryLimit >> 1)),
    });
  }

  add(users: Data, texts: Data | undefined): void {
    const userCells = textCells(users);
    const cells = texts === undefined ? undefined : textCells(texts);
    this.#hasText ||= cells !== undefined;
    for (let row = 0; row < userCells.length; row++) {
      const user = userCells.isNull(row) ? undefined : userCells.bytes(row);
      if (user === undefined || user.length === 0) continue;
      this.#records += 1;
      const place = this.#users.intern(user);
      if (cells === undefined) continue;
      const text = cells.bytes(row);
      this.#duplicates.add(place, text);
      this.#lengths.add(text.length);
    }
  }

  result(): SurveyDescription {
    const names = this.#names();
    const nameBytes = names.reduce((sum, name) => sum + name.length, 0);
    return {
      userIds: userIdVariants(names),
      duplicates: this.#hasText ? this.#duplicates.result() : null,
      lengths: this.#hasText ? this.#lengths.statistics() : null,
      memoryEstimate: bytesPerRecord * this.#records + bytesPerUser * names.length + nameBytes,
    };
  }

  #names(): string[] {
    const cells = textCells(this.#users.entries(new Utf8()));
    return Array.from({ length: cells.length }, (_, row) => cells.text(row));
  }
}

/** Every rule counts the same; the one that looks at least is asked for. */
function requestOf(
  options: SurveyOptions,
  found: Pick<SelectionRequest, 'source' | 'columns' | 'temporaryFolder'>,
): SelectionRequest {
  const { nullUsers = 'error', duplicates = 'error', memory = defaultMemory } = options;
  const { threads, signal, onProgress } = options;
  return {
    ...found,
    rule: { strategy: 'url' in found.source ? 'random' : 'first', seed: '', recordsPerUser: 1 },
    lengthUnit: 'bytes',
    nullUsers,
    duplicates,
    memoryLimit: memory,
    threads,
    signal,
    onProgress: (name, done, total) => onProgress?.(name, done, total),
  };
}

async function describe(
  source: TableSource,
  columns: SelectionRequest['columns'],
  options: SurveyOptions,
): Promise<SurveyDescription> {
  const describer = new Describer(options.memory ?? defaultMemory);
  const names = [columns.user, ...(columns.text === undefined ? [] : [columns.text])];
  stage(options, 'compare');
  for await (const { batch } of source.batches({ columns: names })) {
    stage(options, 'compare');
    const [users, texts] = batch.data.children;
    describer.add(users!, texts);
  }
  return describer.result();
}

async function surveyIn(options: SurveyOptions, folder: string): Promise<Survey> {
  const engine = await openSelectionEngine(engineOf(options));
  const inputs = await openInputs({ ...options, folder, hashes: false });
  const { source, columns } = inputs;
  const counts = await engine.survey(requestOf(options, { source, columns, temporaryFolder: folder }));
  const isWanted = (options.describes ?? true) && !('url' in source);
  const description = isWanted ? await describe(source, columns, options) : null;
  await inputs.checkUnchanged();
  const skipped = 'url' in source ? {} : Object.fromEntries(source.skipped);
  return { notPrivate: true, ...counts, skipped, description };
}

/**
 * Checks and counts the records of tables and writes nothing: what a dry run shows. `contributionStatistics` turns its
 * `contributions` into figures, `releaseContributions` into private ones.
 *
 * @throws DpError what `curate` throws while it reads
 * @example
 * ```ts
 * import { mkdtempSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * import { textTable, writeTable } from 'privacy-unit/selection';
 * const table = `${mkdtempSync(`${tmpdir()}/example-`)}/in.arrow`;
 * await writeTable(textTable({ user: ['ada', 'ada', 'Ada'], id: ['1', '2', '3'] }), table);
 * const survey = await surveyTables({ table, columns: { user: 'user', id: 'id' } });
 * [...survey.contributions]; // [[2, 1], [1, 1]]
 * survey.description.userIds.ids; // 2
 * ```
 */
export async function surveyTables(options: SurveyOptions): Promise<Survey> {
  checkInputOptions(options);
  return withWorkFolder(temporaryFolderOf(options), folder => surveyIn(options, folder));
}
