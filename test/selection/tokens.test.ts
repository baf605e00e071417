import { appendFileSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { selectRows } from '../../selection/cap.ts';
import { curate, type CurateOptions } from '../../selection/curate.ts';
import { textLengths, type SelectionTokenizer } from '../../selection/lengths.ts';
import { readManifest } from '../../selection/manifest.ts';
import { surveyTables, type SurveyEffects, type SurveyOptions } from '../../selection/survey.ts';
import { writeTable } from '../../selection/tables/index.ts';
import { verifyManifest } from '../../selection/verify.ts';
import {
  bytes,
  type PlainRecord,
  recordsOf,
  recordsTable,
  someRecords,
  temporaryFolder,
} from './fixtures.ts';

const folder = temporaryFolder();
const columns = { user: 'user', id: 'id', text: 'text', score: 'score' };

const tokenizer: SelectionTokenizer = {
  name: 'bytes',
  hash: 'none',
  encode: text => Int32Array.from(Buffer.from(text)),
  decode: ids => Buffer.from(Uint8Array.from(ids)).toString(),
};

const rows: PlainRecord[] = Array.from({ length: 40 }, (_, i) => ({
  user: `u${(i * i) % 7}`,
  id: `r${i}`,
  text: `text ${'ö'.repeat(i % 6)}`,
  score: i % 5,
}));

function sizeOf(some: readonly PlainRecord[]): number {
  return some.reduce((sum, { text }) => sum + bytes(text), 0);
}

function place(): string {
  return mkdtempSync(join(folder, 'place-'));
}

async function table(some: readonly PlainRecord[]): Promise<string> {
  const path = join(place(), 'in.arrow');
  await writeTable(recordsTable(some), path);
  return path;
}

async function select(some: readonly PlainRecord[], more: Partial<CurateOptions> = {}) {
  const rule = { strategy: 'random', seed: '42', recordsPerUser: 2 } as const;
  const out = join(place(), 'out.arrow');
  const result = await curate({ table: await table(some), out, columns, rule, tokenizer, ...more });
  return { ...result, described: await readManifest(result.manifest) };
}

async function effects(
  some: readonly PlainRecord[],
  more: Partial<SurveyOptions> & Required<Pick<SurveyOptions, 'effects'>>,
): Promise<SurveyEffects | null> {
  const asked = { table: await table(some), columns, describes: false, ...more };
  return (await surveyTables(asked)).effects;
}

describe('tokens before and after a selection', () => {
  it.each(['builtin', 'duckdb'] as const)('are counted with %s where a tokenizer is given', async engine => {
    const { statistics, described } = await select(rows, { engine });
    expect(statistics).toMatchObject({
      tokenizer: { name: 'bytes', hash: 'none' },
      tokensBefore: sizeOf(rows),
    });
    expect(statistics.tokensAfter).toBeGreaterThan(0);
    expect(statistics.tokensAfter).toBeLessThan(sizeOf(rows));
    expect(described.statistics).toEqual(statistics);
    expect([described.tokenizer, described.result.maximumTokensPerUser]).toEqual([null, null]);
  });

  it('are null without a tokenizer or a text column', async () => {
    for (const more of [{ tokenizer: undefined }, { columns: { user: 'user', id: 'id' } }]) {
      const { statistics } = await select(rows, more);
      expect(statistics).toMatchObject({ tokenizer: null, tokensBefore: null, tokensAfter: null });
    }
  });

  it('leave out rows that policies drop', async () => {
    const nobody = { user: '', id: 'none', text: 'a text of nobody', score: 1 };
    const repeated = { ...rows[3]!, text: 'the same id once more' };
    const policies = { nullUsers: 'drop', duplicates: 'keep-first' } as const;
    for (const extra of [[nobody], [repeated], [nobody, repeated]]) {
      const { statistics } = await select([...rows, ...extra], policies);
      expect(statistics.tokensBefore).toBe(sizeOf(rows));
    }
  });

  it('are all of them where nothing is cut, also in blocks', async () => {
    const all = { strategy: 'random', seed: '42', recordsPerUser: 100 } as const;
    const whole = await select(rows, { rule: all });
    expect(whole.statistics.tokensAfter).toBe(whole.statistics.tokensBefore);
    const rule = { ...all, strategy: 'random-chunk', chunkTokens: 1000 } as const;
    const { statistics, manifest } = await select(rows, { rule });
    expect([statistics.tokensBefore, statistics.tokensAfter]).toEqual([sizeOf(rows), sizeOf(rows)]);
    expect((await verifyManifest(manifest, { tokenizer })).holds).toBe(true);
  });
});

describe('what caps keep in a survey', () => {
  it('is what selectRows() keeps, for every strategy and memory', async () => {
    const strategies = [
      'random',
      'longest',
      'shortest',
      'highest-perplexity',
      'random-window',
      'first',
    ] as const;
    const some = fc.record({
      records: someRecords,
      strategy: fc.constantFrom(...strategies),
      memory: fc.constantFrom(1000, 2 ** 30),
    });
    await fc.assert(
      fc.asyncProperty(some, async ({ records, strategy, memory }) => {
        const rule = { strategy, seed: '42' };
        const caps = [1, 3];
        const found = (await effects(records, { memory, effects: { rule, tokenizer, caps } }))!;
        const read = recordsOf(records);
        const lengths = textLengths(read, { unit: 'bytes' });
        expect(found.tokensBefore).toBe(sizeOf(records));
        for (const [at, recordsPerUser] of caps.entries()) {
          const kept = Array.from(
            selectRows(read, { ...rule, recordsPerUser }, { lengths }),
            row => records[row]!,
          );
          expect(found.caps[at]).toMatchObject({
            recordsPerUser,
            records: kept.length,
            tokens: sizeOf(kept),
          });
        }
      }),
      { numRuns: 30 },
    );
  });

  it('is not said of blocks, nor of scores that are in no column', async () => {
    const blocks = await effects(rows, {
      effects: { rule: { strategy: 'random-chunk', seed: '' }, tokenizer },
    });
    expect(blocks).toMatchObject({ tokensBefore: sizeOf(rows), caps: [] });
    const rule = { strategy: 'lowest-perplexity', seed: '' } as const;
    const noScores = { columns: { ...columns, score: undefined }, effects: { rule, tokenizer } };
    expect(await effects(rows, noScores)).toMatchObject({ caps: [] });
  });

  it('is null where tokens cannot be counted', async () => {
    const rule = { strategy: 'random', seed: '42' } as const;
    expect(await effects(rows, { effects: { rule } })).toBeNull();
    const columnless = { columns: { user: 'user', id: 'id' }, effects: { rule, tokenizer } };
    expect(await effects(rows, columnless)).toBeNull();
  });
});

describe('rows of every input', () => {
  const jsonl = (at: string, name: string, some: readonly object[]): void =>
    writeFileSync(join(at, name), some.map(row => `${JSON.stringify(row)}\n`).join(''));

  it.each(['builtin', 'duckdb'] as const)(
    'stand in the manifest with %s, skipped ones left out',
    async engine => {
      const at = place();
      jsonl(at, 'a.jsonl', rows.slice(0, 25));
      jsonl(at, 'b.jsonl', rows.slice(25));
      appendFileSync(join(at, 'b.jsonl'), 'no JSON\n');
      const { described, skipped } = await select(rows, { table: at, engine, onError: 'skip' });
      expect(described.inputs.map(({ rows: count }) => count)).toEqual([25, 15]);
      expect(Object.values(skipped)).toEqual([1]);
    },
  );

  it('are counted over all batches of a file', async () => {
    const at = place();
    const batches = recordsTable(rows.slice(0, 10)).concat(recordsTable(rows.slice(10, 30)));
    expect(batches.batches).toHaveLength(2);
    await writeTable(batches, join(at, 'a.arrow'));
    await writeTable(recordsTable(rows.slice(30)), join(at, 'b.arrow'));
    const { described } = await select(rows, { table: at });
    expect(described.inputs.map(({ rows: count }) => count)).toEqual([30, 10]);
  });

  it.each(['builtin', 'duckdb'] as const)(
    'are counted of Parquet files with %s, also of empty ones',
    async engine => {
      const at = place();
      await writeTable(recordsTable(rows.slice(0, 5)), join(at, 'a.parquet'));
      await writeTable(recordsTable(rows).slice(0, 0), join(at, 'b.parquet'));
      await writeTable(recordsTable(rows.slice(5)), join(at, 'c.parquet'));
      for (const memory of [1000, 2 ** 30]) {
        const { described } = await select(rows, {
          table: at,
          engine,
          memory: engine === 'duckdb' ? 2 ** 30 : memory,
        });
        expect(described.inputs.map(({ rows: count }) => count)).toEqual([5, 0, 35]);
      }
    },
  );
});
