import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openBuiltin } from '../../selection/engines/builtin.ts';
import type { SelectionRequest } from '../../selection/engines/engine.ts';
import { writeTable } from '../../selection/tables/index.ts';
import { openTables, type TableSource } from '../../selection/tables/table-source.ts';
import { blocksInMemory } from './blocks-reference.ts';
import { freeOutput, requestOn } from './engine-checks.ts';
import {
  failureOf,
  int32,
  type PlainRecord,
  recordsTable,
  someRecords,
  tableOfColumns,
  temporaryFolder,
  texts,
} from './fixtures.ts';

const folder = temporaryFolder();

/** One token a UTF-8 byte, so that a cut may fall inside a character; tokens are none of the places and rows. */
const tokenizer = {
  name: 'bytes',
  hash: 'none',
  encode: (text: string) => Int32Array.from(Buffer.from(text)),
  decode: (ids: Int32Array) => Buffer.from(Uint8Array.from(ids)).toString(),
};

const rule = { strategy: 'random-chunk', seed: '42', recordsPerUser: 2, chunkTokens: 4 } as const;

function blockRequest(source: TableSource, more: Partial<SelectionRequest> = {}): SelectionRequest {
  return requestOn(source, { folder, rule, tokenizer, ...more });
}

/** Runs the engine and says whether the file is, byte for byte, that of the whole table in memory. */
async function compare(request: SelectionRequest, format: 'arrow' | 'parquet'): Promise<void> {
  const { source } = request;
  if ('url' in source) throw new Error('a file is wanted');
  const output = freeOutput(folder, format);
  const counts = await openBuiltin().select(request, output);
  const expected = await blocksInMemory(source, request);
  const reference = freeOutput(folder, format);
  if (expected.numRows > 0) await writeTable(expected, reference.path);
  expect(counts.recordsKept).toBe(expected.numRows);
  if (expected.numRows > 0) expect(readFileSync(output.path).equals(readFileSync(reference.path))).toBe(true);
}

/** Writes rows in a format that a fixture has no writer for. */
async function written(
  rows: readonly PlainRecord[],
  format: 'arrow' | 'parquet' | 'jsonl' | 'csv',
): Promise<string> {
  const path = join(mkdtempSync(join(folder, 'in-')), `table.${format}`);
  if (format === 'jsonl') writeFileSync(path, rows.map(row => `${JSON.stringify(row)}\n`).join(''));
  else if (format === 'csv') {
    const quoted = (cell: string | number): string => `"${String(cell).replaceAll('"', '""')}"`;
    const lines = rows.map(row => [row.user, row.id, row.text, row.score].map(quoted).join(','));
    writeFileSync(path, `user,id,text,score\n${lines.join('\n')}\n`);
  } else await writeTable(recordsTable(rows), path);
  return path;
}

const somePolicies = fc.record({
  records: someRecords,
  format: fc.constantFrom('arrow', 'parquet', 'jsonl', 'csv'),
  out: fc.constantFrom('arrow', 'parquet'),
  memoryLimit: fc.constantFrom(1000, 2 ** 30),
  chunkTokens: fc.integer({ min: 1, max: 9 }),
  recordsPerUser: fc.option(fc.integer({ min: 1, max: 6 })),
  tokensPerUser: fc.option(fc.integer({ min: 1, max: 20 })),
  tokenPolicy: fc.constantFrom('stop', 'truncate'),
  isNumbered: fc.boolean(),
  extra: fc.constantFrom('none', 'nobody', 'repeat'),
} as const);

