import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { DpError } from '../accounting/check.ts';
import { contractVersion } from './contract.ts';
import type { DuplicateReport } from './duplicates.ts';
import type { SelectionEngineName } from './engines/engine.ts';
import type { LengthUnit } from './lengths.ts';
import type { OwnerForm } from './owners-column.ts';
import type { DuplicatePolicy, NullUserPolicy } from './records.ts';
import type { SelectionStrategy, TokenPolicy } from './rule.ts';
import { parsePrivacyCost, type PrivacyCost } from './safety.ts';
import type { ContributionStatistics } from './statistics.ts';
import type { RowPolicy, TableFormat } from './tables/index.ts';
import { writeSafely } from './tables/output.ts';
import { readFailure } from './tables/source.ts';
import type { UserNormalisation } from './user-ids.ts';

/** Where a score came from; a private one has its cost in `privacyCost`. */
export interface ScorerRecord {
  readonly source: 'column' | 'model';
  readonly provenance: 'public' | 'private';
  readonly name: string;
  /** Hash of the model, null for a column. */
  readonly hash: string | null;
}

/** A file with its size and SHA-256; the path is relative to the manifest, `-` for standard output. */
export interface FileRecord {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly rows: number;
}

/** Where rows came from. */
export interface InputRecord {
  readonly kind: 'file' | 'standard-input' | 'database';
  /** Relative to the manifest; `-` for standard input; host, database and table. */
  readonly path: string;
  /** Null for a database, as is the hash. */
  readonly bytes: number | null;
  readonly sha256: string | null;
  /** Rows read of it; null in manifests of several files that did not count them yet. */
  readonly rows: number | null;
}

/** How a column names all owners of a record, and what the selection takes as public for their sake. */
export interface OwnersRecord extends OwnerForm {
  /** `owner-graph`: who owns which record; `owner-order`: what of records the rule goes by. The rest has a cost. */
  readonly public: readonly string[];
}

/** How contributions looked before and after. */
export interface SelectionStatistics {
  /** Raw values of the private table: they stay inside the trust boundary. */
  readonly notPrivate: true;
  readonly before: ContributionStatistics;
  readonly after: ContributionStatistics;
  /** What tokens were counted with; null where none were. */
  readonly tokenizer: { readonly name: string; readonly hash: string } | null;
  /** Tokens of all records that could be selected; null where none were counted, as is `tokensAfter`. */
  readonly tokensBefore: number | null;
  /** Tokens that were kept. */
  readonly tokensAfter: number | null;
  /** Kept users whose id differs from another by case, white space or Unicode normalisation alone. */
  readonly similarUsers: number;
  /** Texts of several users among the kept records; null where texts were not compared. */
  readonly duplicates: DuplicateReport | null;
}

/** Everything needed to check or repeat a selection. Raw counts: not private, it stays inside the trust boundary. */
export interface Manifest {
  readonly format: 'privacy-unit/selection';
  /** 2 is written; 1 is read, with what it lacks filled in. */
  readonly version: 1 | 2;
  readonly contractVersion: number;
  readonly tool: { readonly name: string; readonly version: string };
  readonly engine: { readonly name: SelectionEngineName; readonly version: string };
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly commandLine: readonly string[] | null;
  readonly rule: {
    readonly strategy: SelectionStrategy;
    readonly seed: string;
    readonly recordsPerUser: number | null;
    readonly tokensPerUser: number | null;
    readonly tokenPolicy: TokenPolicy;
    readonly chunkTokens: number | null;
    /** Unit of the lengths that longest and shortest compare. */
    readonly lengthUnit: LengthUnit;
  };
  /** Column names of the output; `id` was added where the input had none. */
  readonly columns: {
    readonly user: string;
    readonly id: string;
    readonly text: string | null;
    readonly score: string | null;
  };
  readonly numberedIds: boolean;
  /**
   * How the user column names all owners of a record, each of whom counts as a user; null where it names one user. Rows are
   * then in order of their owners, sorted and each once, and then of their ids.
   */
  readonly owners: OwnersRecord | null;
  readonly policies: {
    readonly nullUsers: NullUserPolicy;
    readonly duplicates: DuplicatePolicy;
    readonly onError: RowPolicy;
    /** How user ids were rewritten before anything else; the output holds them so. */
    readonly userNormalize: readonly UserNormalisation[];
  };
  /** What the choices behind the selection spent; empty where all of them are public or user-local. */
  readonly privacyCost: readonly PrivacyCost[];
  readonly inputs: readonly InputRecord[];
  readonly output: FileRecord & { readonly tableFormat: TableFormat };
  readonly result: {
    readonly users: number;
    readonly usersKept: number;
    readonly recordsIn: number;
    readonly recordsKept: number;
    readonly dropped: { readonly nullUsers: number; readonly duplicates: number };
    /** Rows that could not be read, by reason; they are in no other count. */
    readonly skipped: Readonly<Record<string, number>>;
    /** Most records of one user, counted in the output file after writing. */
    readonly maximumPerUser: number;
    /** Most tokens of one user, counted likewise; null without a token cap. */
    readonly maximumTokensPerUser: number | null;
    /** See `keptIdsDigest`. */
    readonly keptIds: string;
  };
  /** Null where the outcome does not depend on one. */
  readonly tokenizer: { readonly name: string; readonly hash: string } | null;
  readonly scorer: ScorerRecord | null;
  /** Null in manifests of version 1. */
  readonly statistics: SelectionStatistics | null;
}

