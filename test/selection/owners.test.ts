import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { selectCapped } from '../../selection/cap.ts';
import { type OwnedRecords, type OwnedSelection, ownerLists, selectOwned } from '../../selection/owners.ts';
import { OwnerKeyHasher } from '../../selection/owners-key.ts';
import type { CapRule, RecordStrategy } from '../../selection/rule.ts';
import { bytes, failureOf, recordsOf, someCaps, someRecords, strategies } from './fixtures.ts';

interface Owned {
  readonly id: string;
  readonly owners: readonly string[];
  readonly length: number;
  readonly score: number;
}

const names = ['ada', 'bo', 'cé', '\u{1f600}', '\uff01'];

/** Records of one to four owners, ids unique for each owner, lengths and scores with ties. */
const someOwned: fc.Arbitrary<Owned[]> = fc.uniqueArray(
  fc.record({
    id: fc.oneof(fc.nat(30).map(String), fc.constantFrom('é', 'a:b', '\uff01')),
    owners: fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 }),
    length: fc.nat(4),
    score: fc.nat(3),
  }),
  { selector: ({ id }) => id, maxLength: 25 },
);

const strategy = fc.constantFrom<RecordStrategy>(...strategies);
const ordered = fc.constantFrom<RecordStrategy>(...strategies.filter(name => name !== 'first'));

function columnsOf(records: readonly Owned[]): OwnedRecords {
  return {
    users: names,
    owners: ownerLists(records.map(({ owners }) => owners.map(owner => names.indexOf(owner)))),
    ids: records.map(({ id }) => id),
    lengths: records.map(({ length }) => length),
    scores: records.map(({ score }) => score),
  };
}

function select(records: readonly Owned[], rule: CapRule): OwnedSelection & { ids: string[] } {
  const selection = selectOwned(columnsOf(records), rule);
  return { ...selection, ids: Array.from(selection.rows, row => records[row]!.id) };
}

function keptBy(records: readonly Owned[], { rows }: OwnedSelection, owner: string): Owned[] {
  return Array.from(rows, row => records[row]!).filter(({ owners }) => owners.includes(owner));
}

describe('OwnerKeyHasher', () => {
  const hex = (seed: string, owners: readonly string[], id: string): string => {
    const out = new Uint32Array(8);
    new OwnerKeyHasher(seed, owners).write(Int32Array.from(owners.keys()), id, { out, at: 0 });
    return Array.from(out, word => word.toString(16).padStart(8, '0')).join('');
  };
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

  it('gives the vector of the contract for one owner', () => {
    const expected = '18ada7d5ecc4d750d16d8885113f9461af29b94d2d523eec0eb5241c0321fc7d';
    expect(hex('42', ['hèllo'], 'r1')).toBe(expected);
  });

  it('hashes the number of owners and each with its length for several', () => {
    expect(hex('42', ['ada', 'hèllo'], 'r1')).toBe(sha256('42:2x3:ada:6:hèllo:r1'));
    const many = Array.from({ length: 100 }, (_, i) => `user ${i} ü`);
    const text = many.map(name => `${bytes(name)}:${name}:`).join('');
    expect(hex('s', many, 'x'.repeat(500))).toBe(sha256(`s:100x${text}${'x'.repeat(500)}`));
  });
});

