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
import type { LengthUnit, SelectionTokenizer } from './lengths.ts';
import { ownerCells, type OwnerForm, ownersAt } from './owners-column.ts';
import { openOwnersEngine, ownedEffects } from './owners-engine.ts';
import { ownedBytes } from './owners-table.ts';
import type { CapRule } from './rule.ts';
import { defaultCaps, type RuleEffect } from './statistics.ts';
import { SizeHistogram, type SizeStatistics } from './statistics-sizes.ts';
import { textCells } from './tables/cells.ts';
import type { TableSource } from './tables/index.ts';
import { TextInterner } from './tables/interner.ts';
import { tokenEffects } from './tokens.ts';
import { type UserIdVariants, userIdVariants } from './user-ids.ts';
import { withWorkFolder } from './work-folder.ts';

export interface SurveyOptions extends InputOptions {
  /** Whether users and texts are looked at as well, which takes a second pass; default true. */
  readonly describes?: boolean | undefined;
  /** What several caps would keep by running a rule, in records and, with a tokenizer, tokens; default none. */
  readonly effects?: EffectsOptions | undefined;
}

/** Which caps to run, and how. */
export interface EffectsOptions {
  readonly rule: Pick<CapRule, 'strategy' | 'seed'>;
  /** What longest and shortest compare; default bytes. */
  readonly lengthUnit?: LengthUnit | undefined;
  /** Without it tokens are not counted. */
  readonly tokenizer?: SelectionTokenizer | undefined;
  /** Values of recordsPerUser; default `defaultCaps`. */
  readonly caps?: readonly number[] | undefined;
}

/** What caps would keep; raw values, not private. */
export interface SurveyEffects {
  /** Tokens of all records; null where none were counted. */
  readonly tokensBefore: number | null;
  readonly tokenizer: { readonly name: string; readonly hash: string } | null;
  /** Empty where a rule cannot be run for other caps: blocks, and scores by a model. */
  readonly caps: readonly RuleEffect[];
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
export interface Survey extends Pick<SelectionCounts, 'recordsIn' | 'dropped' | 'contributions'> {
  readonly notPrivate: true;
  /** Rows that could not be read, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Null where it was not asked for, or the table is in a database. */
  readonly description: SurveyDescription | null;
  /**
   * Null where they were not asked for, or neither are tokens counted nor have records several owners: then `capEffects`
   * says what a cap keeps.
   */
  readonly effects: SurveyEffects | null;
}

/** Memory of the builtin engine: place, user, key and flags of a record; hash slot and offset of a user. */
const bytesPerRecord = 32;
const bytesPerUser = 32;

/** Looks at every user id once, and at every text. */
class Describer {
  readonly #owners: OwnerForm | undefined;
  readonly #users: TextInterner = new TextInterner();
  /** Lists of owners, by their numbers. */
  readonly #lists: TextInterner = new TextInterner();
  readonly #duplicates: DuplicateCounter;
  readonly #lengths: SizeHistogram = new SizeHistogram();
  #hasText = false;
  #records = 0;
  #ownerships = 0;

