import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunksOfUser } from '../../selection/chunks.ts';
import { type BlockRule, BlockSelector, TokenStream } from '../../selection/engines/chunk-stream.ts';
import { KeyOrder } from '../../selection/engines/key-order.ts';
import { keptTokens } from '../../selection/index.ts';

const someBlocks = fc.record({
  lengths: fc.array(fc.nat(9), { minLength: 1, maxLength: 30 }),
  seed: fc.constantFrom('42', '', 'ü'),
  chunkTokens: fc.integer({ min: 1, max: 7 }),
  recordsPerUser: fc.option(fc.integer({ min: 1, max: 12 })),
  tokensPerUser: fc.integer({ min: 1, max: 40 }),
  tokenPolicy: fc.constantFrom('stop', 'truncate'),
  mostAtOnce: fc.integer({ min: 1, max: 9 }),
} as const);

/** Numbers and sizes of kept blocks, found piece by piece without any token at hand. */
function keptBlocks(lengths: readonly number[], rule: BlockRule, mostAtOnce: number): [number, number][] {
  const selector = new BlockSelector(rule, { mostAtOnce });
  const stream = new TokenStream(rule.chunkTokens);
  const order = new KeyOrder(rule.seed);
  const rows = Int32Array.from(lengths, (_, row) => row);
  const sorted = order.sorted(() => 'ada', rows, {
    writeKey: (row, hasher, target) => hasher.write(`r${row}`, target),
  });
  stream.use(sorted, Int32Array.from(lengths), { phase: selector.phaseOf('ada') });
  const kept = selector.keep('ada', stream, block => `r${stream.firstRowOf(block)}#${block}`);
  const tokens = Array.from({ length: stream.blocks }, (_, block) => stream.lengthOf(block));
  const sizes = keptTokens(kept, { tokens, tokensPerUser: rule.tokensPerUser ?? Infinity });
  return Array.from(kept, (block, i): [number, number] => [block, sizes[i]!]).sort(([a], [b]) => a - b);
}

describe('BlockSelector', () => {
  it('keeps what chunksOfUser() keeps, however few blocks it looks at together', () => {
    fc.assert(
      fc.property(someBlocks, ({ lengths, mostAtOnce, ...rule }) => {
        const records = {
          user: 'ada',
          ids: lengths.map((_, row) => `r${row}`),
          tokens: lengths.map(length => new Int32Array(length)),
        };
        const expected = chunksOfUser(records, rule).map(({ id, tokens }) => {
          const number = Number(id.split('#')[1]);
          return [number, tokens.length];
        });
        expected.sort(([a], [b]) => a! - b!);
        const found = keptBlocks(lengths, { ...rule, strategy: 'random-chunk' }, mostAtOnce);
        expect(found).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });
});
