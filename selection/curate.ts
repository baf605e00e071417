import { basename, dirname, relative } from 'node:path';
import type { Table } from 'apache-arrow';
import { DpError } from '../accounting/check.ts';
import { countsPerUser } from './cap.ts';
import { contractVersion } from './contract.ts';
import {
  addedIdColumn,
  argument,
  checkOptions,
  type CurateOptions,
  type CurateRule,
  needsTokens,
  stage,
  usesTokenizer,
} from './curate-options.ts';
import { type KeptRow, keptRows, outputTable } from './curate-rows.ts';
import { fileDigest } from './digest.ts';
import { type CrossUserDuplicates, crossUserDuplicates } from './duplicates.ts';
import type { SelectionTokenizer } from './lengths.ts';
import {
  type FileRecord,
  type Manifest,
  manifestPathOf,
  type OutputFacts,
  outputFacts,
  toolVersion,
  writeManifest,
} from './manifest.ts';
import { readRecords, type RecordColumns, type Records } from './records.ts';
import { checkScoreSource } from './scorer.ts';
import { contributionStatistics, type ContributionStatistics } from './statistics.ts';
import { formatOf, readTable, writeAs } from './tables/index.ts';
import { checkFree, writeSafely } from './tables/output.ts';

export type { CurateOptions, CurateRule, CurateStage } from './curate-options.ts';

/** What a selection did; raw counts, not private. */
export interface CurateResult {
  readonly users: number;
  readonly usersKept: number;
  readonly recordsIn: number;
  readonly recordsKept: number;
  readonly dropped: Records['dropped'];
  /** Counted in the output file. */
  readonly maxPerUser: number;
  readonly digest: string;
  /** Path of the output. */
  readonly out: string;
  /** Path of the manifest. */
  readonly manifest: string;
  readonly statistics: { readonly before: ContributionStatistics; readonly after: ContributionStatistics };
  /** Among the kept records; null without a text column. */
  readonly crossUserDuplicates: CrossUserDuplicates | null;
}

function manifestColumns({ user, id, text, score }: RecordColumns): Manifest['columns'] {
  return { user, id: id ?? addedIdColumn, text: text ?? null, score: score ?? null };
}

function checkFreeColumn(table: Table, options: CurateOptions): void {
  if (options.columns.id !== null || table.getChild(addedIdColumn) === null) return;
  throw argument(
    `rows are to be numbered but the table has a column "${addedIdColumn}"`,
    'Name it as the id column',
  );
}

/** Tokens of the user with the most, in the output. */
function mostTokens({ records }: OutputFacts, tokenizer: SelectionTokenizer): number {
  const totals = new Float64Array(records.users.length);
  for (let row = 0; row < records.rowCount; row++) {
    totals[records.userOf[row]!]! += tokenizer.encode(records.textAt(row)).length;
  }
  return totals.reduce((most, total) => Math.max(most, total), 0);
}

/** What was written, counted in the file itself. */
interface Written {
  readonly facts: OutputFacts;
  readonly file: FileRecord;
  readonly maximumTokensPerUser: number | null;
}

/** Refuses an output that does not hold what the caps promise; this would be a fault of ours. */
function checkWritten(written: Written, kept: readonly KeptRow[], rule: CurateRule): void {
  const { facts, maximumTokensPerUser } = written;
  const { recordsPerUser, tokensPerUser = null } = rule;
  const checks: [string, number, number][] = [
    ['records per user', facts.maximumPerUser, recordsPerUser ?? Infinity],
    ['tokens per user', maximumTokensPerUser ?? 0, tokensPerUser ?? Infinity],
    ['rows', facts.rows, kept.length],
  ];
  for (const [name, found, most] of checks) {
    if (found <= most) continue;
    throw new DpError(
      'CHECK_FAILED',
      `Cannot release the output: it holds ${found} ${name}, above ${most}. Report this as a fault.`,
    );
  }
}

async function writeAndCheck(
  options: CurateOptions,
  table: Table,
  kept: readonly KeptRow[],
): Promise<Written> {
  const { out, force = false, tokenizer, rule } = options;
  const format = formatOf(out);
  let written: Written | undefined;
  stage(options, 'write');
  await writeSafely(out, { force }, async temporary => {
    await writeAs(table, temporary, out);
    stage(options, 'check');
    const facts = await outputFacts(temporary, { format, columns: manifestColumns(options.columns) });
    const tokens = tokenizer !== undefined && needsTokens(rule) ? mostTokens(facts, tokenizer) : null;
    const file = { path: basename(out), ...(await fileDigest(temporary)), rows: facts.rows };
    written = { facts, file, maximumTokensPerUser: tokens };
    checkWritten(written, kept, rule);
  });
  return written!;
}

