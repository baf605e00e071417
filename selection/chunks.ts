import { checkCount, DpError } from '../accounting/check.ts';
import { selectForUser } from './contract.ts';
import { hash48, utf8Length } from './key.ts';
import { checkCapRule, type TokenPolicy } from './rule.ts';

/** One user's records as token ids. */
export interface UserTokenRecords {
  readonly user: string;
  readonly ids: readonly string[];
  readonly tokens: readonly Int32Array[];
}

/** How many blocks of which length a user keeps. */
export interface ChunkRule {
  /** Seed text; `drawSeed(seed, step)` for the draw at a training step. */
  readonly seed: string;
  /** Length of a block in tokens; the first and the last block of a user may be shorter. */
  readonly chunkTokens: number;
  /** Most blocks a user keeps, or null where `tokensPerUser` alone bounds. */
  readonly recordsPerUser: number | null;
  readonly tokensPerUser?: number | null;
  readonly tokenPolicy?: TokenPolicy;
}

/** A block of consecutive tokens of one user's concatenated records. */
export interface Chunk {
  /** `<id of the record that holds the first token>#<number of the block within the user, from 0>`. */
  readonly id: string;
  readonly tokens: Int32Array;
  /** Position of that record in `ids`. */
  readonly record: number;
}

interface Block {
  readonly id: string;
  readonly record: number;
  readonly start: number;
  readonly end: number;
}

/** The user's records end to end, in key order: `order[i]` starts at token `starts[i]`. */
interface TokenStream {
  readonly order: Int32Array;
  readonly starts: Float64Array;
  readonly length: number;
}

/**
 * Seed text of the draw at a training step, so that draws are independent of each other and can be replayed.
 *
 * @example
 * ```ts
 * drawSeed('42', 7); // '42/7'
 * ```
 */
export function drawSeed(seed: string, step: number): string {
  return `${seed}/${checkCount(step, { verb: 'draw', name: 'step', least: 0 })}`;
}

/**
 * Where the first cut falls in a user's token stream: the first 48 bits of SHA-256 over
 * `<seed>:<byte length of user>:<user>`, modulo the length of a block.
 *
 * @returns tokens before the first cut, in [0, chunkTokens)
 * @example
 * ```ts
 * chunkPhase('ada', { seed: '42', chunkTokens: 1 }); // 0
 * ```
 */
export function chunkPhase(user: string, rule: { seed: string; chunkTokens: number }): number {
  return hash48(`${rule.seed}:${utf8Length(user)}:${user}`) % rule.chunkTokens;
}

function streamOf(records: UserTokenRecords, seed: string): TokenStream {
  const { user, ids, tokens } = records;
  const all = Math.max(1, ids.length);
  const order = selectForUser({ user, ids }, { strategy: 'random', recordsPerUser: all, seed });
  const starts = new Float64Array(order.length);
  let length = 0;
  for (let i = 0; i < order.length; i++) {
    starts[i] = length;
    length += tokens[order[i]!]!.length;
  }
  return { order, starts, length };
}

/** Place in the stream's order of the record that holds token `at`; empty records hold none. */
function placeOf(stream: TokenStream, at: number, from: number): number {
  let place = from;
  while (place + 1 < stream.order.length && stream.starts[place + 1]! <= at) place++;
  return place;
}

function blocksOf(records: UserTokenRecords, stream: TokenStream, rule: ChunkRule): Block[] {
  const blocks: Block[] = [];
  const phase = chunkPhase(records.user, rule);
  let start = 0;
  let end = phase === 0 ? rule.chunkTokens : phase;
  for (let place = 0; start < stream.length; end += rule.chunkTokens) {
    place = placeOf(stream, start, place);
    const record = stream.order[place]!;
    const stop = Math.min(end, stream.length);
    blocks.push({ id: `${records.ids[record]!}#${blocks.length}`, record, start, end: stop });
    start = stop;
  }
  return blocks;
}

function tokensOf(records: UserTokenRecords, stream: TokenStream, block: Block): Int32Array {
  const out = new Int32Array(block.end - block.start);
  let place = stream.order.indexOf(block.record);
  for (let at = block.start; at < block.end; place++) {
    const source = records.tokens[stream.order[place]!]!;
    const offset = at - stream.starts[place]!;
    const piece = source.subarray(offset, offset + block.end - at);
    out.set(piece, at - block.start);
    at += piece.length;
  }
  return out;
}

function checkChunkInput(records: UserTokenRecords, rule: ChunkRule): void {
  checkCapRule({ ...rule, strategy: 'random-chunk' }, 'cut chunks');
  checkCount(rule.chunkTokens, { verb: 'cut chunks', name: 'chunkTokens' });
  if (records.tokens.length !== records.ids.length) {
    const { ids, tokens } = records;
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot cut chunks: "tokens" has ${tokens.length} entries but "ids" has ${ids.length}. Give one a record.`,
    );
  }
}

/**
 * Random chunks of one user (selection contract, v1, default reading): the records are put end to end in the order of
 * K, the stream is cut into blocks of `chunkTokens` after `chunkPhase` tokens, and blocks are kept in the order of
 * their own K, computed from the block id. No token is in two blocks.
 *
 * @returns kept blocks, best first; fewer than `recordsPerUser` where the user has fewer
 * @throws DpError `DUPLICATE_RECORD` where an id occurs twice
 * @example
 * ```ts
 * const records = { user: 'ada', ids: ['a'], tokens: [Int32Array.of(7, 8, 9)] };
 * const chunks = chunksOfUser(records, { seed: '42', chunkTokens: 1, recordsPerUser: 9 });
 * chunks.map(chunk => chunk.id).sort(); // ['a#0', 'a#1', 'a#2']
 * ```
 */
export function chunksOfUser(records: UserTokenRecords, rule: ChunkRule): Chunk[] {
  checkChunkInput(records, rule);
  const stream = streamOf(records, rule.seed);
  const blocks = blocksOf(records, stream, rule);
  const kept = selectForUser(
    {
      user: records.user,
      ids: blocks.map(block => block.id),
      tokens: blocks.map(block => block.end - block.start),
    },
    { ...rule, strategy: 'random' },
  );
  const chunks = Array.from(kept, position => {
    const block = blocks[position]!;
    return { id: block.id, record: block.record, tokens: tokensOf(records, stream, block) };
  });
  return cutToCap(chunks, rule.tokensPerUser ?? null);
}

/** Under `truncate` the last chunk may reach beyond the token cap; under `stop` nothing does. */
function cutToCap(chunks: Chunk[], tokensPerUser: number | null): Chunk[] {
  if (tokensPerUser === null) return chunks;
  let left = tokensPerUser;
  return chunks.map(chunk => {
    const tokens = chunk.tokens.subarray(0, left);
    left -= tokens.length;
    return { ...chunk, tokens };
  });
}