  constructor(memoryLimit: number, owners: OwnerForm | undefined) {
    this.#owners = owners;
    this.#duplicates = new DuplicateCounter({
      memoryLimit: Math.min(2 ** 28, Math.max(1, memoryLimit >> 1)),
    });
  }

  add(users: Data, texts: Data | undefined): void {
    const placeOf =
      this.#owners === undefined ? this.#userPlaces(users) : this.#listPlaces(users, this.#owners);
    const cells = texts === undefined ? undefined : textCells(texts);
    this.#hasText ||= cells !== undefined;
    for (let row = 0; row < users.length; row++) {
      const place = placeOf(row);
      if (place < 0) continue;
      this.#records += 1;
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
      memoryEstimate: this.#memory(names.length) + nameBytes,
    };
  }

  /** Number of the user of a row, -1 where there is none. */
  #userPlaces(users: Data): (row: number) => number {
    const cells = textCells(users);
    return row => {
      const user = cells.isNull(row) ? undefined : cells.bytes(row);
      return user === undefined || user.length === 0 ? -1 : this.#users.intern(user);
    };
  }

  /** The same for the list of owners of a row, whichever order it has. */
  #listPlaces(users: Data, form: OwnerForm): (row: number) => number {
    const cells = ownerCells(users, form);
    return row => {
      const owners = ownersAt(cells, row);
      if (owners === null) return -1;
      const numbers = [...new Set(owners.map(owner => this.#users.intern(owner)))].sort((a, b) => a - b);
      this.#ownerships += numbers.length;
      return this.#lists.intern(new Uint8Array(Int32Array.from(numbers).buffer));
    };
  }

  #memory(users: number): number {
    const { record, ownership, user } = ownedBytes;
    return this.#owners === undefined
      ? bytesPerRecord * this.#records + bytesPerUser * users
      : record * this.#records + ownership * this.#ownerships + user * users;
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
  const describer = new Describer(options.memory ?? defaultMemory, options.owners);
  const names = [columns.user, ...(columns.text === undefined ? [] : [columns.text])];
  stage(options, 'compare');
  for await (const { batch } of source.batches({ columns: names })) {
    stage(options, 'compare');
    const [users, texts] = batch.data.children;
    describer.add(users!, texts);
  }
  return describer.result();
}

/** Counts, and the effects of caps where they are asked for. */
interface Counted {
  readonly counts: SelectionCounts;
  readonly effects: SurveyEffects | null;
}

function nameOf(tokenizer: SelectionTokenizer | undefined): SurveyEffects['tokenizer'] {
  return tokenizer === undefined ? null : { name: tokenizer.name, hash: tokenizer.hash };
}

async function countOwned(
  request: SelectionRequest,
  form: OwnerForm,
  asked: EffectsOptions,
): Promise<Counted> {
  const { counts, effects } = await ownedEffects(request, form, asked.caps ?? defaultCaps);
  const { tokens } = counts;
  const tokenizer = tokens === undefined ? null : nameOf(asked.tokenizer);
  return { counts, effects: { tokensBefore: tokens ?? null, tokenizer, caps: effects } };
}

async function count(request: SelectionRequest, options: SurveyOptions): Promise<Counted> {
  const { owners, effects: asked } = options;
  const { rule, lengthUnit = 'bytes', tokenizer, caps = defaultCaps } = asked ?? {};
  const ruled = { ...request, rule: { ...request.rule, ...rule }, lengthUnit, tokenizer };
  if (owners !== undefined && asked !== undefined) return countOwned(ruled, owners, asked);
  const engine =
    owners === undefined ? await openSelectionEngine(engineOf(options)) : openOwnersEngine(owners);
  const counts = await engine.survey(request);
  const found = asked === undefined ? null : await tokenEffects(ruled, counts, caps);
  if (found === null) return { counts, effects: null };
  return {
    counts,
    effects: { tokensBefore: found.before, tokenizer: nameOf(tokenizer), caps: found.effects },
  };
}

async function surveyIn(options: SurveyOptions, folder: string): Promise<Survey> {
  const inputs = await openInputs({ ...options, folder, hashes: false });
  const { source, columns } = inputs;
  const request = requestOf(options, { source, columns, temporaryFolder: folder });
  const { counts, effects } = await count(request, options);
  const { recordsIn, dropped, contributions } = counts;
  const isWanted = (options.describes ?? true) && !('url' in source);
  const description = isWanted ? await describe(source, columns, options) : null;
  await inputs.checkUnchanged();
  const skipped = 'url' in source ? {} : Object.fromEntries(source.skipped);
  return { notPrivate: true, recordsIn, dropped, contributions, skipped, description, effects };
}

/**
 * Checks and counts the records of tables and writes nothing: what a dry run shows. `contributionStatistics` turns its
 * `contributions` into figures, `releaseContributions` into private ones, save where records have several `owners`: there a
 * user who leaves takes records of others along, so no private release of these counts is offered.
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
 * [survey.contributions.get(1), survey.contributions.get(2)]; // [1, 1]
 * survey.description.userIds.ids; // 2
 * ```
 */
export async function surveyTables(options: SurveyOptions): Promise<Survey> {
  checkInputOptions(options);
  return withWorkFolder(temporaryFolderOf(options), folder => surveyIn(options, folder));
}
