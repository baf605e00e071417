import { tmpdir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { DpError } from '../accounting/check.ts';
import { fileDigest } from './digest.ts';
import type { SelectionTokenizer } from './lengths.ts';
import { type FileRecord, type InputRecord, type Manifest, readManifest } from './manifest.ts';
import { type OutputFacts, outputFacts } from './output-facts.ts';
import { withWorkFolder } from './work-folder.ts';

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

export interface VerifyOptions {
  /** Also check the input files; default true. Standard input and databases cannot be checked. */
  readonly inputs?: boolean | undefined;
  /** Where the output lies; default as the manifest says, relative to it. */
  readonly output?: string | undefined;
  /** Given where tokens per user are to be counted as well; must be the one of the selection. */
  readonly tokenizer?: SelectionTokenizer | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes for counting; more ids are sorted on the disk. */
const memoryLimit = 2 ** 28;

function equal(name: string, expected: string | number, found: string | number): ManifestCheck {
  return { name, holds: expected === found, detail: `expected ${expected}, found ${found}` };
}

function atMost(name: string, found: number, cap: number | null): ManifestCheck[] {
  return cap === null
    ? []
    : [{ name, holds: found <= cap, detail: `at most ${cap} allowed, found ${found}` }];
}

/** A file that cannot be read fails its check; an interrupt ends the whole. */
function failed(name: string, error: unknown): ManifestCheck {
  if (error instanceof DpError && error.code === 'INTERRUPTED') throw error;
  const detail = error instanceof DpError ? error.message : 'it could not be read';
  return { name, holds: false, detail };
}

interface Context extends VerifyOptions {
  readonly manifest: Manifest;
  /** Path of the output. */
  readonly output: string;
}

async function checkFile(
  name: string,
  file: Pick<FileRecord, 'bytes' | 'sha256'>,
  options: { path: string; signal: AbortSignal | undefined },
): Promise<ManifestCheck[]> {
  try {
    const found = await fileDigest(options.path, options);
    return [
      equal(`${name} size`, file.bytes, found.bytes),
      equal(`${name} SHA-256`, file.sha256, found.sha256),
    ];
  } catch (error) {
    return [failed(`${name} file`, error)];
  }
}

/** The tokenizer, where the manifest speaks of a cap in its tokens. */
function tokenizerFor({ manifest, tokenizer }: Context): SelectionTokenizer | undefined {
  return manifest.result.maximumTokensPerUser === null ? undefined : tokenizer;
}

function checkTokens({ tokens }: OutputFacts, context: Context): ManifestCheck[] {
  const { tokenizer: named, result, rule } = context.manifest;
  const tokenizer = tokenizerFor(context);
  if (tokenizer === undefined || tokens === null) return [];
  return [
    equal('tokenizer hash', named?.hash ?? 'none', tokenizer.hash),
    equal('maximum tokens per user', result.maximumTokensPerUser ?? 0, tokens.maximumPerUser),
    ...atMost('tokens per user', tokens.maximumPerUser, rule.tokensPerUser),
  ];
}

async function checkContent(context: Context): Promise<ManifestCheck[]> {
  const { manifest, signal } = context;
  const { output, columns, result, rule } = manifest;
  const tokenizer = tokenizerFor(context);
  const format = output.tableFormat;
  const owners = manifest.owners ?? undefined;
  const options = { format, columns, owners, tokenizer, comparesTexts: false, memoryLimit, signal };
  try {
    const facts = await withWorkFolder(tmpdir(), folder =>
      outputFacts(context.output, { ...options, folder }),
    );
    const order = facts.isCanonical
      ? `by ${owners === undefined ? 'user' : 'owners'} and record id, none twice`
      : 'rows are out of order or repeated';
    return [
      equal('output rows', output.rows, facts.rows),
      equal('records kept', result.recordsKept, facts.rows),
      equal('users kept', result.usersKept, facts.users),
      equal('digest of kept ids', result.keptIds, facts.keptIds),
      { name: 'canonical order', holds: facts.isCanonical, detail: order },
      equal('maximum per user', result.maximumPerUser, facts.maximumPerUser),
      ...atMost('records per user', facts.maximumPerUser, rule.recordsPerUser),
      ...checkTokens(facts, context),
    ];
  } catch (error) {
    return [failed('output content', error)];
  }
}

async function checkInput(
  name: string,
  input: InputRecord,
  context: Context & { folder: string },
): Promise<ManifestCheck[]> {
  const { kind, path, bytes, sha256 } = input;
  if (kind !== 'file' || bytes === null || sha256 === null) return [];
  return checkFile(name, { bytes, sha256 }, { path: resolve(context.folder, path), signal: context.signal });
}

function missingOutput(path: string): ManifestCheck {
  const detail = `Cannot verify ${path}: the output went to standard output. Say where it lies.`;
  return { name: 'output file', holds: false, detail };
}

/**
 * Checks a selection against its manifest: the output's size, hash, rows, order, digest of ids and maximum per user, all
 * counted anew from the file, and the inputs' hashes.
 *
 * @returns every check; a changed or missing file fails its check and does not throw
 * @throws DpError `MISSING_FILE` or `INVALID_DATA` where the manifest itself cannot be read; `INTERRUPTED`
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
  options: VerifyOptions = {},
): Promise<ManifestVerification> {
  const manifest = await readManifest(path);
  const folder = dirname(path);
  const { output } = manifest;
  const context = { ...options, manifest, output: options.output ?? resolve(folder, output.path) };
  const checks: ManifestCheck[] = [];
  if (output.path === '-' && options.output === undefined) checks.push(missingOutput(path));
  else {
    checks.push(...(await checkFile('output', output, { path: context.output, signal: options.signal })));
    checks.push(...(await checkContent(context)));
  }
  if (options.inputs ?? true) {
    for (const [index, input] of manifest.inputs.entries())
      checks.push(...(await checkInput(`input ${index + 1}`, input, { ...context, folder })));
  }
  return { holds: checks.every(check => check.holds), checks };
}
