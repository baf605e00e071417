import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keptTokens, selectForUser } from '../../selection/contract.ts';
import { recordKey } from '../../selection/key.ts';
import type { CapRule } from '../../selection/rule.ts';
import { bytes, failureOf, type PlainRecord, someCaps, someRecords, strategies } from './fixtures.ts';

const ofOneUser = someRecords.map(rows => {
  const [first] = rows;
  return rows.filter(({ user }) => user === first!.user);
});

/** Records of one user, best first, as plain records. */
function select(rows: readonly PlainRecord[], rule: CapRule & { partial?: boolean }): PlainRecord[] {
  const kept = selectForUser(
    {
      user: rows[0]?.user ?? 'nobody',
      ids: rows.map(({ id }) => id),
      lengths: rows.map(({ text }) => bytes(text)),
      scores: rows.map(({ score }) => score),
    },
    rule,
  );
  return Array.from(kept, position => rows[position]!);
}

/** The contract once more, by a full sort on hex keys. */
function reference(rows: readonly PlainRecord[], rule: CapRule): PlainRecord[] {
  const value: Record<string, (row: PlainRecord) => number> = {
    random: () => 0,
    longest: ({ text }) => -bytes(text),
    shortest: ({ text }) => bytes(text),
    'highest-perplexity': ({ score }) => -score,
    'lowest-perplexity': ({ score }) => score,
    first: row => rows.indexOf(row),
  };
  const primary = value[rule.strategy]!;
  const key = ({ user, id }: PlainRecord): string => recordKey({ seed: rule.seed, user }, id);
  const sorted = [...rows].sort((a, b) => primary(a) - primary(b) || (key(a) < key(b) ? -1 : 1));
  const kept: PlainRecord[] = [];
  let total = 0;
  for (const row of sorted.slice(0, rule.recordsPerUser ?? undefined)) {
    const before = total;
    total += bytes(row.text);
    if (total > (rule.tokensPerUser ?? Infinity)) {
      if (rule.tokenPolicy === 'truncate' && before < rule.tokensPerUser!) kept.push(row);
      break;
    }
    kept.push(row);
  }
  return kept;
}

describe.each(strategies)('selectForUser() under %s', strategy => {
  const rules = someCaps.map(caps => ({ ...caps, strategy, seed: '42' }));
  /** `first` follows the order given, so only the others may be shuffled. */
  const isFree = strategy !== 'first';

  it('equals a full sort by the written order', () => {
    fc.assert(
      fc.property(ofOneUser, rules, (rows, rule) => {
        expect(select(rows, rule)).toEqual(reference(rows, rule));
      }),
      {
        numRuns: 300,
      },
    );
  });

  it('never keeps more than the cap', () => {
    fc.assert(
      fc.property(ofOneUser, rules, (rows, rule) => {
        const kept = select(rows, rule);
        expect(kept.length).toBeLessThanOrEqual(rule.recordsPerUser ?? Infinity);
        const tokens = kept.map(({ text }) => bytes(text));
        const cap = rule.tokensPerUser ?? Infinity;
        const used =
          rule.tokenPolicy === 'stop'
            ? Int32Array.from(tokens)
            : keptTokens(Int32Array.from(tokens.keys()), { tokens, tokensPerUser: cap });
        expect(used.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(cap);
        expect(new Set(kept).size).toBe(kept.length);
      }),
    );
  });

  if (isFree)
    it('does not depend on the order of the input', () => {
      const shuffled = ofOneUser.chain(rows =>
        fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length })),
      );
      fc.assert(
        fc.property(shuffled, rules, ([rows, others], rule) => {
          expect(select(others, rule)).toEqual(select(rows, rule));
        }),
      );
    });

  it('keeps everything when applied to what it kept', () => {
    fc.assert(
      fc.property(ofOneUser, rules, (rows, rule) => {
        const kept = select(rows, rule);
        expect(select(kept, rule)).toEqual(kept);
      }),
    );
  });

  it('grows by appending as the cap in records grows', () => {
    fc.assert(
      fc.property(ofOneUser, rules, fc.integer({ min: 1, max: 6 }), (rows, rule, k) => {
        const few = select(rows, { ...rule, recordsPerUser: k });
        const more = select(rows, { ...rule, recordsPerUser: k + 1 });
        expect(more.slice(0, few.length)).toEqual(few);
      }),
    );
  });

  it('merges shards exactly: select(A ∪ B) = select(partial(A) ∪ partial(B))', () => {
    const sharded = ofOneUser.chain(rows => {
      const sides = fc.array(fc.boolean(), { minLength: rows.length, maxLength: rows.length });
      return fc.tuple(fc.constant(rows), sides);
    });
    fc.assert(
      fc.property(sharded, rules, ([rows, sides], rule) => {
        const partial = (side: boolean): Set<PlainRecord> =>
          new Set(
            select(
              rows.filter((_, i) => sides[i] === side),
              { ...rule, partial: true },
            ),
          );
        const [left, right] = [partial(true), partial(false)];
        const merged = rows.filter(row => left.has(row) || right.has(row));
        expect(select(merged, rule)).toEqual(select(rows, rule));
      }),
      { numRuns: 500 },
    );
  });
});

describe('selectForUser()', () => {
  it('draws every record equally often over seeds (chi-square, false alarm below 1e-6)', () => {
    const ids = Array.from({ length: 10 }, (_, i) => `r${i}`);
    const counts = new Float64Array(10);
    const draws = 2000;
    for (let seed = 0; seed < draws; seed++) {
      for (const kept of selectForUser(
        { user: 'ada', ids },
        { strategy: 'random', recordsPerUser: 3, seed: `${seed}` },
      )) {
        counts[kept]! += 1;
      }
    }
    const expected = (3 * draws) / 10;
    const statistic = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // Upper 1e-6 point of chi-square with 9 degrees of freedom; drawing without replacement only lowers the statistic.
    expect(statistic).toBeLessThan(45.1);
  });

  it('says that duplicate ids, NaN scores, missing columns and caps of 0 will not do', async () => {
    const rule = { strategy: 'random', recordsPerUser: 1, seed: '1' } as const;
    const user = 'secret-user';
    const failures = [
      await failureOf(() => selectForUser({ user, ids: ['a', 'a'] }, rule)),
      await failureOf(() =>
        selectForUser(
          { user, ids: ['a', 'b'], scores: [1, NaN] },
          { ...rule, strategy: 'highest-perplexity' },
        ),
      ),
      await failureOf(() => selectForUser({ user, ids: ['a'] }, { ...rule, strategy: 'longest' })),
      await failureOf(() => selectForUser({ user, ids: ['a'] }, { ...rule, recordsPerUser: 0 })),
      await failureOf(() => selectForUser({ user, ids: ['a'] }, { ...rule, recordsPerUser: null })),
      await failureOf(() => selectForUser({ user, ids: ['\ud800'] }, rule)),
      await failureOf(() => selectForUser({ user, ids: ['a'] }, { ...rule, strategy: 'random-chunk' })),
    ];
    expect(failures.map(({ code }) => code)).toEqual([
      'DUPLICATE_RECORD',
      'INVALID_DATA',
      'INVALID_ARGUMENT',
      'INVALID_ARGUMENT',
      'INVALID_ARGUMENT',
      'INVALID_DATA',
      'INVALID_ARGUMENT',
    ]);
    for (const { message } of failures) {
      expect(message).toMatch(/^Cannot [^:]+: .+\. [A-Z].+\.$/);
      expect(message).not.toContain(user);
    }
  });
});
