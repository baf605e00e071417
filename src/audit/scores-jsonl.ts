import { readLines } from '../../selection/tables/lines.ts';
import { longestRow } from '../../selection/tables/row-faults.ts';
import { readFailure } from '../../selection/tables/source.ts';
import { breathe } from '../files.ts';
import { ScoreSinks } from './scores-columns.ts';
import type { ReadCells } from './scores-csv.ts';
import { badScores, isObject } from './scores-text.ts';

type Row = Readonly<Record<string, unknown>>;

/** The object of a line; the parser's own message would quote the text. */
function objectOf(line: string, number: number): Row {
  try {
    const value: unknown = JSON.parse(line);
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw badScores(`line ${number} is no JSON object`, 'Give one object a line');
}

/** Takes objects in; a first one without a score is the header, the next has the names of the columns. */
class JsonCells {
  header: Row = {};
  #hasHeader = false;
  #names: readonly string[] = [];
  #sinks: ScoreSinks | undefined;

  add(row: Row, line: number): void {
    if (this.#sinks !== undefined) {
      this.#addCells(row, { line, sinks: this.#sinks });
      return;
    }
    if (!this.#hasHeader && !Object.hasOwn(row, 'score') && !Object.hasOwn(row, 'canary')) {
      this.#hasHeader = true;
      this.header = row;
      return;
    }
    this.#names = Object.keys(row);
    this.#sinks = new ScoreSinks(this.#names);
    this.#addCells(row, { line, sinks: this.#sinks });
  }

  finish(): ScoreSinks {
    if (this.#sinks !== undefined) return this.#sinks;
    throw badScores('there are 0 scores', 'Give one object with canary, included and score a line');
  }

  #addCells(row: Row, { line, sinks: { sinks } }: { line: number; sinks: ScoreSinks }): void {
    for (let cell = 0; cell < sinks.length; cell += 1) {
      const name = this.#names[cell]!;
      const fault = sinks[cell]!.addValue(Object.hasOwn(row, name) ? row[name] : undefined);
      if (fault !== undefined) throw badScores(`line ${line}, key ${name}: ${fault.reason}`, fault.advice);
    }
    const count = Object.keys(row).length;
    if (count === sinks.length) return;
    throw badScores(
      `line ${line} has ${count} keys and the first row ${sinks.length}`,
      'Give every row the same keys',
    );
  }
}

async function readObjects(path: string, cells: JsonCells, signal: AbortSignal): Promise<void> {
  const onFault = (line: number, reason: string): never => {
    throw badScores(`line ${line}: ${reason}`, 'Give one object a line, in UTF-8');
  };
  try {
    for await (const { first, lines } of readLines(path, { longest: longestRow, onFault })) {
      addLines(cells, lines, first);
      await breathe(signal);
    }
  } catch (error) {
    throw readFailure(path, error);
  }
}

function addLines(cells: JsonCells, lines: readonly (string | undefined)[], first: number): void {
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at]!;
    if (line.trim() !== '') cells.add(objectOf(line, first + at), first + at);
  }
}

/**
 * Reads JSON lines piece by piece.
 *
 * @throws DpError `MISSING_FILE`, `MISSING_COLUMN`; `INVALID_DATA` with the line; `INTERRUPTED`
 */
export async function readJsonlScores(path: string, signal: AbortSignal): Promise<ReadCells> {
  const cells = new JsonCells();
  await readObjects(path, cells, signal);
  return { sinks: cells.finish(), header: cells.header };
}
