import { Data, Field, Float64, RecordBatch, Schema, Struct } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';
import type { CapRule } from '../rule.ts';
import { SpillFile } from '../rows/spill-file.ts';
import { type TextCells, textCells } from '../tables/cells.ts';
import type { BatchOptions, SourceBatch, TableSource } from '../tables/table-source.ts';
import { contributionsIn, type PartRanking, type Ranked } from './builtin-rank.ts';
import { interrupted, type SelectionRequest } from './engine.ts';
import type { NarrowBatch } from './narrow-reader.ts';
import type { NarrowRecords } from './narrow-records.ts';
import { RowBits } from './row-bits.ts';

/** Texts handed to a scorer at once. */
const scoredAtOnce = 256;

/** Marks the rows of users for whom the cap may bind; the others are kept whatever their scores. */
export class ContestedRows implements PartRanking {
  readonly #most: number;
  #rows = 0;
  #bits: RowBits | undefined;
  /** How many there are. */
  count = 0;

  constructor({ recordsPerUser, tokensPerUser = null }: CapRule) {
    this.#most = tokensPerUser === null ? (recordsPerUser ?? 0) : 0;
  }

  /** Only after all rows have been seen. */
  get bits(): RowBits {
    return (this.#bits ??= new RowBits(this.#rows));
  }

  see({ firstRow, rows }: NarrowBatch): void {
    this.#rows = firstRow + rows;
  }

  rank({ groups, rowOf }: NarrowRecords, order: Int32Array): Ranked {
    const { starts, rows } = groups;
    for (let user = 0; user + 1 < starts.length; user++) {
      if (starts[user + 1]! - starts[user]! <= this.#most) continue;
      this.count += starts[user + 1]! - starts[user]!;
      for (let i = starts[user]!; i < starts[user + 1]!; i++) this.bits.set(rowOf[rows[i]!]!);
    }
    const counts = new Int32Array(order.length);
    return { rows: new Int32Array(0), counts, cuts: new Map(), contributions: contributionsIn(groups) };
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Scores of marked rows, one after the other on the disk; all others have 0. */
export class ScoreFile {
  readonly #file: SpillFile;
  readonly #marked: RowBits;

  constructor(folder: string, marked: RowBits) {
    this.#file = new SpillFile(folder);
    this.#marked = marked;
  }

  append(scores: Float64Array): void {
    this.#file.append(bytesOf(scores));
  }

  /** Reads the scores of rows, which must be asked for in order and without a gap. */
  reader(): (firstRow: number, rows: number) => Float64Array {
    let at = 0;
    return (firstRow, rows) => {
      const scores = new Float64Array(rows);
      const found = new Float64Array(this.#countMarked(firstRow, rows));
      this.#file.read(at, bytesOf(found));
      at += found.byteLength;
      for (let row = 0, next = 0; next < found.length; row++)
        if (this.#marked.has(firstRow + row)) scores[row] = found[next++]!;
      return scores;
    };
  }

  close(): void {
    this.#file.close();
  }

  #countMarked(firstRow: number, rows: number): number {
    let count = 0;
    for (let row = firstRow; row < firstRow + rows; row++) if (this.#marked.has(row)) count += 1;
    return count;
  }
}

function failed(reason: string): DpError {
  return new DpError('ENGINE_FAILED', `Cannot score records: ${reason}. Mend the scorer.`);
}

function noScore(row: number): DpError {
  return new DpError(
    'INVALID_DATA',
    `Cannot select: the score of row ${row + 1} is NaN. Score every record or leave it out.`,
  );
}

/** A request with what scoring takes. */
export type ScoredRequest = SelectionRequest & {
  readonly scorer: NonNullable<SelectionRequest['scorer']>;
};

/** Hands texts to a scorer, so many at once whatever the batches of the table. */
class Scoring {
  readonly #request: ScoredRequest;
  readonly #contested: ContestedRows;
  readonly #file: ScoreFile;
  #texts: string[] = [];
  #rows: number[] = [];
  #done = 0;

  constructor(request: ScoredRequest, contested: ContestedRows, file: ScoreFile) {
    this.#request = request;
    this.#contested = contested;
    this.#file = file;
  }

  async add(cells: TextCells, firstRow: number): Promise<void> {
    for (let row = 0; row < cells.length;) {
      row = this.#fill(cells, { row, firstRow });
      if (this.#texts.length === scoredAtOnce) await this.flush();
    }
  }

  /** Scores what is waiting. */
  async flush(): Promise<void> {
    const { scorer, signal, onProgress } = this.#request;
    if (signal?.aborted === true) throw interrupted('score');
    if (this.#texts.length === 0) return;
    const scores = await scorer.score(this.#texts);
    this.#check(scores);
    this.#file.append(scores);
    this.#done += this.#texts.length;
    this.#texts = [];
    this.#rows = [];
    onProgress?.('score', this.#done, this.#contested.count);
  }

  /** Takes texts until they are enough, and says which row is next. */
  #fill(cells: TextCells, { row: from, firstRow }: { row: number; firstRow: number }): number {
    const { bits } = this.#contested;
    let row = from;
    for (; row < cells.length && this.#texts.length < scoredAtOnce; row++) {
      if (!bits.has(firstRow + row)) continue;
      this.#texts.push(cells.text(row));
      this.#rows.push(firstRow + row);
    }
    return row;
  }

  #check(scores: Float64Array): void {
    const { length } = this.#texts;
    if (scores.length !== length) throw failed(`the scorer gave ${scores.length} scores for ${length} texts`);
    for (let i = 0; i < length; i++) if (Number.isNaN(scores[i])) throw noScore(this.#rows[i]!);
  }
}

/** Scores the marked rows in the order of the source, a few texts at a time. */
export async function scoreRows(
  source: TableSource,
  request: ScoredRequest,
  { contested, file }: { readonly contested: ContestedRows; readonly file: ScoreFile },
): Promise<void> {
  const scoring = new Scoring(request, contested, file);
  const wants = (first: number, rows: number): boolean => contested.bits.hasAny(first, rows);
  for await (const { batch, firstRow } of source.batches({
    columns: [request.columns.text!],
    reuse: true,
    wants,
  }))
    await scoring.add(textCells(batch.data.children[0]!), firstRow);
  await scoring.flush();
}

/** A table with a column of scores beside its own, for passes over all of its rows. */
class ScoredSource implements TableSource {
  readonly schema: Schema;
  readonly #source: TableSource;
  readonly #field: Field;
  readonly #scores: ScoreFile;

  constructor(source: TableSource, name: string, scores: ScoreFile) {
    this.#source = source;
    this.#scores = scores;
    this.#field = new Field(name, new Float64(), false);
    this.schema = new Schema([...source.schema.fields, this.#field], source.schema.metadata);
  }

  get files(): TableSource['files'] {
    return this.#source.files;
  }

  get skipped(): TableSource['skipped'] {
    return this.#source.skipped;
  }

  async *batches(options: BatchOptions = {}): AsyncGenerator<SourceBatch> {
    const { name } = this.#field;
    const columns = (options.columns ?? this.schema.fields.map(field => field.name)).filter(
      column => column !== name,
    );
    const isWanted = columns.length !== options.columns?.length;
    const read = this.#scores.reader();
    for await (const found of this.#source.batches({ ...options, columns })) {
      const { batch, firstRow } = found;
      yield isWanted ? { ...found, batch: this.#with(batch, read(firstRow, batch.numRows)) } : found;
    }
  }

  #with({ schema, data, numRows }: RecordBatch, scores: Float64Array): RecordBatch {
    const fields = [...schema.fields, this.#field];
    const column = new Data(new Float64(), 0, numRows, 0, { 1: scores });
    const children = [...data.children, column];
    return new RecordBatch(new Schema(fields), new Data(new Struct(fields), 0, numRows, 0, {}, children));
  }
}

/** The same request, ranked by scores as if they stood in a column of the table. */
export function rankedByScores(
  source: TableSource,
  request: SelectionRequest,
  scores: ScoreFile,
): SelectionRequest {
  let score = 'score';
  while (source.schema.fields.some(({ name }) => name === score)) score += "'";
  const { text, ...columns } = request.columns;
  const isCounted = (request.rule.tokensPerUser ?? null) !== null;
  return {
    ...request,
    scorer: undefined,
    source: new ScoredSource(source, score, scores),
    columns: { ...columns, score, text: isCounted ? text : undefined },
  };
}
