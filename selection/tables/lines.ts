import { isUtf8 } from 'node:buffer';
import type { SkipReason } from './row-faults.ts';
import { readText } from './source.ts';

/** Some lines of a file; undefined stands for one that was reported as faulty. */
export interface LineRun {
  /** Number of the first, from 1. */
  readonly first: number;
  readonly lines: readonly (string | undefined)[];
}

interface LineOptions {
  /** Bytes of the longest line. */
  readonly longest: number;
  readonly onFault: (line: number, reason: SkipReason) => void;
}

const lineEnd = 10;

/** Lines of one run of bytes that holds whole lines only. */
function split(run: Buffer, first: number, options: LineOptions): LineRun {
  const { longest, onFault } = options;
  const isClean = isUtf8(run);
  const lines: (string | undefined)[] = isClean ? run.toString('utf8').split('\n') : splitBytes(run);
  if (lines.at(-1) === '') lines.pop();
  for (const [i, line] of lines.entries()) {
    if (line === undefined) onFault(first + i, 'invalid UTF-8');
    else if (3 * line.length > longest && Buffer.byteLength(line) > longest) {
      lines[i] = undefined;
      onFault(first + i, 'too long');
    }
  }
  return { first, lines };
}

function splitBytes(run: Buffer): (string | undefined)[] {
  const lines: (string | undefined)[] = [];
  for (let start = 0; start <= run.length;) {
    const end = run.indexOf(lineEnd, start);
    const line = run.subarray(start, end < 0 ? run.length : end);
    lines.push(isUtf8(line) ? line.toString('utf8') : undefined);
    start = start + line.length + 1;
  }
  return lines;
}

/**
 * Reads a text file as lines, unpacked where it is gzip, in runs of a megabyte or so; holds no more than a run and one
 * line, and of a line that is too long nothing.
 */
export async function* readLines(path: string, options: LineOptions): AsyncGenerator<LineRun> {
  let pieces: Buffer[] = [];
  let held = 0;
  let line = 1;
  let isDropping = false;
  for await (const whole of readText(path)) {
    let piece = whole;
    if (isDropping) {
      const end = piece.indexOf(lineEnd);
      if (end < 0) continue;
      isDropping = false;
      options.onFault(line++, 'too long');
      piece = piece.subarray(end + 1);
    }
    const end = piece.lastIndexOf(lineEnd) + 1;
    if (end > 0) {
      const run = split(Buffer.concat([...pieces, piece.subarray(0, end)]), line, options);
      yield run;
      line += run.lines.length;
      pieces = [];
      held = 0;
    }
    pieces.push(piece.subarray(end));
    held += piece.length - end;
    if (held <= options.longest) continue;
    isDropping = true;
    pieces = [];
    held = 0;
  }
  if (isDropping) options.onFault(line, 'too long');
  else if (held > 0) yield split(Buffer.concat(pieces), line, options);
}
