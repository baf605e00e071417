import { existsSync, readFileSync, statSync } from 'node:fs';
import { DpError } from '../../accounting/check.ts';
import { wholeLines } from '../ledger-lines.ts';
import { origin, unseal, type LedgerEntry, type SealedEntry } from '../ledger.ts';
import { strayField } from './entry-shape.ts';

/** What is wrong with the first line that can't be trusted. */
export type ChainFault = 'changed' | 'missing' | 'moved' | 'repeated' | 'malformed' | 'cut-short';

/** Where a chain breaks. */
export interface ChainBreak {
  /** From 1. */
  readonly line: number;
  readonly fault: ChainFault;
  readonly text: string;
}

/** Whether every line of a ledger is whole, unchanged and in its place. */
export interface ChainState {
  readonly holds: boolean;
  /** Lines that are proved to be in their places: all of them, or those before the break. */
  readonly lines: number;
  /** Hash of the last such line. */
  readonly head: string;
  readonly broken: ChainBreak | null;
}

/** A ledger as it was found: entries of the lines that are in their places. */
export interface ChainContent {
  readonly chain: ChainState;
  readonly entries: readonly LedgerEntry[];
  /** The file, byte for byte. */
  readonly bytes: Uint8Array;
}

const texts: Readonly<Record<ChainFault, string>> = {
  changed: 'is not what its hash was taken of: a byte of it was changed',
  missing: 'does not follow on the line before it: lines between them are missing',
  moved: 'stands in another place than it was written in: lines were re-ordered',
  repeated: 'stands there twice',
  malformed: 'is chained, but no line that a ledger holds there',
  'cut-short': 'is cut short: by a crash in the middle of a write, or by whoever cut the file',
};

function breakAt(line: number, fault: ChainFault, more = ''): ChainBreak {
  return { line, fault, text: `Line ${line} ${texts[fault]}${more}.` };
}

/** Where a line stands. */
interface Place {
  readonly path: string;
  readonly head: string;
  /** From 1. */
  readonly line: number;
}

function faultOf(sealed: SealedEntry | undefined, place: Place): [ChainFault, string?] | undefined {
  if (sealed === undefined) return ['changed'];
  const { entry, previous } = sealed;
  if (previous !== place.head) return [displacement(sealed, place)];
  if ((place.line === 1) !== (entry.kind === 'header'))
    return ['malformed', ' (a header comes first, and once)'];
  const stray = strayField(entry);
  return stray === undefined ? undefined : ['malformed', ` (${stray})`];
}

/** What became of a sound line that does not follow on the one before it, by all others of the file. */
function displacement({ previous, hash }: SealedEntry, { path, line }: Place): ChainFault {
  let at = 0;
  let isMoved = previous === origin;
  for (const text of wholeLines(path)) {
    at += 1;
    const other = at === line || text === undefined ? undefined : unseal(text)?.hash;
    if (at < line && other === hash) return 'repeated';
    isMoved ||= other === previous;
  }
  return isMoved ? 'moved' : 'missing';
}

function checkIsLedger(path: string): void {
  let count = 0;
  for (const text of wholeLines(path)) {
    count += 1;
    if (text?.startsWith('{"kind":"') === true) return;
  }
  throw new DpError(
    'INVALID_DATA',
    `Cannot audit ${path}: none of its ${count} whole lines is that of a ledger. Give the ledger.jsonl of a run.`,
  );
}

function checkIsFile(path: string): void {
  if (!existsSync(path))
    throw new DpError('MISSING_FILE', `Cannot audit the ledger: there is no file ${path}. Check the name.`);
  if (statSync(path).isDirectory())
    throw new DpError(
      'INVALID_DATA',
      `Cannot audit the ledger: ${path} is a folder. Give the ledger.jsonl in it.`,
    );
}

/**
 * Reads a ledger line by line, however long it is, and says where its chain breaks first, and how.
 *
 * @param visit - called for every line before the break, in order, with its number from 1
 * @returns the state of the chain; it does not throw for a broken one
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where no line is one of a ledger
 */
export function readChain(path: string, visit: (entry: LedgerEntry, line: number) => void): ChainState {
  checkIsFile(path);
  const lines = wholeLines(path);
  let head = origin;
  let line = 0;
  let next = lines.next();
  for (; next.done !== true; next = lines.next()) {
    const sealed = next.value === undefined ? undefined : unseal(next.value);
    const fault = faultOf(sealed, { path, head, line: line + 1 });
    if (sealed === undefined || fault !== undefined) {
      lines.return(true);
      return stateOf(path, { line, head, broken: breakAt(line + 1, ...(fault ?? ['changed'])) });
    }
    line += 1;
    head = sealed.hash;
    visit(sealed.entry, line);
  }
  return stateOf(path, { line, head, broken: next.value ? breakAt(line + 1, 'cut-short') : null });
}

function stateOf(
  path: string,
  { line, head, broken }: { line: number; head: string; broken: ChainBreak | null },
): ChainState {
  if (line === 0) checkIsLedger(path);
  return { holds: broken === null, lines: line, head, broken };
}

/** The whole of a ledger, in memory. */
export function readChainContent(path: string): ChainContent {
  const entries: LedgerEntry[] = [];
  const chain = readChain(path, entry => entries.push(entry));
  return { chain, entries, bytes: readFileSync(path) };
}
