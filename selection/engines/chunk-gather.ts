import { Data, Field, Int32, RecordBatch, Schema, Struct, Utf8 } from 'apache-arrow';
import { addedIdColumn } from '../curate-options.ts';
import { fittingText, type SelectionTokenizer } from '../lengths.ts';
import { RowSorter } from '../rows/row-sorter.ts';
import { TextBuilder } from '../tables/build.ts';
import { type TextCells, textCells } from '../tables/cells.ts';
import { openSink, type TableSink } from '../tables/table-sink.ts';
import type { SourceBatch, TableSource } from '../tables/table-source.ts';
import { keptBytes } from './builtin-gather.ts';
import type { PieceReader, PieceStore } from './chunk-pieces.ts';
import { BlockTokens } from './chunk-tokens.ts';
import { enterStage, type SelectionOutput, type SelectionRequest } from './engine.ts';

/** Bytes of text at which a batch is closed. */
const batchTextBytes = 2 ** 24;

/** Blocks that go out. */
export interface KeptBlocks {
  /** Numbers of the blocks in the order in which they go out. */
  readonly order: Int32Array;
  readonly pieces: PieceStore;
  /** Tokens of all of them. */
  readonly tokens: number;
  /** Rows of the source. */
  readonly total: number;
  /** Ids of rows where the source has none. */
  readonly idOf: ((row: number) => string) | undefined;
}

/** Where columns of the source and of the output stand. */
interface BlockColumns {
  readonly text: string;
  /** The id column, which the output has in any case. */
  readonly id: string;
  readonly isNumbered: boolean;
  /** Columns that rows keep while they are sorted: a text comes anew, unless it is the id, and a row without an id has its place. */
  readonly kept: Schema;
}

function columnsOf({ schema }: TableSource, { columns }: SelectionRequest): BlockColumns {
  const { id } = columns;
  const text = columns.text!;
  const isNumbered = id === null;
  const fields = schema.fields.filter(({ name }) => name !== text || name === id);
  const place = new Field(addedIdColumn, new Int32(), false);
  const kept = new Schema(isNumbered ? [...fields, place] : fields, schema.metadata);
  return { text, id: id ?? addedIdColumn, isNumbered, kept };
}

/** The schema of what goes out, its columns in the order of the source. */
function blockSchema(source: TableSource, sorted: Schema, { text, id, isNumbered }: BlockColumns): Schema {
  const words = (name: string): Field => new Field(name, new Utf8(), false);
  const fields = source.schema.fields.map(({ name }) =>
    name === text || name === id ? words(name) : sorted.fields.find(field => field.name === name)!,
  );
  return new Schema(isNumbered ? [...fields, words(id)] : fields, source.schema.metadata);
}

/** The columns of a batch that are sorted. */
function keptColumns({ batch, firstRow }: SourceBatch, { kept, isNumbered }: BlockColumns): RecordBatch {
  const rows = batch.numRows;
  const children = kept.fields.map(({ name }, index) => {
    if (!isNumbered || index + 1 < kept.fields.length) return batch.getChild(name)!.data[0]!;
    const places = Int32Array.from({ length: rows }, (_, row) => firstRow + row);
    return new Data(new Int32(), 0, rows, 0, { 1: places });
  });
  return new RecordBatch(kept, new Data(new Struct(kept.fields), 0, rows, 0, {}, children));
}

/** Memory for what is read and sorted. */
interface Sorted {
  readonly cells: RowSorter;
  readonly tokens: BlockTokens;
}

/** Reads the rows of which a block takes a piece, and tokenizes each once. */
class BlockCollector {
  readonly #request: SelectionRequest;
  readonly #columns: BlockColumns;
  readonly #sorted: Sorted;
  readonly #reader: PieceReader;
  /** Number of a block to its place. */
  readonly #placeOf: Int32Array;
  #tokens: Int32Array = new Int32Array(0);

  constructor(
    request: SelectionRequest,
    from: { readonly blocks: KeptBlocks; readonly columns: BlockColumns; readonly sorted: Sorted },
  ) {
    const { order, pieces } = from.blocks;
    this.#request = request;
    this.#columns = from.columns;
    this.#sorted = from.sorted;
    this.#reader = pieces.reader();
    this.#placeOf = new Int32Array(order.length);
    for (let place = 0; place < order.length; place++) this.#placeOf[order[place]!] = place;
  }

  add(found: SourceBatch): void {
    const { batch, firstRow } = found;
    const texts = textCells(batch.getChild(this.#columns.text)!.data[0]!);
    const rows: number[] = [];
    const places: number[] = [];
    const { piece } = this.#reader;
    let last = -1;
    while (this.#reader.next(firstRow + batch.numRows)) {
      const row = piece.row - firstRow;
      if (row !== last) this.#tokens = this.#encode(texts, row);
      last = row;
      const place = this.#addPiece();
      // The record that holds the first token lends the block its other columns.
      if (piece.offset > 0) continue;
      rows.push(row);
      places.push(place);
    }
    const chosen = { rows: Int32Array.from(rows), places: Int32Array.from(places) };
    if (rows.length > 0) this.#sorted.cells.append(keptColumns(found, this.#columns), chosen);
  }

  #encode(texts: TextCells, row: number): Int32Array {
    return this.#request.tokenizer!.encode(texts.text(row));
  }

  #addPiece(): number {
    const { block, number, offset, start, length } = this.#reader.piece;
    const place = this.#placeOf[block]!;
    this.#sorted.tokens.append({ place, number, offset }, this.#tokens.subarray(start, start + length));
    return place;
  }
}

