import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { selectCapped } from '../../selection/cap.ts';
import { keptIdsDigest } from '../../selection/digest.ts';
import { openBuiltin } from '../../selection/engines/builtin.ts';
import { canonicalOrder } from '../../selection/engines/canonical.ts';
import { compareUtf8 } from '../../selection/key.ts';
import { fittingText, textLengths } from '../../selection/lengths.ts';
import { readRecords } from '../../selection/records.ts';
import { columnTexts } from '../../selection/tables/cells.ts';
import { writeTable } from '../../selection/tables/index.ts';
import { TextInterner } from '../../selection/tables/interner.ts';
import { collectTable, openTables } from '../../selection/tables/table-source.ts';
import { hasShared, sharedPath } from '../support/shared.ts';
import { cap, expectedPairs, openOne, outputOf, pairsOf, requestOn } from './engine-checks.ts';
import {
  failureOf,
  int64,
  recordsTable,
  someRecords,
  strategies,
  tableOfColumns,
  temporaryFolder,
  texts,
} from './fixtures.ts';

const folder = temporaryFolder();
const engine = openBuiltin();
let files = 0;

async function written(table: Parameters<typeof writeTable>[0], extension = 'arrow'): Promise<string> {
  const path = join(folder, `table-${files++}.${extension}`);
  await writeTable(table, path);
  return path;
}

const names = { user: 'user', id: 'id' };

const byBytes = {
  name: 'bytes',
  hash: '',
  encode: (text: string) => Int32Array.from(Buffer.from(text)),
  decode: (ids: Int32Array) => Buffer.from(Uint8Array.from(ids)).toString(),
};

