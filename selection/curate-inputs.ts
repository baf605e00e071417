import { dirname, relative, resolve } from 'node:path';
import {
  argument,
  type ColumnChoice,
  engineOf,
  isDatabaseUrl,
  stage,
  tablesOf,
  type InputOptions,
} from './curate-options.ts';
import { countedSource } from './counted-source.ts';
import { fileDigest } from './digest.ts';
import { parseClickhouseUrl } from './engines/clickhouse-url.ts';
import type { DatabaseSource } from './engines/engine.ts';
import type { InputRecord } from './manifest.ts';
import { normalisedSource } from './normalised-source.ts';
import type { RecordColumns } from './records.ts';
import { expandInputs, openTables, spoolInput, type TableFormat, type TableSource } from './tables/index.ts';
import { OpenedFile } from './tables/table-file.ts';

/** A table that is ready to be read, with its columns. */
export interface OpenedInputs {
  readonly source: TableSource | DatabaseSource;
  readonly columns: RecordColumns;
  /** Rows of each input, as far as the passes so far have shown; the rest is read. `total`: rows of all together. */
  rows(total: number): Promise<readonly number[]>;
  /** What the manifest says about them, by their rows. */
  describe(rows: readonly number[]): InputRecord[];
  /** Refuses files that are no longer those that were hashed. */
  checkUnchanged(): Promise<void>;
}

export interface OpenInputsOptions {
  /** A folder for standard input. */
  readonly folder: string;
  /** Whether sizes and hashes are wanted. */
  readonly hashes: boolean;
  /** Paths in the manifest are relative to this file's folder. */
  readonly manifest?: string | undefined;
  /** Must not be among the inputs. */
  readonly out?: string | undefined;
}

interface Hashed {
  readonly file: OpenedFile;
  readonly digest: { readonly bytes: number; readonly sha256: string } | undefined;
}

function resolvedColumns(columns: ColumnChoice, names: readonly string[]): RecordColumns {
  return typeof columns === 'function' ? columns(names) : columns;
}

function openDatabase(url: string, options: InputOptions): OpenedInputs {
  const { shown } = parseClickhouseUrl(url, process.env);
  return {
    source: { url },
    columns: resolvedColumns(options.columns, []),
    rows: total => Promise.resolve([total]),
    describe: ([rows]) => [
      { kind: 'database', path: `clickhouse://${shown}`, bytes: null, sha256: null, rows: rows! },
    ],
    checkUnchanged: () => Promise.resolve(),
  };
}

/** Paths of the files, standard input among them once it is in a file. */
async function pathsOf(
  options: InputOptions,
  folder: string,
): Promise<{ paths: readonly string[]; format: TableFormat | undefined; isStdin: boolean }> {
  const { format, stdin } = options;
  const tables = tablesOf(options);
  if (tables[0] !== '-') return { paths: await expandInputs(tables), format, isStdin: false };
  const spooled = await spoolInput(stdin!, { folder, format });
  return { paths: [spooled.path], format: spooled.format, isStdin: true };
}

async function hashed(
  paths: readonly string[],
  options: InputOptions & OpenInputsOptions,
): Promise<Hashed[]> {
  const files: Hashed[] = [];
  if (options.hashes) stage(options, 'hash');
  for (const path of paths) {
    const file = await OpenedFile.open(path, options.format);
    files.push({ file, digest: options.hashes ? await fileDigest(path, options) : undefined });
  }
  return files;
}

function recordOf(
  { file, digest }: Hashed,
  place: { path: string; isStdin: boolean; rows: number },
): InputRecord {
  const { path, isStdin, rows } = place;
  return {
    kind: isStdin ? 'standard-input' : 'file',
    path: isStdin ? '-' : path,
    bytes: digest?.bytes ?? file.bytes,
    sha256: digest?.sha256 ?? null,
    rows,
  };
}

/**
 * Opens the tables that options name, as one source.
 *
 * @throws DpError what `expandInputs`, `openTables` and `spoolInput` throw; `INVALID_ARGUMENT` where the output is an input
 */
export async function openInputs(options: InputOptions & OpenInputsOptions): Promise<OpenedInputs> {
  const [first = ''] = tablesOf(options);
  if (isDatabaseUrl(first)) return openDatabase(first, options);
  const { out, manifest, onError, longestRow, userNormalize: modes = [], folder } = options;
  const { paths, format, isStdin } = await pathsOf(options, folder);
  if (out !== undefined && paths.some(path => resolve(path) === resolve(out)))
    throw argument(`the output ${out} is the input`, 'Choose another name');
  const files = await hashed(paths, { ...options, format });
  stage(options, 'read');
  const opened = countedSource(await openTables(paths, { format, onError, longestRow }));
  const columns = resolvedColumns(options.columns, opened.schema.names.map(String));
  const base = dirname(resolve(manifest ?? out ?? '.'));
  return {
    source: normalisedSource(opened, {
      user: columns.user,
      modes,
      isOpaque: engineOf(options) === 'duckdb',
      owners: options.owners,
    }),
    columns,
    rows: async total => (files.length === 1 ? [total] : opened.rowsByFile()),
    describe: rows =>
      files.map((found, at) =>
        recordOf(found, { path: relative(base, resolve(paths[at]!)), isStdin, rows: rows[at]! }),
      ),
    checkUnchanged: async () => {
      for (const { file } of files) await file.checkUnchanged();
    },
  };
}
