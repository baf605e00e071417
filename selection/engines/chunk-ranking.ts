import { compareUtf8 } from '../key.ts';
import { rowsOfUser } from '../records.ts';
import { contributionsIn, type PartRanking, type Ranked } from './builtin-rank.ts';
import { type PieceRoom, PieceStore, RowStretches } from './chunk-pieces.ts';
import { type BlockRule, BlockSelector, TokenStream } from './chunk-stream.ts';
import { KeyOrder } from './key-order.ts';
import type { NarrowBatch } from './narrow-reader.ts';
import type { NarrowRecords } from './narrow-records.ts';

/** A block that is kept, and the tokens that stay of it. */
interface KeptBlock {
  readonly id: string;
  readonly number: number;
  readonly length: number;
}

/** Decides which blocks each user keeps by ids and numbers of tokens alone, and notes which piece of which row each needs. */
export class ChunkRanking implements PartRanking {
  readonly #rule: BlockRule;
  readonly #room: PieceRoom;
  readonly #order: KeyOrder;
  readonly #stream: TokenStream;
  readonly #selector: BlockSelector;
  readonly #stretches: RowStretches;
  #pieces: PieceStore | undefined;
  #blocks = 0;
  /** Tokens of kept blocks. */
  tokens = 0;

  constructor(rule: BlockRule, room: PieceRoom) {
    this.#rule = rule;
    this.#room = room;
    this.#order = new KeyOrder(rule.seed);
    this.#stream = new TokenStream(rule.chunkTokens);
    this.#selector = new BlockSelector(rule);
    this.#stretches = new RowStretches(rule.chunkTokens);
  }

  /** What kept blocks need of which row; only after all rows have been seen. */
  get pieces(): PieceStore {
    return (this.#pieces ??= new PieceStore(this.#stretches, this.#room));
  }

  see({ tokens }: NarrowBatch): void {
    this.#stretches.see(tokens!);
  }

  /** `rows` are numbers of kept blocks, in canonical order of their ids within a user. */
  rank(records: NarrowRecords, order: Int32Array): Ranked {
    const first = this.#blocks;
    const counts = new Int32Array(order.length);
    for (let place = 0; place < order.length; place++) counts[place] = this.#keep(records, order[place]!);
    const rows = new Int32Array(this.#blocks - first);
    for (let i = 0; i < rows.length; i++) rows[i] = first + i;
    return { rows, counts, cuts: new Map(), contributions: contributionsIn(records.groups) };
  }

  close(): void {
    this.#pieces?.close();
  }

  #keep(records: NarrowRecords, user: number): number {
    const own = rowsOfUser(records.groups, user);
    if (own.length === 0) return 0;
    const name = records.users.textOf(user);
    const rows = this.#order.sorted(() => name, own, records.ids);
    this.#stream.use(rows, records.tokens!, { phase: this.#selector.phaseOf(name) });
    const kept = this.#chosen(name, records);
    for (const block of kept) this.#note(block, records);
    return kept.length;
  }

  /** Blocks that a user keeps, by id; the last by rank may reach beyond the token cap under `truncate`, and is cut. */
  #chosen(name: string, { ids }: NarrowRecords): KeptBlock[] {
    const stream = this.#stream;
    const idOf = (number: number): string => `${ids.textAt(stream.firstRowOf(number))}#${number}`;
    let left = this.#rule.tokensPerUser ?? Infinity;
    const kept = Array.from(this.#selector.keep(name, stream, idOf), number => {
      const length = Math.min(left, stream.lengthOf(number));
      left -= length;
      return { id: idOf(number), number, length };
    });
    return kept.sort((a, b) => compareUtf8(a.id, b.id));
  }

  #note({ number, length }: KeptBlock, { rowOf, tokens }: NarrowRecords): void {
    const stream = this.#stream;
    const block = this.#blocks++;
    const from = stream.startOf(number);
    const end = from + length;
    this.tokens += length;
    let place = stream.placeOf(from);
    for (let at = from; at < end; place++) {
      const row = stream.rowAt(place);
      const start = at - stream.startAt(place);
      const taken = Math.min(tokens![row]! - start, end - at);
      if (taken === 0) continue;
      this.pieces.append({ row: rowOf[row]!, block, number, offset: at - from, start, length: taken });
      at += taken;
    }
  }
}