/** Version of the package that runs. */
export function toolVersion(): string {
  const { version }: { version: string } = createRequire(import.meta.url)('privacy-unit/package.json');
  return version;
}

/**
 * Name of the manifest beside an output file.
 *
 * @example
 * ```ts
 * manifestPathOf('mail.parquet'); // 'mail.parquet.manifest.json'
 * ```
 */
export function manifestPathOf(out: string): string {
  return `${out}.manifest.json`;
}

/** A manifest as it is stored. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/**
 * Writes a manifest as JSON, under a temporary name first.
 *
 * @throws DpError `OUTPUT_EXISTS` without `force` where the path is taken
 * @example
 * ```ts
 * import { mkdtempSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * import { curate, textTable, writeTable } from 'privacy-unit/selection';
 * const folder = mkdtempSync(`${tmpdir()}/example-`);
 * const table = textTable({ user: ['ada', 'ada', 'bo'], id: ['1', '2', '3'] });
 * await writeTable(table, `${folder}/in.arrow`);
 * const options = { columns: { user: 'user', id: 'id' }, rule: { strategy: 'random', recordsPerUser: 1, seed: '42' } };
 * const { manifest } = await curate({ table: `${folder}/in.arrow`, out: `${folder}/out.arrow`, ...options });
 * await writeManifest(await readManifest(manifest), manifest).catch(error => error.code); // 'OUTPUT_EXISTS'
 * ```
 */
export async function writeManifest(
  manifest: Manifest,
  path: string,
  options: { force?: boolean } = {},
): Promise<void> {
  const text = manifestText(manifest);
  await writeSafely(path, { force: options.force ?? false }, temporary => writeFile(temporary, text));
}

/** A manifest as it may lie on the disk: version 1 lacks what came later. */
type StoredManifest = Omit<Manifest, 'privacyCost' | 'statistics' | 'owners'> &
  Partial<Pick<Manifest, 'privacyCost' | 'owners'>> & { readonly statistics?: StoredStatistics | null };

type StoredStatistics = Omit<SelectionStatistics, 'tokenizer' | 'tokensBefore'> &
  Partial<Pick<SelectionStatistics, 'tokenizer' | 'tokensBefore'>>;

function isManifest(value: unknown): value is StoredManifest {
  if (typeof value !== 'object' || value === null) return false;
  const shape: Partial<Manifest> = value;
  const objects = [shape.rule, shape.columns, shape.output, shape.result, shape.tool];
  return (
    shape.format === 'privacy-unit/selection' &&
    Array.isArray(shape.inputs) &&
    objects.every(part => typeof part === 'object' && part !== null)
  );
}

function unreadable(path: string, reason: string, advice: string, cause?: unknown): DpError {
  return new DpError('INVALID_DATA', `Cannot read ${path}: ${reason}. ${advice}.`, { cause });
}

/** Early manifests of version 2 did not count tokens before. */
function completedStatistics(statistics: StoredManifest['statistics']): SelectionStatistics | null {
  if (statistics === undefined || statistics === null) return null;
  const { tokenizer = null, tokensBefore = null } = statistics;
  return { ...statistics, tokenizer, tokensBefore };
}

/** Fills in what version 1 did not say because it knew of nothing else. */
function completed(stored: StoredManifest): Manifest {
  return {
    ...stored,
    policies: {
      ...stored.policies,
      onError: stored.policies?.onError ?? 'error',
      userNormalize: stored.policies?.userNormalize ?? [],
    },
    privacyCost: parsePrivacyCost(stored.privacyCost ?? []),
    owners: stored.owners ?? null,
    inputs: stored.inputs.map(input => ({ ...input, kind: input.kind ?? 'file' })),
    result: { ...stored.result, skipped: stored.result.skipped ?? {} },
    statistics: completedStatistics(stored.statistics),
  };
}

function parseManifest(text: string, path: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unreadable(path, 'it is no valid JSON', 'Give a manifest that select wrote', error);
  }
  if (!isManifest(value))
    throw unreadable(path, 'it is no manifest of a selection', 'Give one that select wrote');
  const { version, contractVersion: contract } = value;
  if ((version !== 1 && version !== 2) || contract !== contractVersion) {
    throw unreadable(
      path,
      `manifest version ${String(version)} under contract ${contract} is unknown`,
      'Use the version of privacy-unit that wrote it',
    );
  }
  return completed(value);
}

/**
 * Reads a manifest.
 *
 * @throws DpError `MISSING_FILE`, or `INVALID_DATA` where it is none or of an unknown version
 * @example
 * ```ts
 * import { mkdtempSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * import { curate, textTable, writeTable } from 'privacy-unit/selection';
 * const folder = mkdtempSync(`${tmpdir()}/example-`);
 * const table = textTable({ user: ['ada', 'ada', 'bo'], id: ['1', '2', '3'] });
 * await writeTable(table, `${folder}/in.arrow`);
 * const options = { columns: { user: 'user', id: 'id' }, rule: { strategy: 'random', recordsPerUser: 1, seed: '42' } };
 * const { manifest } = await curate({ table: `${folder}/in.arrow`, out: `${folder}/out.arrow`, ...options });
 * (await readManifest(manifest)).result.maximumPerUser; // 1
 * ```
 */
export async function readManifest(path: string): Promise<Manifest> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw readFailure(path, error);
  });
  return parseManifest(text, path);
}
