import { isUtf8 } from 'node:buffer';
import { type CsvRow, CsvRows } from '../../selection/tables/csv-rows.ts';
import { delimiterOf } from '../../selection/tables/formats.ts';
import { longestRow } from '../../selection/tables/row-faults.ts';
import { readFailure, readText } from '../../selection/tables/source.ts';
import { breathe } from '../files.ts';
import type { CellFault } from './scores-cells.ts';
import { ScoreSinks } from './scores-columns.ts';
import { badScores, headerOf } from './scores-text.ts';

/** Cells of a file of scores with what stood above them. */
export interface ReadCells {
  readonly sinks: ScoreSinks;
  readonly header: Readonly<Record<string, unknown>>;
}

/** What stopped the reading of a row; its line is looked up afterwards. */
class RowFault extends Error {
  readonly fault: CellFault;

  constructor(fault: CellFault) {
    super(fault.reason);
    this.fault = fault;
  }
}

const quoting = 'Quote cells that hold separators, quotes or line ends';

/** Line, from 1, of a byte of a text file. */
async function lineAt(path: string, place: number): Promise<number> {
  let [line, passed] = [1, 0];
  for await (const piece of readText(path)) {
    const end = Math.min(piece.length, place - passed);
    for (let at = piece.indexOf(10); at >= 0 && at < end; at = piece.indexOf(10, at + 1)) line += 1;
    passed += piece.length;
    if (passed > place) break;
  }
  return line;
}

/** Takes rows in; the first has the names of the columns. */
class CsvCells {
  readonly notes: string[] = [];
  #sinks: ScoreSinks | undefined;
  #names: readonly string[] = [];
  #rows = 0;

  readonly add = (row: CsvRow): void => {
    if (row.hasStrayQuote)
      throw new RowFault({ reason: 'a quote stands inside a cell that is not quoted', advice: quoting });
    if (this.#sinks === undefined) this.#open(row);
    else this.#addCells(row, this.#sinks);
  };

  finish(): ScoreSinks {
    if (this.#sinks === undefined)
      throw badScores('the file is empty', 'Give a line canary,included,score and one for every canary');
    if (this.#rows > 0) return this.#sinks;
    throw badScores('there are 0 scores below the names of the columns', 'Give one row a canary');
  }

  #open({ bytes, starts, ends }: CsvRow): void {
    this.#names = starts.map((start, cell) => {
      const name = bytes.subarray(start, ends[cell]);
      if (isUtf8(name)) return name.toString('utf8').trim();
      throw badScores('the names of its columns are no UTF-8', 'Save the file as UTF-8');
    });
    this.#sinks = new ScoreSinks(this.#names);
  }

  #addCells({ bytes, starts, ends }: CsvRow, { sinks }: ScoreSinks): void {
    if (starts.length !== sinks.length) {
      const reason = `${starts.length} cells stand where the header has ${sinks.length}`;
      throw new RowFault({ reason, advice: quoting });
    }
    for (let cell = 0; cell < sinks.length; cell += 1) {
      const fault = sinks[cell]!.addText(bytes, starts[cell]!, ends[cell]!);
      if (fault !== undefined) throw this.#inColumn(fault, cell);
    }
    this.#rows += 1;
  }

  #inColumn({ reason, advice }: CellFault, cell: number): RowFault {
    return new RowFault({ reason: `column ${this.#names[cell]}: ${reason}`, advice });
  }
}

async function readRows(path: string, cells: CsvCells, signal: AbortSignal): Promise<void> {
  const rows = new CsvRows(path, cells.add, {
    delimiter: delimiterOf(path),
    longest: longestRow,
    onNote: line => cells.notes.push(line.replace(/^# ?/, '')),
  });
  try {
    for await (const _ of rows.pieces()) await breathe(signal);
  } catch (error) {
    if (!(error instanceof RowFault)) throw readFailure(path, error);
    const { reason, advice } = error.fault;
    throw badScores(`line ${await lineAt(path, rows.place)}, ${reason}`, advice);
  }
}

/**
 * Reads a CSV file, with `# key: value` lines above the names of the columns, piece by piece.
 *
 * @throws DpError `MISSING_FILE`, `MISSING_COLUMN`; `INVALID_DATA` with the line; `INTERRUPTED`
 */
export async function readCsvScores(path: string, signal: AbortSignal): Promise<ReadCells> {
  const cells = new CsvCells();
  await readRows(path, cells, signal);
  return { sinks: cells.finish(), header: headerOf(cells.notes.join('\n')) };
}
