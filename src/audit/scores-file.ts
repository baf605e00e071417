import type { CanaryColumns } from '../../accounting/audit/index.ts';
import { fileDigest, formatOf, type TableFormat } from '../../selection/index.ts';
import type { AuditedFile } from './report.ts';
import type { ScoreSinks } from './scores-columns.ts';
import { readCsvScores } from './scores-csv.ts';
import { agreed, scoreHeader, type ScoreHeader, tableHeader } from './scores-header.ts';
import { readJsonlScores } from './scores-jsonl.ts';

/** Scores with what their file says of them. */
export interface ReadScores {
  readonly scores: CanaryColumns;
  readonly header: ScoreHeader;
  readonly file: AuditedFile;
}

interface ReadOptions {
  readonly format: TableFormat;
  readonly signal: AbortSignal;
}

async function readCells(
  path: string,
  { format, signal }: ReadOptions,
): Promise<{ readonly sinks: ScoreSinks; readonly header: ScoreHeader }> {
  if (format === 'csv' || format === 'jsonl') {
    const { sinks, header } = await (format === 'csv' ? readCsvScores : readJsonlScores)(path, signal);
    return { sinks, header: scoreHeader(header) };
  }
  // Arrow takes long to load.
  const { readTableScores } = await import('./scores-table.ts');
  const { sinks, metadata } = await readTableScores(path, { format, signal });
  return { sinks, header: tableHeader(metadata) };
}

/**
 * Reads a file of canary scores, where `unit` is the name of a unit or, the same in all rows, `user` or `record`: CSV with `# key: value` lines above, JSON lines with a header object, Arrow or Parquet with metadata.
 *
 * @param options - format: default by the extension; signal: stops the reading
 * @throws DpError `MISSING_FILE`; `MISSING_COLUMN`; `INVALID_DATA` with the line or row; `INTERRUPTED`
 */
export async function readScores(
  path: string,
  options: { readonly format?: TableFormat | undefined; readonly signal: AbortSignal },
): Promise<ReadScores> {
  const { format = formatOf(path), signal } = options;
  const { sinks, header } = await readCells(path, { format, signal });
  const { sha256 } = await fileDigest(path, { signal });
  const { scores, kind } = sinks.finish();
  return { scores, header: { ...header, unit: agreed('unit', [header.unit, kind]) }, file: { path, sha256 } };
}
