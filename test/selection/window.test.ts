import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { selectCapped, selectRows } from '../../selection/cap.ts';
import { keptTokens, selectForUser } from '../../selection/contract.ts';
import { recordKey } from '../../selection/key.ts';
import { ownerLists, selectOwned } from '../../selection/owners.ts';
import { allStrategies, type CapRule, isMergeable } from '../../selection/rule.ts';
import { selectionSql, sqlDialects } from '../../selection/sql/index.ts';
import { windowOf, windowStart } from '../../selection/window.ts';
import { bytes, failureOf, type PlainRecord, recordsOf, someCaps, someRecords } from './fixtures.ts';

const strategy = 'random-window';
const rules = fc
  .tuple(someCaps, fc.constantFrom('42', '', 'a:b'))
  .map(([caps, seed]): CapRule => ({ ...caps, strategy, seed }));
const ofOneUser = someRecords.map(rows => rows.filter(({ user }) => user === rows[0]!.user));

function select(rows: readonly PlainRecord[], rule: CapRule & { partial?: boolean }): PlainRecord[] {
  const kept = selectForUser(
    { user: rows[0]!.user, ids: rows.map(({ id }) => id), lengths: rows.map(({ text }) => bytes(text)) },
    rule,
  );
  return Array.from(kept, position => rows[position]!);
}

/** The contract once more, on hex keys and a list that is gone through twice. */
function windowByHand(rows: readonly PlainRecord[], rule: CapRule): PlainRecord[] {
  const { seed } = rule;
  const { user } = rows[0]!;
  const key = ({ id }: PlainRecord): string => recordKey({ seed, user }, id);
  const order = [...rows].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  const start = windowStart(user, { seed, count: rows.length });
  const all = [...order, ...order].slice(start, start + rows.length);
  const kept: PlainRecord[] = [];
  let total = 0;
  for (const row of all.slice(0, rule.recordsPerUser ?? undefined)) {
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

const shuffled = <T>(values: fc.Arbitrary<T[]>): fc.Arbitrary<[T[], T[]]> =>
  values.chain(rows => fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length })));

