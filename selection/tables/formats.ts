import { DpError } from '../../accounting/check.ts';
import { peek } from './source.ts';

/** How a table is stored. `arrow` is an IPC file or stream when read, an IPC file when written. */
export type TableFormat = 'arrow' | 'parquet' | 'jsonl' | 'csv';

export const tableFormats: readonly TableFormat[] = ['arrow', 'parquet', 'jsonl', 'csv'];

const byExtension: Readonly<Record<string, TableFormat>> = {
  arrow: 'arrow',
  arrows: 'arrow',
  feather: 'arrow',
  ipc: 'arrow',
  parquet: 'parquet',
  pq: 'parquet',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  csv: 'csv',
  tsv: 'csv',
};

/** The last extension of a path in lower case, that before `.gz` where it is packed; empty where there is none. */
export function extensionOf(path: string): string {
  return /\.([^./\\]+)(?:\.gz)?$/i.exec(path)?.[1]?.toLowerCase() ?? '';
}

/** The format of a path by its extension; undefined where that says nothing. */
export function knownFormat(path: string): TableFormat | undefined {
  return byExtension[extensionOf(path)];
}

/**
 * The format that a file name stands for: `.arrow .arrows .ipc .feather`, `.parquet .pq`, `.jsonl .ndjson`, `.csv .tsv`;
 * the last two also with `.gz`.
 *
 * @throws DpError `INVALID_ARGUMENT` where the extension is none of these
 * @example
 * ```ts
 * formatOf('mail/speeches.jsonl.gz'); // 'jsonl'
 * ```
 */
export function formatOf(path: string): TableFormat {
  const format = knownFormat(path);
  if (format !== undefined) return format;
  const known = Object.keys(byExtension).join(', ');
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot tell the format of ${path}: its extension is "${extensionOf(path)}". Use one of ${known}, or name the format.`,
  );
}

/** What parts the cells of a CSV file: a tab where its name ends in `.tsv`. */
export function delimiterOf(path: string): string {
  return extensionOf(path) === 'tsv' ? '\t' : ',';
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return bytes.length >= text.length && Buffer.from(text, 'latin1').every((byte, i) => byte === bytes[i]);
}

function sniffText(bytes: Uint8Array): TableFormat {
  const text = Buffer.from(bytes)
    .toString('utf8')
    .replace(/^\ufeff/, '');
  return text.trimStart().startsWith('{') ? 'jsonl' : 'csv';
}

/**
 * The format of a file by its first bytes: the marks of Arrow files, Arrow streams and Parquet, else an opening brace
 * for JSON lines, else CSV. Undefined where it is empty or packed, which hides the rest.
 */
export async function sniffFormat(path: string): Promise<TableFormat | undefined> {
  const start = await peek(path, 64);
  if (start.length === 0 || (start[0] === 0x1f && start[1] === 0x8b)) return undefined;
  if (startsWith(start, 'ARROW1') || startsWith(start, '\xff\xff\xff\xff')) return 'arrow';
  return startsWith(start, 'PAR1') ? 'parquet' : sniffText(start);
}