describe('random chunks of the builtin engine', () => {
  it('are those of the whole table in memory, byte for byte, whatever memory and format', async () => {
    await fc.assert(
      fc.asyncProperty(somePolicies, async ({ records, format, out, isNumbered, extra, ...some }) => {
        const { memoryLimit, ...caps } = some;
        const recordsPerUser = caps.tokensPerUser === null ? (caps.recordsPerUser ?? 3) : caps.recordsPerUser;
        const added: Record<string, PlainRecord[]> = {
          none: [],
          nobody: [{ user: '', id: 'none', text: 'of nobody', score: 1 }],
          repeat: [{ ...records[0]!, text: 'the same id once more' }],
        };
        const source = await openTables([await written([...records, ...added[extra]!], format)]);
        const request = blockRequest(source, {
          rule: { ...rule, ...caps, recordsPerUser },
          columns: { user: 'user', id: isNumbered ? null : 'id', text: 'text' },
          nullUsers: 'drop',
          duplicates: 'keep-first',
          memoryLimit,
        });
        await compare(request, out);
      }),
      { numRuns: 150 },
    );
    expect(readdirSync(folder).filter(name => name.startsWith('.privacy-unit'))).toEqual([]);
  });

  it('go on over files, batches and stretches of rows', async () => {
    const rows = Array.from({ length: 9000 }, (_, i) => ({
      user: i % 3 === 0 ? 'half' : `user-${i % 700}`,
      id: `r${(i * 7919) % 9000}`,
      text: 'né '.repeat(i % 23),
      score: i,
    }));
    const paths = [await written(rows.slice(0, 5000), 'arrow'), await written(rows.slice(5000), 'arrow')];
    for (const memoryLimit of [40_000, 2 ** 30])
      for (const chunks of [
        { chunkTokens: 1, recordsPerUser: 40 },
        { chunkTokens: 7, recordsPerUser: null, tokensPerUser: 900, tokenPolicy: 'truncate' },
        { chunkTokens: 50_000, recordsPerUser: 3 },
      ] as const) {
        const source = await openTables(paths);
        await compare(blockRequest(source, { memoryLimit, rule: { ...rule, ...chunks } }), 'arrow');
      }
  }, 120_000);

  it('are the same where ids are numbers, users in a dictionary and texts the ids', async () => {
    const table = tableOfColumns({
      user: texts(['b', 'a', 'b', 'a', 'b']),
      id: int32([12, 7, -3, 9, 100]),
      text: texts(['one', 'two', '', 'three and more', 'four']),
      other: int32([1, 2, 3, 4, 5]),
    });
    const path = join(mkdtempSync(join(folder, 'in-')), 'numbers.arrow');
    await writeTable(table, path);
    await compare(blockRequest(await openTables([path])), 'parquet');
  });

  it('count what a survey counts, and tokens on the way', async () => {
    const rows = [
      { user: 'ada', id: '1', text: 'abc', score: 0 },
      { user: 'ada', id: '1', text: 'repeated', score: 0 },
      { user: '', id: '2', text: 'of nobody', score: 0 },
      { user: 'bo', id: '1', text: 'defgh', score: 0 },
    ];
    const source = await openTables([await written(rows, 'jsonl')]);
    const request = blockRequest(source, { nullUsers: 'drop', duplicates: 'keep-first' });
    const counts = await openBuiltin().select(request, freeOutput(folder, 'arrow'));
    expect(counts).toMatchObject({ recordsIn: 4, dropped: { nullUsers: 1, duplicates: 1 }, tokens: 8 });
    expect(counts.contributions).toEqual(new Map([[1, 2]]));
    expect((await openBuiltin().survey(request)).contributions).toEqual(counts.contributions);
  });

  it('are refused without what they need', async () => {
    const source = await openTables([await written([{ user: 'a', id: '1', text: 'x', score: 0 }], 'jsonl')]);
    for (const lacking of [
      { tokenizer: undefined },
      { columns: { user: 'user', id: 'id' } },
      { rule: { ...rule, chunkTokens: 0 } },
    ]) {
      const run = openBuiltin().select(blockRequest(source, lacking), freeOutput(folder, 'arrow'));
      expect((await failureOf(() => run)).code).toBe('INVALID_ARGUMENT');
    }
  });
});