describe('selectForUser() under random-window', () => {
  it('equals a stretch of the order of K that wraps around', () => {
    fc.assert(
      fc.property(ofOneUser, rules, (rows, rule) => {
        expect(select(rows, rule)).toEqual(windowByHand(rows, rule));
      }),
      { numRuns: 500 },
    );
  });

  it('never keeps more than either cap, and fills the cap in records where there is no other', () => {
    fc.assert(
      fc.property(ofOneUser, rules, (rows, rule) => {
        const { recordsPerUser, tokensPerUser = null } = rule;
        const kept = select(rows, rule);
        expect(new Set(kept).size).toBe(kept.length);
        expect(kept.length).toBeLessThanOrEqual(recordsPerUser ?? Infinity);
        if (tokensPerUser === null) expect(kept.length).toBe(Math.min(rows.length, recordsPerUser!));
        else {
          const tokens = kept.map(({ text }) => bytes(text));
          const used = keptTokens(Int32Array.from(tokens.keys()), { tokens, tokensPerUser });
          const total = (rule.tokenPolicy === 'stop' ? tokens : [...used]).reduce((a, b) => a + b, 0);
          expect(total).toBeLessThanOrEqual(tokensPerUser);
        }
      }),
    );
  });

  it('does not depend on the order of the input', () => {
    fc.assert(
      fc.property(shuffled(ofOneUser), rules, ([rows, others], rule) => {
        expect(select(others, rule)).toEqual(select(rows, rule));
      }),
    );
  });

  it('keeps every record when applied to what it kept', () => {
    fc.assert(
      fc.property(ofOneUser, rules, (rows, rule) => {
        const kept = select(rows, { ...rule, tokenPolicy: 'stop' });
        fc.pre(kept.length > 0);
        expect(new Set(select(kept, { ...rule, tokenPolicy: 'stop' }))).toEqual(new Set(kept));
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

  it('keeps every record equally often over seeds (chi-square, false alarm below 1e-6)', () => {
    const ids = Array.from({ length: 10 }, (_, i) => `r${i}`);
    const counts = new Float64Array(10);
    const draws = 2000;
    for (let seed = 0; seed < draws; seed++) {
      const rule = { strategy, recordsPerUser: 3, seed: `${seed}` } as const;
      for (const kept of selectForUser({ user: 'ada', ids }, rule)) counts[kept]! += 1;
    }
    const expected = (3 * draws) / 10;
    const statistic = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // Upper 1e-6 point of chi-square with 9 degrees of freedom; drawing without replacement only lowers the statistic.
    expect(statistic).toBeLessThan(45.1);
  });

  it('cannot be merged from shards: whole shards give another window than the parts that they keep', async () => {
    const rows = ['a', 'b', 'c', 'd', 'e'].map(id => ({ user: 'ada', id, text: 'x', score: 0 }));
    const rule = { strategy, recordsPerUser: 1, seed: '2' } as const;
    // Both parts are not empty: 1 to 2^5 - 2 says who is in the left one.
    const mergesOf = Array.from({ length: 30 }, (_, split) => {
      const isLeft = (at: number): boolean => (((split + 1) >> at) & 1) === 1;
      const parts = [rows.filter((_row, at) => isLeft(at)), rows.filter((_row, at) => !isLeft(at))];
      return select(
        parts.flatMap(part => select(part, rule)),
        rule,
      );
    });
    const whole = select(rows, rule);
    expect(mergesOf.filter(([kept]) => kept !== whole[0]).length).toBeGreaterThan(10);
    const refused = await failureOf(() => select(rows, { ...rule, partial: true }));
    expect(refused.code).toBe('INVALID_ARGUMENT');
    expect(refused.message).toContain('cannot be merged from parts of a user');
  });

  it('is the one strategy of the contract that is not mergeable', () => {
    expect(allStrategies.filter(name => !isMergeable(name))).toEqual([strategy]);
  });
});

describe('selectRows() under random-window', () => {
  it('keeps of each user what selectForUser() keeps, whatever the order of the table', () => {
    fc.assert(
      fc.property(shuffled(someRecords), rules, ([rows, others], rule) => {
        const kept = (table: readonly PlainRecord[]): PlainRecord[] => {
          const lengths = table.map(({ text }) => bytes(text));
          return Array.from(selectRows(recordsOf(table), rule, { lengths }), row => table[row]!);
        };
        const expected = [...new Set(rows.map(({ user }) => user))].flatMap(user =>
          select(
            rows.filter(row => row.user === user),
            rule,
          ),
        );
        expect(new Set(kept(rows))).toEqual(new Set(expected));
        expect(kept(others)).toEqual(kept(rows));
      }),
    );
  });

  it('leaves every other user unchanged when one is removed', () => {
    fc.assert(
      fc.property(someRecords, fc.integer({ min: 1, max: 4 }), (rows, recordsPerUser) => {
        const rule = { strategy, recordsPerUser, seed: '7' } as const;
        const others = rows.filter(({ user }) => user !== rows[0]!.user);
        fc.pre(others.length > 0);
        const kept = (table: readonly PlainRecord[]): PlainRecord[] =>
          Array.from(selectRows(recordsOf(table), rule), row => table[row]!);
        expect(kept(others)).toEqual(kept(rows).filter(({ user }) => user !== rows[0]!.user));
      }),
    );
  });

  it('notes where the last record of the window is cut', () => {
    const rows = ['aaaa', 'bbbb', 'cccc'].map((text, i) => ({ user: 'u', id: `${i}`, text, score: 0 }));
    const rule = {
      strategy,
      recordsPerUser: null,
      tokensPerUser: 6,
      tokenPolicy: 'truncate',
      seed: '1',
    } as const;
    const [first, second] = windowByHand(rows, rule);
    const { rows: kept, cuts } = selectCapped(recordsOf(rows), rule, { tokens: [4, 4, 4] });
    expect(new Set(Array.from(kept, row => rows[row]))).toEqual(new Set([first, second]));
    expect([...cuts]).toEqual([[rows.indexOf(second!), 2]]);
  });
});

describe('where random-window is refused', () => {
  it.each(sqlDialects)('SQL of %s', async dialect => {
    const refused = await failureOf(() =>
      selectionSql({
        dialect,
        table: 't',
        columns: { user: 'u', id: 'i', score: 's' },
        rule: { strategy, recordsPerUser: 2, seed: '42' },
      }),
    );
    expect(refused.code).toBe('INVALID_ARGUMENT');
    expect(refused.message).toContain("random-window starts where a user's number of records says");
  });

  it('records of several owners', async () => {
    const records = { users: ['ada'], owners: ownerLists([[0]]), ids: ['a'] };
    const refused = await failureOf(() => selectOwned(records, { strategy, recordsPerUser: 1, seed: '1' }));
    expect(refused.code).toBe('INVALID_ARGUMENT');
  });
});

describe('windowOf()', () => {
  it('takes as many places as there are, each once', () => {
    fc.assert(
      fc.property(fc.nat(9), fc.nat(20), fc.nat(12), (count, start, length) => {
        const order = Int32Array.from({ length: count }, (_, i) => i + 5);
        const found = [...windowOf(order, { start, length })];
        expect(found.length).toBe(Math.min(count, length));
        for (const [at, place] of found.entries()) expect(place).toBe(order[(start + at) % count]);
        expect(new Set(found).size).toBe(found.length);
      }),
    );
  });
});
