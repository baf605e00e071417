import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { DpError } from '../accounting/check.ts';
import { countsPerUser } from './cap.ts';
import { contractVersion } from './contract.ts';
import { fileDigest, keptIdsDigest } from './digest.ts';
import type { LengthUnit } from './lengths.ts';
import { type DuplicatePolicy, type NullUserPolicy, readRecords, type Records } from './records.ts';
import type { SelectionStrategy, TokenPolicy } from './rule.ts';
import { readTable, type TableFormat } from './tables/index.ts';
import { writeSafely } from './tables/output.ts';
import { readFailure } from './tables/source.ts';

/** Where a score came from; `private` scorers are refused. */
export interface ScorerRecord {
  readonly source: 'column' | 'model';
  readonly provenance: 'public';
  readonly name: string;
  /** Hash of the model, null for a column. */
  readonly hash: string | null;
}

/** A file with its size and SHA-256; the path is relative to the manifest. */
export interface FileRecord {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly rows: number;
}

/** Everything needed to check or repeat a selection. Raw counts: not private, it stays inside the trust boundary. */
export interface Manifest {
  readonly format: 'privacy-unit/selection';
  readonly version: 1;
  readonly contractVersion: number;
  readonly tool: { readonly name: string; readonly version: string };
  readonly engine: { readonly name: 'builtin'; readonly version: string };
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
  readonly policies: { readonly nullUsers: NullUserPolicy; readonly duplicates: DuplicatePolicy };
  readonly inputs: readonly FileRecord[];
  readonly output: FileRecord & { readonly tableFormat: TableFormat };
  readonly result: {
    readonly users: number;
    readonly usersKept: number;
    readonly recordsIn: number;
    readonly recordsKept: number;
    readonly dropped: { readonly nullUsers: number; readonly duplicates: number };
    /** Most records of one user, counted in the output file after writing. */
    readonly maximumPerUser: number;
    /** Most tokens of one user, counted likewise; null without a tokenizer. */
    readonly maximumTokensPerUser: number | null;
    /** See `keptIdsDigest`. */
    readonly keptIds: string;
  };
  /** Null where the outcome does not depend on one. */
  readonly tokenizer: { readonly name: string; readonly hash: string } | null;
  readonly scorer: ScorerRecord | null;
}

/** One thing that was checked. */
export interface ManifestCheck {
  readonly name: string;
  readonly holds: boolean;
  /** What was expected and found; no text, no ids. */
  readonly detail: string;
}

export interface ManifestVerification {
  /** True where every check holds. */
  readonly holds: boolean;
  readonly checks: readonly ManifestCheck[];
}

/** What a selected table holds, read back from its file. */
export interface OutputFacts {
  readonly records: Records;
  readonly rows: number;
  readonly users: number;
  readonly maximumPerUser: number;
  readonly keptIds: string;
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

/** Reads a selected table back and counts what the claims rest on. */
export async function outputFacts(
  path: string,
  options: { format: TableFormat; columns: Manifest['columns'] },
): Promise<OutputFacts> {
  const { user, id, text } = options.columns;
  const table = await readTable(path, { format: options.format });
  const records = readRecords(table, { user, id, ...(text === null ? {} : { text }), file: path });
  const counts = countsPerUser(records);
  return {
    records,
    rows: records.rowCount,
    users: records.users.length,
    maximumPerUser: counts.reduce((most, count) => Math.max(most, count), 0),
    keptIds: keptIdsDigest(records.ids),
  };
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
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  await writeSafely(path, { force: options.force ?? false }, temporary => writeFile(temporary, text));
}

function isManifest(value: unknown): value is Manifest {
  if (typeof value !== 'object' || value === null) return false;
  const shape: Partial<Manifest> = value;
  const objects = [shape.rule, shape.columns, shape.output, shape.result, shape.tool];
  return (
    shape.format === 'privacy-unit/selection' &&
    Array.isArray(shape.inputs) &&
    objects.every(part => typeof part === 'object' && part !== null)
  );
}

function parseManifest(text: string, path: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DpError(
      'INVALID_DATA',
      `Cannot read ${path}: it is no valid JSON. Give a manifest that select wrote.`,
      { cause: error },
    );
  }
  if (!isManifest(value)) {
    throw new DpError(
      'INVALID_DATA',
      `Cannot read ${path}: it is no manifest of a selection. Give one that select wrote.`,
    );
  }
  const { version, contractVersion: contract } = value;
  if (version !== 1 || contract !== contractVersion) {
    throw new DpError(
      'INVALID_DATA',
      `Cannot read ${path}: manifest version ${version} under contract ${contract} is unknown. Use the version of privacy-unit that wrote it.`,
    );
  }
  return value;
}

/**
 * Reads a manifest.
 *
 * @throws DpError `MISSING_FILE`, or `INVALID_DATA` where it is none or of another version
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

function equal(name: string, expected: string | number, found: string | number): ManifestCheck {
  return { name, holds: expected === found, detail: `expected ${expected}, found ${found}` };
}

function atMost(name: string, found: number, cap: number | null): ManifestCheck[] {
  return cap === null
    ? []
    : [{ name, holds: found <= cap, detail: `at most ${cap} allowed, found ${found}` }];
}

function failed(name: string, error: unknown): ManifestCheck {
  const detail = error instanceof DpError ? error.message : 'it could not be read';
  return { name, holds: false, detail };
}

async function checkFile(name: string, file: FileRecord, folder: string): Promise<ManifestCheck[]> {
  try {
    const found = await fileDigest(resolve(folder, file.path));
    return [
      equal(`${name} size`, file.bytes, found.bytes),
      equal(`${name} SHA-256`, file.sha256, found.sha256),
    ];
  } catch (error) {
    return [failed(`${name} file`, error)];
  }
}

async function checkContent(manifest: Manifest, folder: string): Promise<ManifestCheck[]> {
  const { output, columns, result, rule } = manifest;
  try {
    const facts = await outputFacts(resolve(folder, output.path), { format: output.tableFormat, columns });
    return [
      equal('output rows', output.rows, facts.rows),
      equal('records kept', result.recordsKept, facts.rows),
      equal('users kept', result.usersKept, facts.users),
      equal('digest of kept ids', result.keptIds, facts.keptIds),
      equal('maximum per user', result.maximumPerUser, facts.maximumPerUser),
      ...atMost('records per user', facts.maximumPerUser, rule.recordsPerUser),
    ];
  } catch (error) {
    return [failed('output content', error)];
  }
}

/**
 * Checks a selection against its manifest: the output's size, hash, rows, digest of ids and maximum per user, all
 * counted anew from the file, and the inputs' hashes.
 *
 * @param options - `inputs`: also check the input files; default true
 * @returns every check; a changed or missing file fails its check and does not throw
 * @throws DpError `MISSING_FILE` or `INVALID_DATA` where the manifest itself cannot be read
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
 * (await verifyManifest(manifest)).holds; // true
 * ```
 */
export async function verifyManifest(
  path: string,
  options: { inputs?: boolean } = {},
): Promise<ManifestVerification> {
  const manifest = await readManifest(path);
  const folder = dirname(path);
  const checks = [
    ...(await checkFile('output', manifest.output, folder)),
    ...(await checkContent(manifest, folder)),
  ];
  if (options.inputs ?? true) {
    for (const [index, input] of manifest.inputs.entries())
      checks.push(...(await checkFile(`input ${index + 1}`, input, folder)));
  }
  return { holds: checks.every(check => check.holds), checks };
}
