import { describe, expect, it } from 'vitest';
import type { Plan } from '../../accounting/plan.ts';
import {
  drawRecords,
  selectOnce,
  splitHeldOut,
  tableDigest,
  tokeniseRows,
  truncationOf,
} from '../../trainer/data.ts';
import { checkFit } from '../../trainer/fit.ts';
import { byteTokenizer } from '../../trainer/model/tokenizer.ts';
import { planFor, toyVocabulary, usersWith } from './toy.ts';

const tokenizer = byteTokenizer();
const rule = {
  strategy: 'longest',
  seed: '7',
  tokensPerUser: null,
  chunkTokens: null,
  recordsPerUser: 2,
} as const;

describe('tokeniseRows()', () => {
  it('keeps every row, empty texts as end-of-text alone, users in the order of their first row', () => {
    const users = tokeniseRows(
      [
        { user: 'b', id: '1', text: 'hé' },
        { user: 'a', id: '1', text: '' },
        { user: 'b', id: '2', text: '', score: 3 },
      ],
      tokenizer,
    );
    expect(
      users.map(user => [user.user, user.records.map(record => [record.id, [...record.tokens]])]),
    ).toEqual([
      [
        'b',
        [
          ['1', [104, 195, 169, 256]],
          ['2', [256]],
        ],
      ],
      ['a', [['1', [256]]]],
    ]);
    expect(users[0]!.records[1]!.score).toBe(3);
  });

  it('cuts nothing: what the context leaves out is counted apart', () => {
    const users = tokeniseRows([{ user: 'a', id: '1', text: 'x'.repeat(99) }], tokenizer);
    expect(users[0]!.records[0]!.tokens).toHaveLength(100);
    expect(truncationOf(users, 64)).toEqual({ records: 1, recordsCut: 1, tokens: 100, tokensCut: 36 });
    expect(truncationOf(users, 100).recordsCut).toBe(0);
  });
});

describe('selectOnce() and drawRecords()', () => {
  const users = usersWith([[5, 9, 7, 2], [3]]);

  it('keep the longest records of each user, and never more than the cap', () => {
    const kept = selectOnce(users, rule);
    expect(kept.map(user => user.records.map(record => record.tokens.length))).toEqual([[9, 7], [3]]);
  });

  it('change nothing when done twice', () => {
    expect(selectOnce(selectOnce(users, rule), rule)).toEqual(selectOnce(users, rule));
  });

  it("depend on one user's own data only", () => {
    expect(selectOnce([users[0]!], rule)[0]).toEqual(selectOnce(users, rule)[0]);
  });

  it('measure length without end-of-text, so that a token cap is the one of the selection contract', () => {
    const capped = drawRecords(users[0]!, { ...rule, recordsPerUser: 9, tokensPerUser: 8 });
    expect(capped.map(record => record.tokens.length)).toEqual([9]);
  });

  it('rank by perplexity where there are scores, and refuse where one is missing', () => {
    const scored = {
      user: 'a',
      records: users[0]!.records.map((record, index) => ({ ...record, score: 10 - index })),
    };
    const lowest = drawRecords(scored, { ...rule, strategy: 'lowest-perplexity' });
    expect(lowest.map(record => record.score)).toEqual([7, 8]);
    expect(() => drawRecords(users[0]!, { ...rule, strategy: 'lowest-perplexity' })).toThrow('NaN');
  });

  it('cut random chunks out of the whole of a user, no token twice', () => {
    const chunks = drawRecords(users[0]!, {
      ...rule,
      strategy: 'random-chunk',
      chunkTokens: 4,
      recordsPerUser: 99,
    });
    expect(chunks.reduce((sum, chunk) => sum + chunk.tokens.length, 0)).toBe(23);
    expect(chunks.every(chunk => chunk.tokens.length <= 4)).toBe(true);
  });
});

describe('splitHeldOut()', () => {
  it('puts every user on exactly one side, whoever else there is', () => {
    const users = usersWith(Array.from({ length: 60 }, () => [1]));
    const { training, heldOut } = splitHeldOut(users, { fraction: 0.3, seed: 's' });
    expect(training.length + heldOut.length).toBe(60);
    expect(heldOut.length).toBeGreaterThan(5);
    const again = splitHeldOut(users.slice(0, 30), { fraction: 0.3, seed: 's' });
    expect(again.heldOut).toEqual(heldOut.filter(user => Number(user.user.slice(5)) < 30));
  });
});