/** Puts the ids and texts of blocks beside the cells that their records lend them. */
class BlockWriter {
  readonly #columns: BlockColumns;
  readonly #blocks: KeptBlocks;
  readonly #schema: Schema;
  readonly #sink: TableSink;
  readonly #tokenizer: SelectionTokenizer;
  readonly #ids = new TextBuilder();
  readonly #texts = new TextBuilder();

  constructor(from: {
    readonly columns: BlockColumns;
    readonly blocks: KeptBlocks;
    readonly schema: Schema;
    readonly sink: TableSink;
    readonly tokenizer: SelectionTokenizer;
  }) {
    this.#columns = from.columns;
    this.#blocks = from.blocks;
    this.#schema = from.schema;
    this.#sink = from.sink;
    this.#tokenizer = from.tokenizer;
  }

  async write(batch: RecordBatch, tokens: ReturnType<BlockTokens['take']>): Promise<void> {
    const idOf = this.#idsOf(batch);
    for (let start = 0; start < batch.numRows;) {
      const end = this.#fill(tokens, idOf, { start, end: batch.numRows });
      await this.#sink.write(this.#finished(batch.slice(start, end)));
      start = end;
    }
  }

  #idsOf(batch: RecordBatch): (row: number) => string {
    const data = batch.getChild(this.#columns.id)!.data[0]!;
    const { idOf } = this.#blocks;
    if (idOf !== undefined) return row => idOf(Number(data.values[row]));
    const cells = textCells(data);
    return row => cells.text(row);
  }

  /** Takes rows until they are enough for a batch, and says where they end. */
  #fill(
    tokens: ReturnType<BlockTokens['take']>,
    idOf: (row: number) => string,
    { start, end }: { readonly start: number; readonly end: number },
  ): number {
    const tokenizer = this.#tokenizer;
    let row = start;
    for (; row < end && this.#texts.byteLength < batchTextBytes; row++) {
      const { value: block, done } = tokens.next();
      if (done === true) throw new Error('there are more rows than blocks');
      this.#ids.append(`${idOf(row)}#${block.number}`);
      this.#texts.append(fittingText(block.tokens, { tokenizer, limit: block.tokens.length }));
    }
    return row;
  }

  #finished(batch: RecordBatch): RecordBatch {
    const { text, id } = this.#columns;
    const fields = this.#schema.fields;
    const [ids, texts] = [this.#ids.finish(), this.#texts.finish()];
    const children = fields.map(({ name }) =>
      name === text ? texts : name === id ? ids : batch.getChild(name)!.data[0]!,
    );
    return new RecordBatch(
      this.#schema,
      new Data(new Struct([...fields]), 0, batch.numRows, 0, {}, children),
    );
  }
}

async function collect(
  source: TableSource,
  request: SelectionRequest,
  from: { readonly blocks: KeptBlocks; readonly columns: BlockColumns; readonly sorted: Sorted },
): Promise<void> {
  const collector = new BlockCollector(request, from);
  const wants = (first: number, rows: number): boolean => from.blocks.pieces.hasAny(first, rows);
  for await (const batch of source.batches({ reuse: true, wants })) {
    enterStage(request, 'write');
    collector.add(batch);
  }
}

function sorted(
  source: TableSource,
  request: SelectionRequest,
  { blocks, columns }: { readonly blocks: KeptBlocks; readonly columns: BlockColumns },
): Sorted {
  const { order, tokens, pieces, total } = blocks;
  const room = { budget: request.memoryLimit / 8, folder: request.temporaryFolder };
  return {
    cells: new RowSorter(columns.kept, {
      rows: order.length,
      bytes: keptBytes(source, { kept: order.length, total }),
      ...room,
    }),
    tokens: new BlockTokens({ blocks: order.length, bytes: 4 * tokens + 16 * pieces.count, ...room }),
  };
}

/** The second pass: reads the rows that kept blocks are made of, and writes a row for each block, in order. */
export async function writeBlocks(
  source: TableSource,
  request: SelectionRequest,
  options: { readonly blocks: KeptBlocks; readonly output: SelectionOutput },
): Promise<void> {
  const { blocks, output } = options;
  const columns = columnsOf(source, request);
  const held = sorted(source, request, { blocks, columns });
  const schema = blockSchema(source, held.cells.schema, columns);
  const { path, format, isStream } = output;
  const sink = await openSink(path, { schema, format, isStream });
  try {
    await collect(source, request, { blocks, columns, sorted: held });
    const writer = new BlockWriter({ columns, blocks, schema, sink, tokenizer: request.tokenizer! });
    const tokens = held.tokens.take();
    for (const batch of held.cells.take()) {
      enterStage(request, 'write');
      await writer.write(batch, tokens);
    }
    await sink.finish();
  } finally {
    await sink.abort();
    held.cells.close();
    held.tokens.close();
  }
}