describe('builtin against the typed arrays', () => {
  it('keeps the same records in the same order, whatever the rule, the format and the memory', async () => {
    const rules = fc.record({
      strategy: fc.constantFrom(...strategies, 'first' as const),
      seed: fc.constantFrom('42', "o'clock \\ \n \u{1f600}"),
      recordsPerUser: fc.integer({ min: 1, max: 4 }),
    });
    const units = fc.constantFrom('bytes' as const, 'codepoints' as const);
    const formats = fc.constantFrom('arrow', 'parquet');
    const limits = fc.constantFrom(2 ** 30, 2000);
    await fc.assert(
      fc.asyncProperty(
        someRecords,
        rules,
        units,
        formats,
        limits,
        async (rows, rule, lengthUnit, ...rest) => {
          const [format, memoryLimit] = rest;
          const source = await openOne(await written(recordsTable(rows), format));
          const columns = { user: 'user', id: 'id', text: 'text', score: 'score' };
          const request = requestOn(source, { folder, rule, lengthUnit, columns, memoryLimit });
          const found = await outputOf(engine, request, 'arrow');
          expect(pairsOf(found, names)).toEqual(await expectedPairs(source, request));
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each(['stop', 'truncate'] as const)('caps tokens by the policy %s', async tokenPolicy => {
    await fc.assert(
      fc.asyncProperty(someRecords, fc.integer({ min: 1, max: 30 }), async (rows, tokensPerUser) => {
        const source = await openOne(await written(recordsTable(rows)));
        const rule = { ...cap, recordsPerUser: null, tokensPerUser, tokenPolicy };
        const request = requestOn(source, { folder, rule, tokenizer: byBytes });
        const found = await outputOf(engine, request, 'arrow');
        const records = readRecords(await collectTable(source), { ...request.columns, file: 'table' });
        const tokens = textLengths(records, { unit: 'tokens', tokenizer: byBytes });
        const { rows: kept, cuts } = selectCapped(records, rule, { tokens });
        const expected = Array.from(kept, row => {
          const limit = cuts.get(row);
          const text = records.textAt(row);
          if (limit === undefined) return text;
          return fittingText(byBytes.encode(text).subarray(0, limit), { tokenizer: byBytes, limit });
        });
        expect(found.numRows === 0 ? [] : columnTexts(found.getChild('text')!)).toEqual(expected);
      }),
      { numRuns: 30 },
    );
  });

  it('ranks a user with more rows than are ranked at once as if they were few', async () => {
    const rows = 150_000;
    const table = tableOfColumns({
      user: texts(Array.from({ length: rows }, (_, row) => (row % 3 === 0 ? `u${row % 50}` : 'hot'))),
      id: int64(Array.from({ length: rows }, (_, row) => BigInt((row * 7919) % rows))),
      text: texts(Array.from({ length: rows }, (_, row) => 'x'.repeat(1 + ((row * 31) % 17)))),
    });
    const source = await openOne(await written(table));
    for (const strategy of ['random', 'longest', 'first'] as const) {
      const request = requestOn(source, { folder, rule: { ...cap, strategy } });
      const found = await outputOf(engine, request, 'arrow');
      expect(pairsOf(found, names)).toEqual(await expectedPairs(source, request));
    }
  });

  it('numbers rows that have no id, by file', async () => {
    const paths = ['a.jsonl', 'b.jsonl'].map(name => join(folder, name));
    for (const path of paths) writeFileSync(path, '{"user":"ada"}\n{"user":"bo"}\n');
    const source = await openTables(paths);
    const columns = { user: 'user', id: null };
    const found = await outputOf(engine, requestOn(source, { folder, columns }), 'arrow');
    expect(pairsOf(found, { user: 'user', id: 'record_id' })).toEqual([
      '["ada","a.jsonl:1"]',
      '["ada","b.jsonl:1"]',
      '["bo","a.jsonl:2"]',
      '["bo","b.jsonl:2"]',
    ]);
  });

  it('counts what users contribute and what policies drop', async () => {
    const table = tableOfColumns({
      user: texts(['ada', null, 'ada', '', 'bo', 'ada']),
      id: int64([1n, 2n, 1n, 4n, 5n, 6n]),
    });
    const source = await openOne(await written(table));
    const columns = { user: 'user', id: 'id' };
    const request = requestOn(source, { folder, columns, nullUsers: 'drop', duplicates: 'keep-first' });
    const counts = await engine.survey(request);
    expect(counts).toMatchObject({ recordsIn: 6, dropped: { nullUsers: 2, duplicates: 1 } });
    const contributions = [
      [1, 1],
      [2, 1],
    ] as const;
    expect(counts.contributions).toEqual(new Map(contributions));
  });
});

describe('builtin on faulty rows', () => {
  const faults = [
    [
      'NULL_USER',
      { user: texts(['ada', null]), id: texts(['1', '2']) },
      'the user of row 2 is null or empty',
    ],
    ['DUPLICATE_RECORD', { user: texts(['ada', 'ada']), id: texts(['1', '1']) }, 'row 2 repeats a record id'],
    [
      'INVALID_DATA',
      { user: texts(['ada', 'bo']), id: texts(['1', '']) },
      'the id is null or empty in row 2',
    ],
  ] as const;

  it.each(faults)('says %s with file and row, and leaves nothing', async (code, columns, message) => {
    const source = await openOne(await written(tableOfColumns(columns)));
    const before = readdirSync(folder).length;
    const request = requestOn(source, { folder, columns: { user: 'user', id: 'id' } });
    const error = await failureOf(() => engine.survey(request));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(error.message).toContain('.arrow');
    expect(readdirSync(folder).length).toBe(before);
  });
});

describe('canonicalOrder()', () => {
  it('is the order of UTF-8 bytes', () => {
    const users = fc.uniqueArray(
      fc.oneof(
        fc.string({ minLength: 1, unit: 'grapheme' }),
        fc.nat(300).map(n => `common-prefix-of-users/${n}`),
        fc.nat(3).map(n => `common-prefix-of-users/long tail that agrees ${'x'.repeat(n)}`),
      ),
      { minLength: 1, maxLength: 60 },
    );
    fc.assert(
      fc.property(users, list => {
        const interner = new TextInterner();
        for (const user of list) interner.intern(Buffer.from(user));
        const { order, hasRepeats } = canonicalOrder({ length: interner.size, ...interner.texts });
        const sorted = [...list].sort(compareUtf8);
        expect(Array.from(order, place => list[place]!)).toEqual(sorted);
        expect(hasRepeats).toBe(false);
      }),
    );
  });
});

describe('builtin on the corpora', () => {
  const golden = [
    ['shakespeare-speeches.parquet', 'random', '270f1f769b05a711'],
    ['shakespeare-speeches.arrow', 'longest', 'd1b9efbfd4e73195'],
    ['shakespeare-speeches.jsonl', 'shortest', 'd7deec638dc11a2d'],
    ['letters-clarissa.parquet', 'random', '0222342b10f8002b'],
    ['letters-clarissa.parquet', 'longest', '11b3673f83711d67'],
    ['letters-clarissa.parquet', 'shortest', 'd4fed4b3b1aab476'],
  ] as const;

  it.runIf(hasShared).each(golden)('%s, %s: the golden digest', async (file, strategy, digest) => {
    const source = await openOne(sharedPath(`data/${file}`));
    const columns = { user: 'user', id: 'record_id', text: 'text' };
    for (const memoryLimit of [2 ** 30, 2 ** 16]) {
      const request = requestOn(source, { folder, columns, rule: { ...cap, strategy }, memoryLimit });
      const found = await outputOf(engine, request, 'arrow');
      expect(keptIdsDigest(columnTexts(found.getChild('record_id')!).map(id => id!))).toBe(digest);
    }
  });
});