describe('tableDigest()', () => {
  it('changes with a token, an id, a user, and the order', () => {
    const users = usersWith([[3, 4], [5]]);
    const digests = [
      users,
      usersWith([[3, 5], [5]]),
      usersWith([[3, 4, 5]]),
      users.toReversed(),
      [{ ...users[0]!, user: 'x' }, users[1]!],
    ].map(tableDigest);
    expect(new Set(digests).size).toBe(5);
    expect(tableDigest(usersWith([[3, 4], [5]]))).toBe(digests[0]);
  });
});

describe('checkFit()', () => {
  const users = usersWith([[5, 9], [3]]);
  const check = (
    changes: Partial<Plan>,
    other: { users?: typeof users; heldOut?: typeof users } = {},
  ): void => {
    const checked = { users, heldOut: [], vocabularySize: toyVocabulary, contextLength: 16, ...other };
    checkFit(planFor(users, changes), checked);
  };
  const failing = (code: string, message: RegExp): unknown =>
    expect.objectContaining({ code, message: expect.stringMatching(message) });
  const selection = planFor(users).selection;

  it('lets the planned table through, and a user above the cap where selection is per draw', () => {
    check({});
    check({ mechanism: 'group-privacy' });
    check({ unit: { protection: 'user', recordsPerUser: 1 }, selection: { ...selection, when: 'per-draw' } });
  });

  it.each(['group-privacy', 'user-wise'] as const)('refuses a user above the cap (%s)', mechanism => {
    expect(() => check({ mechanism, unit: { protection: 'user', recordsPerUser: 1 } })).toThrow(
      failing(
        'CHECK_FAILED',
        /^Cannot train: a user has 2 records, .* at most 1\. Select before training\.$/,
      ),
    );
  });

  it('refuses other numbers of users or records than planned', () => {
    const fewer = { users: users.slice(0, 1) };
    expect(() => check({}, fewer)).toThrow(
      failing('INVALID_DATA', /2 users with 3 records.*1 with 2\. Plan again/),
    );
    expect(() => check({ population: { users: 2, records: 4 } })).toThrow(
      failing('INVALID_DATA', /Plan again/),
    );
  });

  it('refuses a user above the token cap', () => {
    expect(() => check({ selection: { ...selection, tokensPerUser: 11 } })).toThrow(
      failing('CHECK_FAILED', /12 tokens/),
    );
    check({ selection: { ...selection, tokensPerUser: 12 } });
  });

  it('refuses a user in two entries, and one who is held out as well', () => {
    const twice = [users[0]!, { ...users[1]!, user: users[0]!.user }];
    expect(() => check({}, { users: twice })).toThrow(
      failing('INVALID_DATA', /1 users occur more than once/),
    );
    expect(() => check({}, { heldOut: [users[1]!] })).toThrow(failing('INVALID_DATA', /1 held-out users/));
  });

  it.each([-1, toyVocabulary, 2 ** 30])('refuses token %d', token => {
    const strays = [{ user: 'x', records: [{ id: '1', tokens: Int32Array.of(1, token) }] }];
    expect(() => check({}, { heldOut: strays })).toThrow(
      failing('INVALID_DATA', /^Cannot train: token -?\d+ lies outside the vocabulary of 40\./),
    );
  });

  it('refuses a record without tokens, and chunks longer than the context', () => {
    const none = [{ user: 'x', records: [{ id: '1', tokens: new Int32Array(0) }] }];
    expect(() => check({}, { heldOut: none })).toThrow(failing('INVALID_DATA', /0 tokens/));
    expect(() => check({ selection: { ...selection, chunkTokens: 17 } })).toThrow(/chunks of 17 tokens/);
  });

  it("never prints a user's id or text", () => {
    for (const changes of [
      { unit: { protection: 'user', recordsPerUser: 1 } },
      { population: { users: 9, records: 9 } },
    ] as const) {
      expect(() => check(changes)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('user-') }),
      );
    }
  });
});
