import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkPhase, chunksOfUser, drawSeed, type UserTokenRecords } from '../../selection/chunks.ts';
import { recordKey } from '../../selection/key.ts';
import { failureOf } from './fixtures.ts';

/** Records whose tokens are all different, so that a token says where it came from. */
const userRecords: fc.Arbitrary<UserTokenRecords> = fc
  .tuple(fc.constantFrom('ada', 'hèllo', 'z:1'), fc.array(fc.nat(7), { minLength: 1, maxLength: 8 }))
  .map(([user, lengths]) => {
    let next = 0;
    const tokens = lengths.map(length => Int32Array.from({ length }, () => next++));
    return { user, ids: lengths.map((_, i) => `r${i}#`), tokens };
  });

const someRules = fc.record({
  seed: fc.constantFrom('42', '', drawSeed('42', 3)),
  chunkTokens: fc.integer({ min: 1, max: 6 }),
  recordsPerUser: fc.integer({ min: 1, max: 5 }),
});

/** The contract once more, token by token. */
function blocksByHand(
  records: UserTokenRecords,
  rule: { seed: string; chunkTokens: number },
): { id: string; tokens: number[] }[] {
  const key = (id: string): string => recordKey({ seed: rule.seed, user: records.user }, id);
  const order = records.ids.map((id, i) => ({ id, i })).sort((a, b) => (key(a.id) < key(b.id) ? -1 : 1));
  const stream = order.flatMap(({ id, i }) => Array.from(records.tokens[i]!, token => ({ id, token })));
  const phase = chunkPhase(records.user, rule);
  const blocks: { id: string; tokens: number[] }[] = [];
  stream.forEach(({ id, token }, at) => {
    const starts = at === 0 || (at >= phase && (at - phase) % rule.chunkTokens === 0);
    if (starts) blocks.push({ id: `${id}#${blocks.length}`, tokens: [] });
    blocks.at(-1)!.tokens.push(token);
  });
  return blocks.sort((a, b) => (key(a.id) < key(b.id) ? -1 : 1));
}

describe('chunksOfUser()', () => {
  it('equals the contract carried out token by token', () => {
    fc.assert(
      fc.property(userRecords, someRules, (records, rule) => {
        const found = chunksOfUser(records, rule).map(({ id, tokens }) => ({ id, tokens: [...tokens] }));
        expect(found).toEqual(blocksByHand(records, rule).slice(0, rule.recordsPerUser));
      }),
      { numRuns: 500 },
    );
  });

  it('uses every token exactly once over all blocks, in blocks of at most the length asked for', () => {
    fc.assert(
      fc.property(userRecords, someRules, (records, rule) => {
        const chunks = chunksOfUser(records, { ...rule, recordsPerUser: 1000 });
        const tokens = chunks.flatMap(chunk => [...chunk.tokens]).sort((a, b) => a - b);
        expect(tokens).toEqual(records.tokens.flatMap(own => [...own]));
        for (const chunk of chunks) expect(chunk.tokens.length).toBeLessThanOrEqual(rule.chunkTokens);
        for (const { record, tokens: own } of chunks) expect(records.tokens[record]).toContain(own[0]);
      }),
    );
  });

  it('does not depend on the order of the records', () => {
    const reversed = (records: UserTokenRecords): UserTokenRecords => ({
      user: records.user,
      ids: [...records.ids].reverse(),
      tokens: [...records.tokens].reverse(),
    });
    fc.assert(
      fc.property(userRecords, someRules, (records, rule) => {
        const plain = (chunks: ReturnType<typeof chunksOfUser>): unknown =>
          chunks.map(({ id, tokens }) => [id, [...tokens]]);
        expect(plain(chunksOfUser(reversed(records), rule))).toEqual(plain(chunksOfUser(records, rule)));
      }),
    );
  });

  it('keeps to a token cap, stopping before or cutting the block that passes it', () => {
    fc.assert(
      fc.property(userRecords, someRules, fc.integer({ min: 1, max: 9 }), (records, rule, tokensPerUser) => {
        const count = (tokenPolicy: 'stop' | 'truncate'): number =>
          chunksOfUser(records, { ...rule, recordsPerUser: null, tokensPerUser, tokenPolicy }).reduce(
            (sum, { tokens }) => sum + tokens.length,
            0,
          );
        const total = records.tokens.reduce((sum, own) => sum + own.length, 0);
        expect(count('stop')).toBeLessThanOrEqual(tokensPerUser);
        expect(count('truncate')).toBe(Math.min(total, tokensPerUser));
      }),
    );
  });

  it('draws other blocks at another step', () => {
    const records = { user: 'ada', ids: ['a'], tokens: [Int32Array.from({ length: 400 }, (_, i) => i)] };
    const draw = (step: number): string[] =>
      chunksOfUser(records, { seed: drawSeed('42', step), chunkTokens: 4, recordsPerUser: 5 }).map(
        ({ id }) => id,
      );
    expect(draw(0)).toEqual(draw(0));
    expect(draw(0)).not.toEqual(draw(1));
  });

  it('refuses duplicate ids, blocks of no tokens and lists of unequal length', async () => {
    const rule = { seed: '1', chunkTokens: 2, recordsPerUser: 1 };
    const tokens = [Int32Array.of(1), Int32Array.of(2)];
    const codes = [
      await failureOf(() => chunksOfUser({ user: 'u', ids: ['a', 'a'], tokens }, rule)),
      await failureOf(() =>
        chunksOfUser({ user: 'u', ids: ['a', 'b'], tokens }, { ...rule, chunkTokens: 0 }),
      ),
      await failureOf(() => chunksOfUser({ user: 'u', ids: ['a'], tokens }, rule)),
    ].map(({ code }) => code);
    expect(codes).toEqual(['DUPLICATE_RECORD', 'INVALID_ARGUMENT', 'INVALID_ARGUMENT']);
  });
});

describe('chunkPhase()', () => {
  it('spreads over all cuts (chi-square, false alarm below 1e-6)', () => {
    const counts = new Float64Array(8);
    for (let i = 0; i < 4000; i++) counts[chunkPhase(`user ${i}`, { seed: '42', chunkTokens: 8 })]! += 1;
    const statistic = counts.reduce((sum, count) => sum + (count - 500) ** 2 / 500, 0);
    // Upper 1e-6 point of chi-square with 7 degrees of freedom.
    expect(statistic).toBeLessThan(40.5);
  });
});
