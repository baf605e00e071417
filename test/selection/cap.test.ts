import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countsPerUser, selectCapped, selectRows } from '../../selection/cap.ts';
import { selectForUser } from '../../selection/contract.ts';
import { textLengths } from '../../selection/lengths.ts';
import { groupByUser, rowsOfUser } from '../../selection/records.ts';
import type { CapRule } from '../../selection/rule.ts';
import { bytes, type PlainRecord, recordsOf, someCaps, someRecords, strategies } from './fixtures.ts';

function select(rows: readonly PlainRecord[], rule: CapRule): PlainRecord[] {
  const records = recordsOf(rows);
  return Array.from(
    selectRows(records, rule, { lengths: textLengths(records, { unit: 'bytes' }) }),
    row => rows[row]!,
  );
}

function canonical(rows: readonly PlainRecord[]): PlainRecord[] {
  const order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  return [...rows].sort((a, b) => order(a.user, b.user) || order(a.id, b.id));
}

describe.each(strategies)('selectRows() under %s', strategy => {
  const rules = someCaps.map(caps => ({ ...caps, strategy, seed: 'a:b' }));

  it('keeps of each user what selectForUser() keeps, in canonical order', () => {
    fc.assert(
      fc.property(someRecords, rules, (rows, rule) => {
        const expected = [...new Set(rows.map(({ user }) => user))].flatMap(user => {
          const own = rows.filter(row => row.user === user);
          const kept = selectForUser(
            {
              user,
              ids: own.map(({ id }) => id),
              lengths: own.map(({ text }) => bytes(text)),
              scores: own.map(({ score }) => score),
            },
            rule,
          );
          return Array.from(kept, position => own[position]!);
        });
        expect(select(rows, rule)).toEqual(canonical(expected));
      }),
      { numRuns: 200 },
    );
  });

  it('leaves every other user unchanged when one is removed', () => {
    fc.assert(
      fc.property(someRecords, rules, (rows, rule) => {
        const gone = rows[0]!.user;
        const others = rows.filter(({ user }) => user !== gone);
        fc.pre(others.length > 0);
        expect(select(others, rule)).toEqual(select(rows, rule).filter(({ user }) => user !== gone));
      }),
    );
  });

  it('keeps everything when applied to what it kept and cut', () => {
    fc.assert(
      fc.property(someRecords, rules, (rows, rule) => {
        const records = recordsOf(rows);
        const kept = selectCapped(records, rule, { lengths: textLengths(records, { unit: 'bytes' }) });
        fc.pre(kept.rows.length > 0);
        const cut = Array.from(kept.rows, row => {
          const tokens = kept.cuts.get(row);
          return tokens === undefined ? rows[row]! : { ...rows[row]!, text: 'x'.repeat(tokens) };
        });
        expect(select(cut, rule)).toEqual(cut);
      }),
    );
  });

  if (strategy !== 'first')
    it('gives the same rows whatever the order of the table', () => {
      const shuffled = someRecords.chain(rows =>
        fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length })),
      );
      fc.assert(
        fc.property(shuffled, rules, ([rows, others], rule) => {
          expect(select(others, rule)).toEqual(select(rows, rule));
        }),
      );
    });
});

describe('selectCapped()', () => {
  it('cuts the last record of a user to what the token cap leaves', () => {
    const rows = ['aaaa', 'bbb', 'cc'].map((text, i) => ({ user: 'u', id: `${i}`, text, score: 0 }));
    const records = recordsOf(rows);
    const rule = {
      strategy: 'longest',
      recordsPerUser: null,
      tokensPerUser: 6,
      tokenPolicy: 'truncate',
      seed: '1',
    } as const;
    const { rows: kept, cuts } = selectCapped(records, rule, { lengths: [4, 3, 2] });
    expect([...kept]).toEqual([0, 1]);
    expect([...cuts]).toEqual([[1, 2]]);
  });

  it('never lets a user keep more tokens than the cap once cuts are made', () => {
    fc.assert(
      fc.property(someRecords, someCaps, (rows, caps) => {
        const records = recordsOf(rows);
        const tokens = textLengths(records, { unit: 'bytes' });
        const rule = {
          ...caps,
          tokensPerUser: caps.tokensPerUser ?? 5,
          tokenPolicy: 'truncate',
          strategy: 'random',
          seed: '',
        } as const;
        const { rows: kept, cuts } = selectCapped(records, rule, { tokens });
        const totals = new Float64Array(records.users.length);
        for (const row of kept) totals[records.userOf[row]!]! += cuts.get(row) ?? tokens[row]!;
        for (const total of totals) expect(total).toBeLessThanOrEqual(rule.tokensPerUser);
      }),
    );
  });
});

describe('groupByUser()', () => {
  it('lists the rows of every user once, in table order, without dropped rows', () => {
    const groups = groupByUser({ users: ['a', 'b', 'c'], userOf: Int32Array.of(1, -1, 0, 1, 2, 1) });
    expect([0, 1, 2].map(user => [...rowsOfUser(groups, user)])).toEqual([[2], [0, 3, 5], [4]]);
  });
});

describe('countsPerUser()', () => {
  it('counts rows, all or some, and leaves out users without any', () => {
    const records = recordsOf(['a', 'b', 'a'].map((user, i) => ({ user, id: `${i}`, text: '', score: 0 })));
    expect([...countsPerUser(records)]).toEqual([2, 1]);
    expect([...countsPerUser(records, Int32Array.of(0))]).toEqual([1]);
  });
});