function ruleOf(options: CurateOptions): Manifest['rule'] {
  const {
    strategy,
    seed,
    recordsPerUser,
    tokensPerUser = null,
    tokenPolicy = 'stop',
    chunkTokens = null,
  } = options.rule;
  const { lengthUnit = 'bytes' } = options;
  return { strategy, seed, recordsPerUser, tokensPerUser, tokenPolicy, chunkTokens, lengthUnit };
}

function tokenizerRecord(options: CurateOptions): Manifest['tokenizer'] {
  const { tokenizer } = options;
  return tokenizer === undefined || !usesTokenizer(options)
    ? null
    : { name: tokenizer.name, hash: tokenizer.hash };
}

function manifestOf(
  options: CurateOptions,
  run: { records: Records; written: Written; input: FileRecord; scorer: Manifest['scorer'] },
): Manifest {
  const { records, written, input, scorer } = run;
  const { nullUsers = 'error', duplicates = 'error', columns } = options;
  const version = toolVersion();
  return {
    format: 'privacy-unit/selection',
    version: 1,
    contractVersion,
    tool: { name: 'privacy-unit', version },
    engine: { name: 'builtin', version },
    createdAt: new Date().toISOString(),
    commandLine: options.commandLine ?? null,
    rule: ruleOf(options),
    columns: manifestColumns(columns),
    numberedIds: columns.id === null,
    policies: { nullUsers, duplicates },
    inputs: [input],
    output: { ...written.file, tableFormat: formatOf(options.out) },
    result: {
      users: records.users.length,
      usersKept: written.facts.users,
      recordsIn: records.rowCount,
      recordsKept: written.facts.rows,
      dropped: records.dropped,
      maximumPerUser: written.facts.maximumPerUser,
      maximumTokensPerUser: written.maximumTokensPerUser,
      keptIds: written.facts.keptIds,
    },
    tokenizer: tokenizerRecord(options),
    scorer,
  };
}

function resultOf(
  options: CurateOptions,
  manifest: Manifest,
  run: { records: Records; facts: OutputFacts },
): CurateResult {
  const { result } = manifest;
  const { records, facts } = run;
  return {
    users: result.users,
    usersKept: result.usersKept,
    recordsIn: result.recordsIn,
    recordsKept: result.recordsKept,
    dropped: result.dropped,
    maxPerUser: result.maximumPerUser,
    digest: result.keptIds,
    out: options.out,
    manifest: manifestPathOf(options.out),
    statistics: {
      before: contributionStatistics(countsPerUser(records)),
      after: contributionStatistics(countsPerUser(facts.records)),
    },
    crossUserDuplicates: options.columns.text === undefined ? null : crossUserDuplicates(facts.records),
  };
}

async function readInput(
  options: CurateOptions,
): Promise<{ table: Table; records: Records; input: FileRecord }> {
  const { table: path, columns, nullUsers, duplicates, format } = options;
  stage(options, 'hash');
  const digest = await fileDigest(path);
  stage(options, 'read');
  const table = await readTable(path, format === undefined ? {} : { format });
  checkFreeColumn(table, options);
  const records = readRecords(table, { ...columns, file: basename(path), nullUsers, duplicates });
  const name = relative(dirname(options.out), path);
  return { table, records, input: { path: name, ...digest, rows: records.rowCount } };
}

/**
 * Caps what each user contributes, from file to file: read, validate, select, write, read back, describe.
 *
 * All input columns pass through; rows come out in canonical order (user, record id, by UTF-8 bytes). Under
 * `random-chunk` a row is a block: its id is the block's, its text the decoded block, every other column that of the
 * record which holds the block's first token. The output appears only after it was read back and found to keep the
 * caps; a manifest beside it lets `verifyManifest` and the trainer check that again. Everything is user-local, so
 * selection spends no privacy; raw counts in the result and the manifest are not private.
 *
 * @throws DpError what `readTable` and `readRecords` throw; `OUTPUT_EXISTS`; `INVALID_ARGUMENT` for a rule that does not
 *   fit the options or a scorer that is not public; `INVALID_DATA` where nothing would be kept; `INTERRUPTED`
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
 */
export async function curate(options: CurateOptions): Promise<CurateResult> {
  checkOptions(options);
  const { rule, force = false, out } = options;
  const scorer = checkScoreSource(rule, options);
  await checkFree(out, { force });
  await checkFree(manifestPathOf(out), { force });
  const { table, records, input } = await readInput(options);
  const kept = await keptRows(options, records);
  if (kept.length === 0) {
    throw new DpError(
      'INVALID_DATA',
      `Cannot select: no record fits into ${rule.tokensPerUser} tokens. Raise tokensPerUser or truncate.`,
    );
  }
  const written = await writeAndCheck(options, outputTable(table, kept, options), kept);
  const manifest = manifestOf(options, { records, written, input, scorer });
  await writeManifest(manifest, manifestPathOf(out), { force });
  return resultOf(options, manifest, { records, facts: written.facts });
}
