import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  crossUserDuplicates,
  DuplicateCounter,
  duplicateReport,
  normalisedText,
} from '../../selection/duplicates.ts';
import { readRecords } from '../../selection/records.ts';
import { readTable } from '../../selection/tables/index.ts';
import { hasShared, sharedPath } from '../support/shared.ts';
import { failureOf, recordsOf } from './fixtures.ts';

const rows = [
  ['ada', 'Yes!'],
  ['ada', 'Yes!'],
  ['bo', 'yes'],
  ['bo', 'Only Bo says this'],
  ['cy', 'Yes!'],
  ['cy', '…'],
  ['dee', '---'],
] as const;

const records = recordsOf(rows.map(([user, text], i) => ({ user, text, id: `${i}`, score: 0 })));
const encoder = new TextEncoder();

describe('crossUserDuplicates()', () => {
  it('counts records whose text another user has too, not repeats of one user', () => {
    expect(crossUserDuplicates(records)).toEqual({ records: 3, compared: 7, share: 3 / 7 });
    const own = { ...records, userOf: Int32Array.of(0, 0, 1, 1, -1, 2, 3) };
    expect(crossUserDuplicates(own)).toEqual({ records: 0, compared: 6, share: 0 });
  });

  it('compares words where asked to, from a minimum length on', () => {
    expect(crossUserDuplicates(records, { compare: 'normalised' }).records).toBe(6);
    expect(crossUserDuplicates(records, { compare: 'normalised', minimumLength: 1 }).records).toBe(4);
    expect(crossUserDuplicates(records, { minimumLength: 100 })).toEqual({
      records: 0,
      compared: 0,
      share: 0,
    });
  });
});

type Owned = readonly (readonly [number, string])[];

/** Every text in a Map, as the definition says it. */
function naive(owned: Owned, formOf: (text: string) => string, minimumLength: number): object {
  const usersOf = new Map<string, Set<number>>();
  const kept = owned
    .map(([user, text]) => [user, formOf(text)] as const)
    .filter(([, form]) => form.length >= minimumLength);
  for (const [user, form] of kept) usersOf.set(form, (usersOf.get(form) ?? new Set()).add(user));
  const found = kept.filter(([, form]) => usersOf.get(form)!.size > 1).length;
  return { records: found, compared: kept.length, share: kept.length === 0 ? 0 : found / kept.length };
}

const someTexts: fc.Arbitrary<Owned> = fc.array(
  fc.tuple(
    fc.nat(3),
    fc.oneof(
      fc.constantFrom(
        '',
        ' ',
        'Ay',
        'ay!',
        'AY',
        'é',
        'e\u0301',
        'É',
        '𝒜',
        '\u{1f600}',
        'a b',
        'A  b.',
        'İ',
        '\ufeffay',
      ),
      fc.string({ unit: 'grapheme', maxLength: 5 }),
    ),
  ),
  { maxLength: 30 },
);

describe('DuplicateCounter', () => {
  it('counts what a Map of all texts counts, in both forms and above a length, in any order', () => {
    fc.assert(
      fc.property(someTexts, fc.nat(4), (owned, minimumLength) => {
        const asIs = (text: string): string => text;
        const counter = new DuplicateCounter({ minimumLength });
        for (const [user, text] of owned.toReversed()) counter.add(user, encoder.encode(text));
        expect(counter.result()).toEqual({
          minimumLength,
          samplingRate: 1,
          identical: { all: naive(owned, asIs, 0), long: naive(owned, asIs, minimumLength) },
          normalised: {
            all: naive(owned, normalisedText, 0),
            long: naive(owned, normalisedText, minimumLength),
          },
        });
      }),
      { numRuns: 300 },
    );
  });

  it('takes texts longer than its buffer', () => {
    const counter = new DuplicateCounter();
    for (const user of [1, 2]) counter.add(user, encoder.encode('Word. '.repeat(5000)));
    expect(counter.result().normalised.long).toEqual({ records: 2, compared: 2, share: 1 });
  });

  it('estimates from a sample of the texts where memory is short, and says so', () => {
    const counter = new DuplicateCounter({ memoryLimit: 2 ** 18, minimumLength: 0, key: new Uint8Array(8) });
    const texts = 20_000;
    for (let text = 0; text < texts; text++) {
      counter.add(1, encoder.encode(`text ${text}`));
      if (text % 4 === 0) counter.add(2, encoder.encode(`text ${text}`));
    }
    const { identical, samplingRate } = counter.result();
    expect(samplingRate).toBe(1 / 8);
    expect(identical.all.compared).toBe(25_000);
    // At least 1,400 of the texts are followed; a share off by a fifth lies beyond five standard deviations.
    expect(Math.abs(identical.all.records / 10_000 - 1)).toBeLessThan(0.2);
  });

  it('refuses a key or limit that will not do', async () => {
    const codeOf = async (action: () => unknown): Promise<string> => (await failureOf(action)).code;
    expect(await codeOf(() => new DuplicateCounter({ key: new Uint8Array(7) }))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => new DuplicateCounter({ minimumLength: -1 }))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => new DuplicateCounter({ memoryLimit: 0 }))).toBe('INVALID_ARGUMENT');
  });
});

describe('normalisedText()', () => {
  it('keeps letters and digits of any script, in lower case', () => {
    expect(normalisedText(' Ça va?  №7—ОК\n')).toBe('ça va 7 ок');
  });
});

const published = [
  { file: 'shakespeare-speeches.parquet', normalised: [431, 3], identical: [384, 3] },
  { file: 'letters-clarissa.parquet', normalised: [0, 0], identical: [0, 0] },
  { file: 'letters-clarissa-paragraphs.arrow', normalised: [774, 6], identical: [674, 9] },
  { file: 'commit-subjects.jsonl', normalised: [107, 0], identical: [103, 0] },
  { file: 'books-paragraphs.parquet', normalised: [561, 0], identical: [486, 0] },
];

// Skipped only where there is no ../shared/data beside the checkout.
describe.skipIf(!hasShared)('on the reference corpora', () => {
  it.each(published)('duplicateReport() finds the known copies in $file', async ({ file, ...expected }) => {
    const table = await readTable(sharedPath(`data/${file}`));
    const corpus = readRecords(table, { user: 'user', id: 'record_id', text: 'text', file });
    const { identical, normalised, samplingRate } = duplicateReport(corpus);
    expect(samplingRate).toBe(1);
    expect([identical.all.records, identical.long.records]).toEqual(expected.identical);
    expect([normalised.all.records, normalised.long.records]).toEqual(expected.normalised);
    expect(identical.all.compared).toBe(corpus.rowCount);
  });
});
