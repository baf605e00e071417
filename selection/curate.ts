import { createReadStream } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DpError } from '../accounting/check.ts';
import { openInputs, type OpenedInputs } from './curate-inputs.ts';
import { type CurateRun, manifestOf } from './curate-manifest.ts';
import {
  checkColumns,
  checkOptions,
  type CurateOptions,
  defaultMemory,
  engineOf,
  needsTokens,
  outputColumns,
  type ResolvedOptions,
  stage,
  temporaryFolderOf,
} from './curate-options.ts';
import { fileDigest } from './digest.ts';
import type { CrossUserDuplicates } from './duplicates.ts';
import {
  keptCount,
  type SelectionCounts,
  type SelectionEngine,
  type SelectionOutput,
  type SelectionRequest,
} from './engines/engine.ts';
import { openSelectionEngine } from './engines/open.ts';
import { type Manifest, manifestPathOf, manifestText, type SelectionStatistics } from './manifest.ts';
import { type OutputFacts, outputFacts } from './output-facts.ts';
import { openOwnersEngine } from './owners-engine.ts';
import { type PrivacyCost, privacyCostOf } from './safety.ts';
import { checkScoreSource } from './scorer.ts';
import { formatOf } from './tables/index.ts';
import { extensionOf } from './tables/formats.ts';
import { checkFree, writeFailure, writeSafely } from './tables/output.ts';
import { countTokens } from './tokens.ts';
import { withWorkFolder } from './work-folder.ts';

export type { ColumnChoice, CurateOptions, CurateRule, CurateStage, InputOptions } from './curate-options.ts';

/** What a selection did; raw counts, not private. */
export interface CurateResult {
  readonly users: number;
  readonly usersKept: number;
  readonly recordsIn: number;
  readonly recordsKept: number;
  readonly dropped: SelectionCounts['dropped'];
  /** Rows that could not be read, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Counted in the output file. */
  readonly maxPerUser: number;
  /** Counted likewise; null without a token cap. */
  readonly maxTokensPerUser: number | null;
  readonly digest: string;
  /** Path of the output. */
  readonly out: string;
  /** Path of the manifest; empty where there is none. */
  readonly manifest: string;
  readonly engine: Manifest['engine'];
  /** Given where every owner of a record counts. */
  readonly owners: Manifest['owners'];
  readonly privacyCost: readonly PrivacyCost[];
  readonly statistics: SelectionStatistics;
  /** Identical texts among the kept records; null where texts were not compared. */
  readonly crossUserDuplicates: CrossUserDuplicates | null;
}

/** A run that is about to begin. */
interface Job {
  readonly options: ResolvedOptions;
  readonly inputs: OpenedInputs;
  readonly engine: SelectionEngine;
  readonly folder: string;
}

function nothingKept({ rule }: ResolvedOptions, counts: SelectionCounts): DpError {
  const reason =
    counts.contributions.size === 0
      ? 'no record has a user'
      : `no record fits into ${String(rule.tokensPerUser)} tokens`;
  const advice = counts.contributions.size === 0 ? 'Name the user column' : 'Raise tokensPerUser or truncate';
  return new DpError('INVALID_DATA', `Cannot select: ${reason}. ${advice}.`);
}

/** Refuses an output that does not hold what the caps promise; this would be a fault of ours. */
function checkWritten(facts: OutputFacts, counts: SelectionCounts, options: ResolvedOptions): void {
  const { recordsPerUser, tokensPerUser = null } = options.rule;
  const isCounted = !needsTokens(options.rule);
  const fromCap = isCounted ? keptCount(counts.contributions, recordsPerUser) : facts.rows;
  const expected = counts.recordsKept ?? fromCap;
  const faults: [boolean, string][] = [
    [facts.maximumPerUser > (recordsPerUser ?? Infinity), `${facts.maximumPerUser} records of one user`],
    [(facts.tokens?.maximumPerUser ?? 0) > (tokensPerUser ?? Infinity), 'a user above the token cap'],
    [facts.rows !== expected, `${facts.rows} rows instead of ${expected}`],
    [!facts.isCanonical, 'rows out of order or twice'],
  ];
  for (const [isFault, what] of faults) {
    if (!isFault) continue;
    throw new DpError('CHECK_FAILED', `Cannot release the output: it holds ${what}. Report this as a fault.`);
  }
}

function requestOf({ options, inputs, folder }: Job): SelectionRequest {
  const {
    rule,
    lengthUnit = 'bytes',
    tokenizer,
    scorer,
    nullUsers = 'error',
    duplicates = 'error',
  } = options;
  const { memory = defaultMemory, threads, signal, onProgress } = options;
  return {
    source: inputs.source,
    columns: inputs.columns,
    rule,
    lengthUnit,
    tokenizer,
    scorer,
    nullUsers,
    duplicates,
    memoryLimit: memory,
    temporaryFolder: folder,
    threads,
    signal,
    onProgress: (name, done, total) => onProgress?.(name, done, total),
  };
}

