import { existsSync, readFileSync } from 'node:fs';
import { DpError } from '../../accounting/check.ts';
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
  /** Hashes of those lines, one each. */
  readonly hashes: readonly string[];
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

/** Whole lines as texts, and whether bytes follow them; a line that is no UTF-8 can't have its hash. */
function linesOf(bytes: Buffer): { lines: string[]; isCut: boolean } {
  const end = bytes.lastIndexOf(0x0a) + 1;
  const whole = bytes.subarray(0, end);
  const text = whole.toString('utf8');
  const isText = Buffer.from(text).equals(whole);
  const lines = (isText ? text : whole.toString('latin1')).split('\n').slice(0, -1);
  return { lines, isCut: end < bytes.length };
}

function faultOf(
  sealed: SealedEntry | undefined,
  place: { head: string; index: number; lines: readonly string[] },
): [ChainFault, string?] | undefined {
  const { head, index, lines } = place;
  if (sealed === undefined) return ['changed'];
  const { entry, previous, hash } = sealed;
  if (previous !== head) {
    const others = lines.map((line, at) => (at === index ? undefined : unseal(line)?.hash));
    if (others.slice(0, index).includes(hash)) return ['repeated'];
    return [others.includes(previous) || previous === origin ? 'moved' : 'missing'];
  }
  if ((index === 0) !== (entry.kind === 'header')) return ['malformed', ' (a header comes first, and once)'];
  const stray = strayField(entry);
  return stray === undefined ? undefined : ['malformed', ` (${stray})`];
}

function checkIsLedger(path: string, lines: readonly string[]): void {
  if (lines.some(line => line.startsWith('{"kind":"'))) return;
  throw new DpError(
    'INVALID_DATA',
    `Cannot audit ${path}: none of its ${lines.length} whole lines is that of a ledger. Give the ledger.jsonl of a run.`,
  );
}

/**
 * Reads a ledger line by line and says where its chain breaks first, and how.
 *
 * @returns entries and hashes of the lines before the break; it does not throw for a broken chain
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where no line is one of a ledger
 */
export function readChainContent(path: string): ChainContent {
  if (!existsSync(path))
    throw new DpError('MISSING_FILE', `Cannot audit the ledger: there is no file ${path}. Check the name.`);
  const bytes = readFileSync(path);
  const { lines, isCut } = linesOf(bytes);
  checkIsLedger(path, lines);
  const entries: LedgerEntry[] = [];
  const hashes: string[] = [];
  let broken: ChainBreak | null = null;
  for (const [index, line] of lines.entries()) {
    const sealed = unseal(line);
    const fault = faultOf(sealed, { head: hashes.at(-1) ?? origin, index, lines });
    if (fault !== undefined) {
      broken = breakAt(index + 1, ...fault);
      break;
    }
    entries.push(sealed!.entry);
    hashes.push(sealed!.hash);
  }
  if (broken === null && isCut) broken = breakAt(lines.length + 1, 'cut-short');
  const state = { lines: entries.length, head: hashes.at(-1) ?? origin };
  return { chain: { holds: broken === null, ...state, broken }, entries, hashes, bytes };
}
