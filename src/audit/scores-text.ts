import { parse } from 'yaml';
import { DpError } from '../../accounting/check.ts';
import { readText, readFailure } from '../../selection/tables/source.ts';

/** Cells of a text file with what stood above them; rows count from 1. */
export interface TextTable {
  readonly header: Readonly<Record<string, unknown>>;
  readonly columns: ReadonlyMap<string, readonly unknown[]>;
}

/** `INVALID_DATA` about a score file; never with a cell's content. */
export function badScores(reason: string, advice: string): DpError {
  return new DpError('INVALID_DATA', `Cannot read the scores: ${reason}. ${advice}.`);
}

async function linesOf(path: string): Promise<string[]> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of readText(path)) pieces.push(piece);
  } catch (error) {
    throw readFailure(path, error);
  }
  const text = Buffer.concat(pieces).toString('utf8');
  return text.split(/\r?\n/).filter(line => line.trim() !== '');
}

/** Header lines as an object; YAML, of which JSON is a part. */
export function headerOf(text: string): Readonly<Record<string, unknown>> {
  if (text.trim() === '') return {};
  const advice = 'Write lines such as "# inclusion: bernoulli(1/2)"';
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    throw badScores('its header is no YAML', advice);
  }
  if (isObject(value)) return value;
  throw badScores('its header has no keys', advice);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A CSV file, with `# key: value` lines above the names of the columns. */
export async function readCsvScores(path: string, delimiter: string): Promise<TextTable> {
  const lines = await linesOf(path);
  const start = lines.findIndex(line => !line.startsWith('#'));
  const header = lines.slice(0, start < 0 ? lines.length : start).map(line => line.replace(/^# ?/, ''));
  const [names = [], ...rows] = (start < 0 ? [] : lines.slice(start)).map(line => cellsOf(line, delimiter));
  const columns = names.map((name): [string, unknown[]] => [name.trim(), []]);
  for (const [index, row] of rows.entries()) {
    if (row.length !== names.length)
      throw badScores(
        `row ${index + 1} has ${row.length} cells and the header ${names.length}`,
        'Mend the row',
      );
    for (let column = 0; column < row.length; column += 1) columns[column]![1].push(row[column]!);
  }
  return { header: headerOf(header.join('\n')), columns: distinct(columns) };
}

function distinct(columns: readonly [string, unknown[]][]): Map<string, unknown[]> {
  const found = new Map(columns);
  if (found.size === columns.length) return found;
  throw badScores(`${columns.length} columns have ${found.size} different names`, 'Name each column once');
}

/** Cells of one line; quoted ones may hold the delimiter and doubled quotes. */
function cellsOf(line: string, delimiter: string): string[] {
  if (!line.includes('"')) return line.split(delimiter);
  const cells: string[] = [];
  for (let at = 0; at <= line.length;) {
    const quoted = /^"((?:[^"]|"")*)"/.exec(line.slice(at));
    const end = quoted === null ? line.indexOf(delimiter, at) : at + quoted[0].length;
    const stop = end < 0 ? line.length : end;
    cells.push(quoted === null ? line.slice(at, stop) : quoted[1]!.replaceAll('""', '"'));
    at = stop + 1;
  }
  return cells;
}

/** JSON lines; a first object without a score is the header. */
export async function readJsonlScores(path: string): Promise<TextTable> {
  const objects = (await linesOf(path)).map((line, index) => objectOf(line, index + 1));
  const [first] = objects;
  const hasHeader = first !== undefined && !('score' in first);
  const rows = hasHeader ? objects.slice(1) : objects;
  const names = [...new Set(rows.flatMap(row => Object.keys(row)))];
  const columns = new Map(names.map(name => [name, rows.map(row => row[name])]));
  return { header: hasHeader ? first : {}, columns };
}

function objectOf(line: string, number: number): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw badScores(`line ${number} is no JSON object`, 'Give one object a line');
}