/** Where rows go before they are checked. */
function outputOf({ out }: ResolvedOptions, path: string): SelectionOutput {
  if (out === '-') return { path, format: 'arrow', isStream: true };
  const format = formatOf(out) === 'parquet' ? 'parquet' : 'arrow';
  return { path, format, isStream: extensionOf(out) === 'arrows' };
}

async function readBack(path: string, job: Job, format: 'arrow' | 'parquet'): Promise<OutputFacts> {
  const { options, folder } = job;
  const { owners, tokenizer, memory = defaultMemory, comparesTexts = true, signal } = options;
  const { user, id, text = null } = outputColumns(options.columns);
  return outputFacts(path, {
    format,
    columns: { user, id, text },
    owners,
    tokenizer: text === null ? undefined : tokenizer,
    comparesTexts,
    folder,
    memoryLimit: memory,
    signal,
  });
}

/** Selects into a temporary file, reads that back and checks it. */
async function writeAndCheck(
  job: Job,
  temporary: string,
): Promise<Pick<CurateRun, 'counts' | 'rowsOfInputs' | 'tokensBefore' | 'written'>> {
  const { options, engine, inputs } = job;
  const output = outputOf(options, temporary);
  const request = requestOf(job);
  const counts = await engine.select(request, output);
  const tokensBefore = await countTokens(request, counts);
  const rowsOfInputs = await inputs.rows(counts.recordsIn);
  await inputs.checkUnchanged();
  if (counts.contributions.size === 0) throw nothingKept(options, counts);
  stage(options, 'check');
  const facts = await readBack(temporary, job, output.format);
  if (facts.rows === 0) throw nothingKept(options, counts);
  checkWritten(facts, counts, options);
  const path = options.out === '-' ? '-' : pathFrom(options, options.out);
  const file = { path, ...(await fileDigest(temporary, options)), rows: facts.rows };
  return { counts, rowsOfInputs, tokensBefore, written: { facts, file } };
}

/** Path of the manifest, null where none is wanted. */
function manifestPath({ out, manifest }: CurateOptions): string | null {
  if (manifest !== undefined) return manifest;
  return out === '-' ? null : manifestPathOf(out);
}

/** A path as the manifest names it. */
function pathFrom(options: CurateOptions, path: string): string {
  const manifest = manifestPath(options);
  return manifest === null ? basename(path) : relative(dirname(resolve(manifest)), resolve(path));
}

/** Writes the output and its manifest so that neither is there without the other. */
async function release(
  options: CurateOptions,
  run: (temporary: string) => Promise<Manifest>,
): Promise<Manifest> {
  const { out, force = false } = options;
  const path = manifestPath(options);
  let manifest: Manifest | undefined;
  let isThere = false;
  const writeOut = (): Promise<void> =>
    writeSafely(out, { force }, async temporary => {
      manifest = await run(temporary);
    });
  if (path === null) await writeOut();
  else {
    await writeSafely(path, { force }, async temporary => {
      await writeOut();
      isThere = true;
      await writeFile(temporary, manifestText(manifest!));
    }).catch(async (error: unknown) => {
      if (isThere) await rm(out, { force: true });
      throw error;
    });
  }
  return manifest!;
}

/** The same for standard output: rows are checked in a file of the work folder and then copied. */
async function releaseToStream(
  options: CurateOptions,
  folder: string,
  run: (temporary: string) => Promise<Manifest>,
): Promise<Manifest> {
  const temporary = join(folder, 'selected.arrows');
  const path = manifestPath(options);
  let manifest: Manifest | undefined;
  const send = async (): Promise<void> => {
    manifest = await run(temporary);
    stage(options, 'write');
    await pipeline(createReadStream(temporary), options.stdout!, { end: false }).catch((error: unknown) => {
      throw writeFailure('standard output', error);
    });
  };
  if (path === null) await send();
  else {
    await writeSafely(path, { force: options.force ?? false }, async place => {
      await send();
      await writeFile(place, manifestText(manifest!));
    });
  }
  return manifest!;
}

function resultOf(run: CurateRun, manifest: Manifest): CurateResult {
  const { result } = manifest;
  return {
    users: result.users,
    usersKept: result.usersKept,
    recordsIn: result.recordsIn,
    recordsKept: result.recordsKept,
    dropped: result.dropped,
    skipped: result.skipped,
    maxPerUser: result.maximumPerUser,
    maxTokensPerUser: result.maximumTokensPerUser,
    digest: result.keptIds,
    out: run.options.out,
    manifest: manifestPath(run.options) ?? '',
    engine: manifest.engine,
    owners: manifest.owners,
    privacyCost: manifest.privacyCost,
    statistics: manifest.statistics!,
    crossUserDuplicates: run.written.facts.duplicates?.identical.all ?? null,
  };
}

