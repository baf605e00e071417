import { chunkPhase } from '../chunks.ts';
import { type PackedIds, Selector } from '../selector.ts';
import type { CapRule } from '../rule.ts';
import { lastStart } from '../tables/last-start.ts';

/** A cap on blocks of so many tokens. */
export type BlockRule = CapRule & { readonly chunkTokens: number };

/** Blocks of a user that are ranked at once, if nothing else is said. */
const usualAtOnce = 2 ** 16;

/** The records of one user end to end, in the order of K, and the blocks that they are cut into. */
export class TokenStream {
  readonly #chunkTokens: number;
  #first = 0;
  #rows: Int32Array = new Int32Array(0);
  #starts: Float64Array = new Float64Array(0);
  /** Tokens of all records. */
  length = 0;

  constructor(chunkTokens: number) {
    this.#chunkTokens = chunkTokens;
  }

  /**
   * Goes on with another user.
   *
   * @param rows - its records in order, kept as they are up to the next call
   * @param tokens - how many each record has, by row
   * @param phase - tokens before the first cut
   */
  use(rows: Int32Array, tokens: Int32Array, { phase }: { readonly phase: number }): void {
    if (this.#starts.length < rows.length) this.#starts = new Float64Array(rows.length + (rows.length >> 1));
    let total = 0;
    for (let place = 0; place < rows.length; place++) {
      this.#starts[place] = total;
      total += tokens[rows[place]!]!;
    }
    this.#rows = rows;
    this.#first = phase === 0 ? this.#chunkTokens : phase;
    this.length = total;
  }

  /** How many blocks there are. */
  get blocks(): number {
    const { length } = this;
    return length === 0 ? 0 : 1 + Math.ceil(Math.max(0, length - this.#first) / this.#chunkTokens);
  }

  /** Tokens before a block. */
  startOf(block: number): number {
    return block === 0 ? 0 : this.#first + (block - 1) * this.#chunkTokens;
  }

  lengthOf(block: number): number {
    return Math.min(this.length, this.startOf(block + 1)) - this.startOf(block);
  }

  /** Place of the record that holds a token; records without tokens hold none. */
  placeOf(token: number): number {
    return lastStart(this.#starts, token, this.#rows.length);
  }

  rowAt(place: number): number {
    return this.#rows[place]!;
  }

  /** Tokens before the record at a place. */
  startAt(place: number): number {
    return this.#starts[place]!;
  }

  /** The row whose id a block bears. */
  firstRowOf(block: number): number {
    return this.rowAt(this.placeOf(this.startOf(block)));
  }
}

/** Chooses among the blocks of one user after the other. */
export class BlockSelector {
  readonly #rule: BlockRule;
  readonly #selector: Selector;
  readonly #seed: { seed: string; chunkTokens: number };
  readonly #mostAtOnce: number;

  /** @param options - mostAtOnce: blocks that are ranked at once; what is kept of those before is ranked again with them */
  constructor(rule: BlockRule, { mostAtOnce = usualAtOnce }: { readonly mostAtOnce?: number } = {}) {
    this.#rule = rule;
    this.#mostAtOnce = mostAtOnce;
    this.#selector = new Selector({ ids: [] }, { ...rule, strategy: 'random' });
    this.#seed = { seed: rule.seed, chunkTokens: rule.chunkTokens };
  }

  /** Tokens before the first cut of a user. */
  phaseOf(user: string): number {
    return chunkPhase(user, this.#seed);
  }

  /** Numbers of the blocks that a user keeps, best first; in any order where no cap binds. */
  keep(user: string, stream: TokenStream, idOf: (block: number) => string): Int32Array {
    const count = stream.blocks;
    if (this.#keepsAll(stream)) return numbersFrom(new Int32Array(0), 0, count);
    let best: Int32Array = new Int32Array(0);
    for (let at = 0; at < count; at += this.#mostAtOnce) {
      const end = Math.min(count, at + this.#mostAtOnce);
      best = this.#best(user, numbersFrom(best, at, end), { stream, idOf, isPart: end < count });
    }
    return best;
  }

  #keepsAll(stream: TokenStream): boolean {
    const { recordsPerUser, tokensPerUser = null } = this.#rule;
    return stream.blocks <= (recordsPerUser ?? Infinity) && stream.length <= (tokensPerUser ?? Infinity);
  }

  #best(
    user: string,
    blocks: Int32Array,
    from: {
      readonly stream: TokenStream;
      readonly idOf: (block: number) => string;
      readonly isPart: boolean;
    },
  ): Int32Array {
    const { stream, idOf, isPart } = from;
    const ids: PackedIds = {
      writeKey: (place, hasher, target) => hasher.write(idOf(blocks[place]!), target),
    };
    const places = numbersFrom(new Int32Array(0), 0, blocks.length);
    const tokens = blocks.map(block => stream.lengthOf(block));
    this.#selector.use({ ids, tokens });
    return this.#selector.keep(user, places, isPart).map(place => blocks[place]!);
  }
}

/** Numbers, and behind them those from `start` to `end`. */
function numbersFrom(before: Int32Array, start: number, end: number): Int32Array {
  const numbers = new Int32Array(before.length + end - start);
  numbers.set(before);
  for (let i = start, at = before.length; i < end; i++, at++) numbers[at] = i;
  return numbers;
}
