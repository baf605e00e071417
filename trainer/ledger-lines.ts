import { isUtf8 } from 'node:buffer';
import { closeSync, openSync, readSync } from 'node:fs';

const blockBytes = 2 ** 20;
const lineBreak = 0x0a;
/** No line of a ledger is longer. */
const longest = 2 ** 26;

/**
 * The whole lines of a file, without holding more than one of them; undefined for one that is no UTF-8 or far too long, and so can't have
 * its hash.
 *
 * @returns whether bytes without a line break follow
 */
export function* wholeLines(path: string): Generator<string | undefined, boolean> {
  const file = openSync(path, 'r');
  try {
    return yield* linesOf(file);
  } finally {
    closeSync(file);
  }
}

function* linesOf(file: number): Generator<string | undefined, boolean> {
  const block = Buffer.alloc(blockBytes);
  let parts: Buffer[] = [];
  let length = 0;
  for (let read = readSync(file, block); read > 0; read = readSync(file, block)) {
    let start = 0;
    for (let end = block.indexOf(lineBreak); end >= 0 && end < read; end = block.indexOf(lineBreak, start)) {
      yield textOf(parts, { last: block.subarray(start, end), length });
      parts = [];
      length = 0;
      start = end + 1;
    }
    length += read - start;
    if (length <= longest) parts.push(Buffer.from(block.subarray(start, read)));
  }
  return length > 0;
}

function textOf(
  parts: readonly Buffer[],
  { last, length }: { last: Buffer; length: number },
): string | undefined {
  if (length + last.length > longest) return undefined;
  const line = parts.length === 0 ? last : Buffer.concat([...parts, last]);
  return isUtf8(line) ? line.toString('utf8') : undefined;
}
