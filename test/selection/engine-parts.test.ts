import { Data, Dictionary, Int32, Utf8, Vector } from 'apache-arrow';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalOrder } from '../../selection/engines/canonical.ts';
import { KeptPlaces } from '../../selection/engines/kept-places.ts';
import { type NarrowColumns, type NarrowShape, wordColumns } from '../../selection/engines/narrow-page.ts';
import { NarrowPartitions } from '../../selection/engines/narrow-partitions.ts';
import { UserCoder, userText } from '../../selection/engines/user-coder.ts';
import { compareUtf8 } from '../../selection/key.ts';
import { TextInterner } from '../../selection/tables/interner.ts';
import { temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();
const someTexts = fc.array(
  fc.constantFrom('ada', 'bo', 'cy', 'ø', 'grandpré', 'user-1', 'user-10', 'user-2'),
  {
    minLength: 1,
    maxLength: 30,
  },
);

function column(texts: readonly string[]): Data {
  const bytes = texts.map(text => Buffer.from(text));
  const offsets = Int32Array.from([0, ...bytes.map(({ length }) => length)]);
  for (let i = 1; i < offsets.length; i++) offsets[i]! += offsets[i - 1]!;
  return new Data(new Utf8(), 0, texts.length, 0, { 0: offsets, 1: new Uint8Array(Buffer.concat(bytes)) });
}

describe('TextInterner', () => {
  it('numbers a run as it numbers one text after the other, whatever it holds already', () => {
    fc.assert(
      fc.property(fc.array(someTexts, { maxLength: 4 }), fc.nat(), (runs, chance) => {
        const [one, other] = [new TextInterner(), new TextInterner()];
        for (const texts of runs) {
          const { values, valueOffsets, length } = column(texts);
          const wanted = Uint8Array.from(texts, (_, i) => (((chance >> (i % 31)) & 1) === 1 ? 0 : 1));
          const codes = new Int32Array(length);
          one.internRun({ bytes: values, offsets: valueOffsets }, { wanted, codes });
          const expected = texts.map((text, i) => (wanted[i] === 1 ? other.intern(Buffer.from(text)) : -1));
          expect([...codes]).toEqual(expected);
        }
      }),
    );
  });

  it('finds texts that were added without looking, also beyond its first places', () => {
    const interner = new TextInterner();
    const texts = Array.from({ length: 3000 }, (_, i) => `t${i}`);
    for (const text of texts.slice(0, 2000)) interner.add(Buffer.from(text));
    for (const [i, text] of texts.entries()) expect(interner.intern(Buffer.from(text))).toBe(i);
    expect(interner.size).toBe(3000);
  });
});

describe('UserCoder', () => {
  const dictionaryColumn = (texts: readonly string[], entries: Vector): Data => {
    const known = [...entries].map(String);
    const indices = Int32Array.from(texts, text => known.lastIndexOf(text));
    const type = new Dictionary(new Utf8(), new Int32());
    return new Data(type, 0, texts.length, 0, { 1: indices }, [], entries);
  };

  it('gives one number a user, over dictionaries with repeats, plain columns and rows without user', () => {
    const batches = fc.array(fc.tuple(someTexts, fc.constantFrom('plain', 'shared', 'own', 'repeating')), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(batches, list => {
        const all = [...new Set(list.flatMap(([texts]) => texts))];
        const shared = new Vector([column(all)]);
        const coder = new UserCoder();
        const seen: { text: string; code: number }[] = [];
        for (const [texts, form] of list) {
          const hasUser = Uint8Array.from(texts, (_, row) => (row % 5 === 4 ? 0 : 1));
          const entries =
            form === 'shared'
              ? shared
              : new Vector([column(form === 'own' ? all.toReversed() : [...all, ...all])]);
          const data = form === 'plain' ? column(texts) : dictionaryColumn(texts, entries);
          const codes = coder.codesOf(data, hasUser, new Int32Array(texts.length));
          for (const [row, text] of texts.entries()) {
            if (hasUser[row] === 0) expect(codes[row]).toBe(-1);
            else seen.push({ text, code: codes[row]! });
          }
        }
        const { names } = coder;
        for (const { text, code } of seen) expect(userText(names, code)).toBe(text);
        expect(new Set(seen.map(({ code }) => code)).size).toBe(new Set(seen.map(({ text }) => text)).size);
        const ordered = Array.from(coder.order(), user => userText(names, user));
        expect(ordered).toEqual(ordered.toSorted(compareUtf8));
        expect(new Set(ordered).size).toBe(ordered.length);
      }),
    );
  });
});

it('canonicalOrder() says whether a text comes twice', () => {
  const hasRepeats = (texts: string[]): boolean => {
    const { values, valueOffsets, length } = column(texts);
    return canonicalOrder({ bytes: values, offsets: valueOffsets, length }).hasRepeats;
  };
  const long = 'a-long-name-beyond-what-the-keys-take-in-';
  expect(hasRepeats(['b', 'a', 'c'])).toBe(false);
  expect(hasRepeats(['b', 'a', 'b'])).toBe(true);
  expect(hasRepeats(['', 'a', 'ab', `${long}1`, `${long}2`])).toBe(false);
  expect(hasRepeats([`x${long}1`, 'q', `x${long}2`, `x${long}1`])).toBe(true);
});

it('KeptPlaces knows which rows are kept and where they go', () => {
  const choice = fc
    .integer({ min: 1, max: 200 })
    .chain(total =>
      fc.tuple(fc.constant(total), fc.shuffledSubarray(Array.from({ length: total }, (_, row) => row))),
    );
  const spans = fc.array(fc.tuple(fc.nat(200), fc.nat(70)), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(choice, spans, ([total, rows], ranges) => {
      const places = new KeptPlaces(Int32Array.from(rows), total);
      for (const [from, length] of ranges) {
        const first = Math.min(from, total);
        const count = Math.min(length, total - first);
        const inside = rows.filter(row => row >= first && row < first + count).sort((a, b) => a - b);
        expect(places.hasAny(first, count)).toBe(inside.length > 0);
        const found = places.among(first, count);
        expect([...found.rows]).toEqual(inside.map(row => row - first));
        expect([...found.places]).toEqual(inside.map(row => rows.indexOf(row)));
      }
    }),
  );
});

describe('NarrowPartitions', () => {
  const shapes = fc.record<NarrowShape>({
    ids: fc.constantFrom('numbers', 'texts', 'places'),
    measures: fc.constantFrom('scores', 'lengths', 'none'),
    hasTokens: fc.boolean(),
  });
  const batches = fc.array(
    fc.array(
      fc.record({
        user: fc.integer({ min: -1, max: 9 }),
        text: fc.string({ maxLength: 9 }),
        high: fc.constantFrom(0, 0, 0, 7),
      }),
      {
        maxLength: 20,
      },
    ),
    { minLength: 1, maxLength: 4 },
  );

  it('gives back the rows of each partition user by user in the order in which they came, in memory or from the disk', () => {
    const options = fc.record({
      count: fc.constantFrom(1, 4),
      rows: fc.constantFrom(1, 1e6),
      budget: fc.constantFrom(200, 1e6),
    });
    fc.assert(
      fc.property(shapes, batches, options, (shape, list, option) => {
        const partitions = new NarrowPartitions(shape, { ...option, folder });
        const names = wordColumns(shape);
        let place = 0;
        const kept: { user: number; place: number; text: string; high: number }[] = [];
        for (const batch of list) {
          const cells = batch.map(row => ({ ...row, place: place++ }));
          const words = names.map(name => {
            if (name === 'high' && cells.every(({ high }) => high === 0)) return new Int32Array(0);
            const pick = (cell: (typeof cells)[number]): number =>
              name === 'user' ? cell.user : name === 'high' ? cell.high : cell.place;
            return Int32Array.from(cells, pick);
          });
          const { values, valueOffsets } = column(cells.map(({ text }) => text));
          const columns: NarrowColumns = {
            firstRow: place - cells.length,
            words,
            scores:
              shape.measures === 'scores' ? Float64Array.from(cells, cell => cell.place / 3) : undefined,
            texts: shape.ids === 'texts' ? { bytes: values, ends: valueOffsets.subarray(1) } : undefined,
          };
          partitions.append(columns);
          kept.push(...cells.filter(({ user }) => user >= 0));
        }
        for (let part = 0; part < option.count; part++) {
          const expected = kept
            .filter(({ user }) => user % option.count === part)
            .toSorted((a, b) => a.user - b.user || a.place - b.place);
          const shift = Math.log2(option.count);
          const { groups, words, scores, texts } = partitions.take(part, { users: 10, shift });
          const of = (name: string): number[] | undefined =>
            words[names.indexOf(name)] && [...words[names.indexOf(name)]!];
          const users = [...groups.rows].map(row => groups.starts.findLastIndex(start => start <= row));
          expect(users.map(user => (user << shift) | part)).toEqual(expected.map(({ user }) => user));
          for (const name of ['place', 'low', 'length', 'tokens'])
            expect(of(name) ?? expected.map(cell => cell.place)).toEqual(expected.map(cell => cell.place));
          const high = of('high') ?? [];
          // An empty column stands for zeros.
          if (shape.ids === 'numbers' && (high.length > 0 || expected.some(cell => cell.high > 0)))
            expect(high).toEqual(expected.map(cell => cell.high));
          if (scores !== undefined) expect([...scores]).toEqual(expected.map(cell => cell.place / 3));
          if (texts !== undefined) {
            const found = expected.map((_, i) =>
              Buffer.from(texts.bytes.subarray(texts.starts[i], texts.ends[i])).toString(),
            );
            expect(found).toEqual(expected.map(({ text }) => Buffer.from(text).toString()));
          }
        }
        partitions.close();
      }),
      { numRuns: 200 },
    );
  });
});