async function engineFor(options: CurateOptions): Promise<SelectionEngine> {
  const { owners } = options;
  return owners === undefined ? openSelectionEngine(engineOf(options)) : openOwnersEngine(owners);
}

async function curateIn(options: CurateOptions, folder: string): Promise<CurateResult> {
  const privacyCost = privacyCostOf(options.choices ?? []);
  const engine = await engineFor(options);
  const { out } = options;
  const path = manifestPath(options) ?? undefined;
  const inputs = await openInputs({
    ...options,
    folder,
    hashes: true,
    manifest: path,
    out: out === '-' ? undefined : out,
  });
  const resolved = { ...options, columns: inputs.columns };
  checkColumns(inputs.columns, options);
  const scorer = checkScoreSource(options.rule, resolved);
  let run: CurateRun | undefined;
  const work = async (temporary: string): Promise<Manifest> => {
    const done = await writeAndCheck({ options: resolved, inputs, engine, folder }, temporary);
    const version = await engine.version();
    run = { options: resolved, inputs, scorer, privacyCost, ...done, engine: { name: engine.name, version } };
    return manifestOf(run);
  };
  const manifest = out === '-' ? await releaseToStream(options, folder, work) : await release(options, work);
  return resultOf(run!, manifest);
}

/**
 * Caps what each user contributes, from files to file: read, validate, select, write, read back, describe.
 *
 * All input columns pass through; rows come out in canonical order (user, record id, by UTF-8 bytes). Under
 * `random-chunk` a row is a block: its id is the block's, its text the decoded block, every other column that of the
 * record which holds the block's first token. The output appears only after it was read back and found to keep the
 * caps; a manifest beside it lets `verifyManifest` and the trainer check that again. Everything is user-local, so
 * selection spends no privacy unless `choices` say so; raw counts in the result and the manifest are not private.
 *
 * No table is held as a whole; with `owners` all but the texts is held.
 *
 * With `owners` the user column names every owner of a record, and each of them keeps at most what the caps say
 * (`selectOwned`). That is not user-local, so `choices` must declare `owner-graph`, and `owner-order` for every rule that
 * looks into records. Statistics then count a record for each of its owners, and rows come out in order of all owners.
 *
 * @throws DpError what `expandInputs`, `openTables` and `readRecords` throw; `OUTPUT_EXISTS`; `INVALID_ARGUMENT` for a
 *   rule that does not fit the options or a scorer that is not public; `INVALID_DATA` where nothing would be kept;
 *   `ENGINE_UNAVAILABLE`; `ENGINE_FAILED`; `INTERRUPTED`. Nothing is left behind
 * @example
 * ```ts
 * import { mkdtempSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * import { textTable, writeTable } from 'privacy-unit/selection';
 * const folder = mkdtempSync(`${tmpdir()}/example-`);
 * const table = textTable({ user: ['ada', 'ada', 'bo'], id: ['1', '2', '3'] });
 * await writeTable(table, `${folder}/in.arrow`);
 * const options = { columns: { user: 'user', id: 'id' }, rule: { strategy: 'random', recordsPerUser: 1, seed: '42' } };
 * const result = await curate({ table: `${folder}/in.arrow`, out: `${folder}/out.parquet`, ...options });
 * [result.recordsIn, result.recordsKept, result.maxPerUser]; // [3, 2, 1]
 * ```
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * const folder = mkdtempSync(`${tmpdir()}/example-`);
 * writeFileSync(`${folder}/mail.csv`, 'to,id\nada;bo,1\nada,2\nbo;cy,3\n');
 * const result = await curate({
 *   table: `${folder}/mail.csv`, out: `${folder}/out.parquet`, columns: { user: 'to', id: 'id' },
 *   owners: { separator: ';' }, choices: [{ name: 'owner-graph', origin: { kind: 'public' } }],
 *   rule: { strategy: 'random', recordsPerUser: 1, seed: '42' },
 * });
 * [result.users, result.recordsIn, result.maxPerUser]; // [3, 3, 1]
 * ```
 */
export async function curate(options: CurateOptions): Promise<CurateResult> {
  checkOptions(options);
  const { columns, rule, force = false, out } = options;
  if (typeof columns !== 'function') checkScoreSource(rule, { ...options, columns });
  const manifest = manifestPath(options);
  if (out !== '-') await checkFree(out, { force });
  if (manifest !== null) await checkFree(manifest, { force });
  return withWorkFolder(temporaryFolderOf(options), folder => curateIn(options, folder));
}