describe('selectOwned()', () => {
  it('is selectRows() where every record has one owner', () => {
    fc.assert(
      fc.property(someRecords, strategy, someCaps, (rows, name, caps) => {
        const records = recordsOf(rows);
        const rule = { strategy: name, seed: '42', ...caps };
        const lengths = rows.map(({ text }) => bytes(text));
        const expected = selectCapped(records, rule, { lengths });
        const owners = ownerLists(Array.from(records.userOf, user => [user]));
        const { users, ids, scores } = records;
        const found = selectOwned({ users, owners, ids, lengths, scores }, rule);
        expect([...found.rows]).toEqual([...expected.rows]);
        expect(new Map(found.cuts)).toEqual(new Map(expected.cuts));
      }),
      { numRuns: 400 },
    );
  });

  it('never lets an owner keep more than the caps, and says what each keeps', () => {
    fc.assert(
      fc.property(someOwned, strategy, someCaps, (records, name, caps) => {
        const found = select(records, { strategy: name, seed: '42', ...caps });
        const tokensOf = (record: Owned): number => found.cuts.get(records.indexOf(record)) ?? record.length;
        for (const [place, owner] of names.entries()) {
          const kept = keptBy(records, found, owner);
          const tokens = kept.reduce((total, record) => total + tokensOf(record), 0);
          expect(kept.length).toBeLessThanOrEqual(caps.recordsPerUser ?? Infinity);
          expect(tokens).toBeLessThanOrEqual(caps.tokensPerUser ?? Infinity);
          expect(found.recordsOf[place]).toBe(kept.length);
          if (caps.tokensPerUser !== null) expect(found.tokensOf[place]).toBe(tokens);
        }
      }),
    );
  });

  it('leaves a record out only where one of its owners has all they may keep', () => {
    fc.assert(
      fc.property(someOwned, strategy, fc.integer({ min: 1, max: 3 }), (records, name, recordsPerUser) => {
        const found = select(records, { strategy: name, seed: '42', recordsPerUser });
        const kept = new Set(found.ids);
        for (const { owners } of records.filter(({ id }) => !kept.has(id))) {
          expect(owners.some(owner => found.recordsOf[names.indexOf(owner)] === recordsPerUser)).toBe(true);
        }
      }),
    );
  });

  it('depends neither on the order of the rows nor on that of owners or users', () => {
    fc.assert(
      fc.property(someOwned, ordered, someCaps, fc.nat(), (records, name, caps, turn) => {
        const rule = { strategy: name, seed: '42', ...caps };
        const at = records.length === 0 ? 0 : turn % records.length;
        const turned = [...records.slice(at), ...records.slice(0, at)].map(record => ({
          ...record,
          owners: [...record.owners, record.owners[0]!].toReversed(),
        }));
        expect(select(turned, rule).ids).toEqual(select(records, rule).ids);
        const users = names.toReversed();
        const places = records.map(({ owners }) => owners.map(owner => users.indexOf(owner)));
        const other = selectOwned({ ...columnsOf(records), users, owners: ownerLists(places) }, rule);
        expect([...other.rows]).toEqual([...select(records, rule).rows]);
      }),
    );
  });

  it('writes rows in canonical order: owners one after the other, then record ids', () => {
    const records = [
      { id: 'b', owners: ['bo'], length: 1, score: 0 },
      { id: 'a', owners: ['bo', 'ada'], length: 1, score: 0 },
      { id: '\u{1f600}', owners: ['ada'], length: 1, score: 0 },
      { id: '\uff01', owners: ['ada'], length: 1, score: 0 },
      { id: 'c', owners: ['\u{1f600}'], length: 1, score: 0 },
      { id: 'd', owners: ['\uff01'], length: 1, score: 0 },
    ];
    expect(select(records, { strategy: 'random', seed: '42', recordsPerUser: 9 }).ids).toEqual([
      '\uff01',
      '\u{1f600}',
      'a',
      'b',
      'd',
      'c',
    ]);
  });

  it('cannot be merged from shards: what one shard leaves out may have room in the whole', () => {
    const records = [
      { id: 'first', owners: ['ada', 'bo'], length: 3, score: 0 },
      { id: 'second', owners: ['bo', 'cé'], length: 2, score: 0 },
      { id: 'third', owners: ['cé'], length: 1, score: 0 },
    ];
    const rule: CapRule = { strategy: 'longest', seed: '42', recordsPerUser: 1 };
    const shard = (some: readonly Owned[]): Owned[] => Array.from(select(some, rule).rows, row => some[row]!);
    const merged = [...shard(records.slice(0, 1)), ...shard(records.slice(1))];
    expect(select(records, rule).ids).toEqual(['first', 'third']);
    expect(select(merged, rule).ids).toEqual(['first']);
  });

  it('cuts a record to the smallest room among its owners and closes those alone', () => {
    const records = [
      { id: 'a', owners: ['ada'], length: 4, score: 0 },
      { id: 'b', owners: ['ada', 'bo'], length: 3, score: 1 },
      { id: 'c', owners: ['ada'], length: 0, score: 2 },
      { id: 'd', owners: ['bo'], length: 3, score: 3 },
    ];
    const rule: CapRule = {
      strategy: 'lowest-perplexity',
      seed: '42',
      recordsPerUser: null,
      tokensPerUser: 5,
    };
    const cut = select(records, { ...rule, tokenPolicy: 'truncate' });
    expect(cut.ids).toEqual(['a', 'b', 'd']);
    expect([...cut.cuts]).toEqual([[1, 1]]);
    expect(select(records, rule).ids).toEqual(['a', 'd']);
  });

  it('refuses what it cannot select from, naming rows and no ids', async () => {
    const good = columnsOf([{ id: 'secret', owners: ['ada'], length: 1, score: 0 }]);
    const rule: CapRule = { strategy: 'random', seed: '42', recordsPerUser: 1 };
    const twice = columnsOf([
      { id: 'secret', owners: ['ada', 'bo'], length: 1, score: 0 },
      { id: 'other', owners: ['bo'], length: 1, score: 0 },
      { id: 'secret', owners: ['cé', 'bo'], length: 1, score: 0 },
    ]);
    const cases: [OwnedRecords, string, RegExp][] = [
      [{ ...good, owners: ownerLists([[]]) }, 'INVALID_DATA', /row 1 has no owner/],
      [{ ...good, owners: ownerLists([[9]]) }, 'INVALID_DATA', /owner of row 1/],
      [{ ...good, owners: ownerLists([[0], [0]]) }, 'INVALID_DATA', /owners of 2 records/],
      [{ ...good, users: ['ada', 'ada'] }, 'INVALID_DATA', /user id occurs twice/],
      [{ ...good, users: ['\ud800'] }, 'INVALID_DATA', /lone surrogate/],
      [{ ...good, ids: ['\ud800'] }, 'INVALID_DATA', /row 1 holds a lone surrogate/],
      [twice, 'DUPLICATE_RECORD', /row 3/],
    ];
    for (const [records, code, message] of cases) {
      const failure = await failureOf(() => selectOwned(records, rule));
      expect(failure.code).toBe(code);
      expect(failure.message).toMatch(message);
      expect(failure.message).not.toMatch(/secret|ada/);
    }
    const none = await failureOf(() => selectOwned(good, { ...rule, recordsPerUser: null }));
    expect(none.code).toBe('INVALID_ARGUMENT');
  });

  it('takes one id under owners who share no record', () => {
    const records = [
      { id: 'same', owners: ['ada', 'bo'], length: 1, score: 0 },
      { id: 'same', owners: ['cé'], length: 1, score: 0 },
    ];
    expect(select(records, { strategy: 'random', seed: '42', recordsPerUser: 1 }).rows).toHaveLength(2);
  });
});
