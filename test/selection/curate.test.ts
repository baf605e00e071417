import { readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Table } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { chunksOfUser } from '../../selection/chunks.ts';
import { curate, type CurateOptions, type CurateRule } from '../../selection/curate.ts';
import type { SelectionTokenizer } from '../../selection/lengths.ts';
import { readManifest } from '../../selection/manifest.ts';
import { readTable, writeTable } from '../../selection/tables/index.ts';
import { verifyManifest } from '../../selection/verify.ts';
import { hasShared, sharedPath } from '../support/shared.ts';
import { failureOf, int32, recordsTable, tableOfColumns, temporaryFolder, texts } from './fixtures.ts';

const folder = temporaryFolder();
let files = 0;

/** One token a UTF-8 byte: cuts may fall inside a character. */
const byteTokenizer: SelectionTokenizer = {
  name: 'bytes',
  hash: 'none',
  encode: text => Int32Array.from(Buffer.from(text)),
  decode: ids => Buffer.from(Uint8Array.from(ids)).toString(),
};

const people = ['zoë', 'ada', 'bo'];
const rows = Array.from({ length: 30 }, (_, i) => ({
  user: people[i % 7 === 0 ? 0 : 1 + (i % 2)]!,
  id: `r${i}`,
  text: `née ${'ö'.repeat(i % 5)} ${i}`,
  score: (i * 7) % 11,
}));

const columns = { user: 'user', id: 'id', text: 'text', score: 'score' };
const random: CurateRule = { strategy: 'random', seed: '42', recordsPerUser: 3 };

async function input(table: Table = recordsTable(rows)): Promise<string> {
  const path = join(folder, `in-${files++}.arrow`);
  await writeTable(table, path);
  return path;
}

type OneTable = CurateOptions & { readonly table: string };

async function optionsFor(rule: CurateRule, more: Partial<OneTable> = {}): Promise<OneTable> {
  return { table: await input(), out: join(folder, `out-${files++}.arrow`), columns, rule, ...more };
}

function cells(table: Table, name: string): unknown[] {
  return Array.from({ length: table.numRows }, (_, row) => table.getChild(name)!.get(row));
}

function partials(): string[] {
  return readdirSync(folder).filter(name => name.endsWith('.partial'));
}

describe('curate()', () => {
  it.each(['arrow', 'parquet'])(
    'writes kept rows in canonical order with every column, as .%s',
    async extension => {
      const options = await optionsFor(random, { out: join(folder, `kept.${extension}`) });
      const result = await curate(options);
      expect(result).toMatchObject({ users: 3, recordsIn: 30, recordsKept: 9, maxPerUser: 3, usersKept: 3 });
      const kept = await readTable(result.out);
      expect(kept.schema.names).toEqual(['user', 'id', 'text', 'score']);
      const byId = new Map(rows.map(row => [row.id, row]));
      for (const [i, id] of cells(kept, 'id').entries()) {
        const row = {
          user: cells(kept, 'user')[i],
          id,
          text: cells(kept, 'text')[i],
          score: cells(kept, 'score')[i],
        };
        expect(row).toEqual(byId.get(String(id)));
      }
      const keys = cells(kept, 'user').map((user, i) =>
        Buffer.from(`${String(user)}\0${String(cells(kept, 'id')[i])}`),
      );
      expect(keys).toEqual([...keys].sort((a, b) => Buffer.compare(a, b)));
    },
  );

  it('gives the same digest for every format and row order', async () => {
    const first = await curate(await optionsFor(random));
    const reversed = await curate(
      await optionsFor(random, { table: await input(recordsTable([...rows].reverse())) }),
    );
    const parquet = await curate(await optionsFor(random, { out: join(folder, 'again.parquet') }));
    expect([reversed.digest, parquet.digest]).toEqual([first.digest, first.digest]);
  });

  it('is described by a manifest that verifies', async () => {
    const result = await curate(await optionsFor(random, { commandLine: ['select', '--k', '3'] }));
    const manifest = await readManifest(result.manifest);
    expect(manifest).toMatchObject({
      contractVersion: 1,
      commandLine: ['select', '--k', '3'],
      rule: { strategy: 'random', seed: '42', recordsPerUser: 3, tokensPerUser: null },
      columns,
      result: { recordsIn: 30, recordsKept: 9, maximumPerUser: 3, keptIds: result.digest },
    });
    expect((await verifyManifest(result.manifest)).holds).toBe(true);
  });

  it('describes contributions before and after', async () => {
    const { statistics, crossUserDuplicates } = await curate(await optionsFor(random));
    expect(statistics.before.records).toBe(30);
    expect(statistics.after).toMatchObject({ records: 9, maximum: 3, gini: 0 });
    expect(crossUserDuplicates).toMatchObject({ records: 0, compared: 9 });
  });

  it('numbers rows where there is no id column, in a new column', async () => {
    const result = await curate(await optionsFor(random, { columns: { ...columns, id: null } }));
    const kept = await readTable(result.out);
    expect(kept.schema.names.at(-1)).toBe('record_id');
    for (const id of cells(kept, 'record_id')) expect(String(id)).toMatch(/^in-\d+\.arrow:\d+$/);
    expect((await verifyManifest(result.manifest)).holds).toBe(true);
    const taken = await input(tableOfColumns({ user: texts(['a']), record_id: texts(['1']) }));
    const failure = await failureOf(async () =>
      curate(await optionsFor(random, { table: taken, columns: { user: 'user', id: null } })),
    );
    expect(failure.code).toBe('INVALID_ARGUMENT');
  });

  it('names the tokenizer in the manifest only where the outcome depends on it', async () => {
    const named = async (rule: CurateRule, more: Partial<OneTable> = {}): Promise<unknown> => {
      const { manifest } = await curate(await optionsFor(rule, { tokenizer: byteTokenizer, ...more }));
      return (await readManifest(manifest)).tokenizer;
    };
    const tokenizer = { name: 'bytes', hash: 'none' };
    expect(await named(random)).toBeNull();
    expect(await named({ ...random, tokensPerUser: 40 })).toEqual(tokenizer);
    expect(await named({ ...random, strategy: 'longest' })).toBeNull();
    expect(await named({ ...random, strategy: 'longest' }, { lengthUnit: 'tokens' })).toEqual(tokenizer);
  });

  it('keeps a token cap, cutting only between characters', async () => {
    for (const tokenPolicy of ['stop', 'truncate'] as const) {
      const rule: CurateRule = { ...random, recordsPerUser: null, tokensPerUser: 25, tokenPolicy };
      const result = await curate(await optionsFor(rule, { tokenizer: byteTokenizer }));
      const kept = await readTable(result.out);
      const totals = new Map<unknown, number>();
      for (const [i, user] of cells(kept, 'user').entries()) {
        const text = String(cells(kept, 'text')[i]);
        expect(text).not.toContain('\ufffd');
        totals.set(user, (totals.get(user) ?? 0) + Buffer.byteLength(text));
      }
      const { maximumTokensPerUser } = (await readManifest(result.manifest)).result;
      expect(Math.max(...totals.values())).toBe(maximumTokensPerUser);
      expect(maximumTokensPerUser).toBeLessThanOrEqual(25);
    }
  });

  it('writes random chunks as rows that copy the record of their first token', async () => {
    const rule: CurateRule = { ...random, strategy: 'random-chunk', chunkTokens: 16 };
    const ascii = rows.map(row => ({ ...row, text: `record ${row.id} by ${row.score};` }));
    const table = await input(recordsTable(ascii));
    const result = await curate(await optionsFor(rule, { table, tokenizer: byteTokenizer }));
    const kept = await readTable(result.out);
    expect(result.maxPerUser).toBe(3);
    for (const user of people) {
      const own = ascii.filter(row => row.user === user);
      const chunks = chunksOfUser(
        { user, ids: own.map(({ id }) => id), tokens: own.map(({ text }) => byteTokenizer.encode(text)) },
        { seed: '42', chunkTokens: 16, recordsPerUser: 3 },
      );
      const expected = chunks.map(({ id, tokens, record }) => [
        id,
        byteTokenizer.decode(tokens),
        own[record]!.score,
      ]);
      const found = cells(kept, 'user').flatMap((name, i) =>
        name === user ? [['id', 'text', 'score'].map(column => cells(kept, column)[i])] : [],
      );
      expect(new Set(found)).toEqual(new Set(expected));
    }
    expect((await verifyManifest(result.manifest)).holds).toBe(true);
  });

  it('writes block ids as text where record ids are numbers', async () => {
    const table = await input(
      tableOfColumns({ user: texts(['a', 'a']), id: int32([1, 2]), text: texts(['one', 'two']) }),
    );
    const rule: CurateRule = { ...random, strategy: 'random-chunk', chunkTokens: 4 };
    const result = await curate(
      await optionsFor(rule, {
        table,
        tokenizer: byteTokenizer,
        columns: { user: 'user', id: 'id', text: 'text' },
      }),
    );
    for (const id of cells(await readTable(result.out), 'id')) expect(id).toMatch(/^[12]#[012]$/);
  });

  it('selects by a declared public column or a public scorer, alike', async () => {
    const rule: CurateRule = { ...random, strategy: 'highest-perplexity' };
    const byColumn = await curate(await optionsFor(rule, { scoreProvenance: 'public' }));
    const scored: string[] = [];
    const scoreOf = new Map(rows.map(({ text, score }) => [text, score]));
    const scorer = {
      provenance: 'public',
      name: 'table',
      hash: 'abc',
      score: (some: readonly string[]) => {
        scored.push(...some);
        return Promise.resolve(Float64Array.from(some, text => scoreOf.get(text)!));
      },
    } as const;
    const byScorer = await curate(
      await optionsFor(rule, { scorer, columns: { ...columns, score: undefined } }),
    );
    expect(byScorer.digest).toBe(byColumn.digest);
    expect(scored).toHaveLength(rows.length);
    expect((await readManifest(byScorer.manifest)).scorer).toEqual({
      source: 'model',
      provenance: 'public',
      name: 'table',
      hash: 'abc',
    });
  });

  it('refuses scorers and columns that are private or undeclared', async () => {
    const rule: CurateRule = { ...random, strategy: 'lowest-perplexity' };
    const scorer = {
      provenance: 'private',
      name: 'm',
      hash: 'h',
      score: () => Promise.reject(new Error('must not run')),
    } as const;
    for (const more of [
      {},
      { scoreProvenance: 'private' as const },
      { scorer },
      { columns: { ...columns, score: undefined } },
    ]) {
      const failure = await failureOf(async () => curate(await optionsFor(rule, more)));
      expect(failure.code).toBe('INVALID_ARGUMENT');
    }
  });

  it('takes a private score whose cost is given, and says so in the manifest', async () => {
    const rule: CurateRule = { ...random, strategy: 'lowest-perplexity' };
    const cost = { epsilon: 1, delta: 1e-6, mechanism: 'DP-SGD', release: 'model-1' } as const;
    const origin = { kind: 'private', neighbours: 'add-or-remove', unit: 'user', ...cost } as const;
    const choices = [{ name: 'score', origin }] as const;
    const { manifest } = await curate(await optionsFor(rule, { scoreProvenance: 'private', choices }));
    const { scorer, privacyCost } = await readManifest(manifest);
    expect(scorer).toMatchObject({ source: 'column', provenance: 'private' });
    expect(privacyCost).toMatchObject([{ choices: ['score'], ...cost }]);
    const undeclared = await failureOf(async () => curate(await optionsFor(rule, { choices })));
    expect(undeclared.code).toBe('INVALID_ARGUMENT');
  });

  it('refuses rules that do not fit their options, before reading anything', async () => {
    const cases: [CurateRule, Partial<OneTable>][] = [
      [{ ...random, recordsPerUser: 0 }, {}],
      [{ ...random, recordsPerUser: null }, {}],
      [{ ...random, tokensPerUser: 5 }, {}],
      [{ ...random, strategy: 'random-chunk' }, { tokenizer: byteTokenizer }],
      [{ ...random, strategy: 'longest' }, { columns: { user: 'user', id: 'id' } }],
      [{ ...random, strategy: 'longest' }, { lengthUnit: 'tokens' }],
      [random, { out: join(folder, 'out.csv') }],
    ];
    for (const [rule, more] of cases) {
      const failure = await failureOf(async () =>
        curate(await optionsFor(rule, { ...more, table: '/does/not/exist.arrow' })),
      );
      expect(failure.code).toBe('INVALID_ARGUMENT');
    }
  });

  it('refuses to overwrite output or manifest without force', async () => {
    const options = await optionsFor(random);
    const { digest, manifest } = await curate(options);
    expect((await failureOf(() => curate(options))).code).toBe('OUTPUT_EXISTS');
    expect((await curate({ ...options, force: true })).digest).toBe(digest);
    const other = join(folder, 'other.arrow');
    await writeFile(`${other}.manifest.json`, await readFile(manifest));
    expect((await failureOf(() => curate({ ...options, out: other }))).code).toBe('OUTPUT_EXISTS');
  });

  it('refuses to replace its own input, even by force', async () => {
    const options = await optionsFor(random, { force: true });
    const failure = await failureOf(() => curate({ ...options, out: options.table }));
    expect(failure.code).toBe('INVALID_ARGUMENT');
  });

  it('says when no record fits into the token cap', async () => {
    const rule: CurateRule = { ...random, tokensPerUser: 1 };
    expect(
      (await failureOf(async () => curate(await optionsFor(rule, { tokenizer: byteTokenizer })))).code,
    ).toBe('INVALID_DATA');
  });

  it('stops when told to and leaves nothing behind', async () => {
    const stages: string[] = [];
    const stop = new AbortController();
    const options = await optionsFor(random, {
      signal: stop.signal,
      onProgress: stage => {
        stages.push(stage);
        if (stage === 'write') stop.abort();
      },
    });
    expect((await failureOf(() => curate(options))).code).toBe('INTERRUPTED');
    expect([...new Set(stages)]).toEqual(['hash', 'read', 'validate', 'select', 'write']);
    expect(readdirSync(folder)).not.toContain(options.out.slice(folder.length + 1));
    expect(partials()).toEqual([]);
  });

  it('counts what policies dropped', async () => {
    const table = await input(
      tableOfColumns({
        user: texts(['a', null, 'a', 'b']),
        id: texts(['1', '2', '1', '1']),
        text: texts(['p', 'q', 'r', 's']),
      }),
    );
    const options = await optionsFor(random, {
      table,
      columns: { user: 'user', id: 'id', text: 'text' },
      nullUsers: 'drop',
      duplicates: 'keep-first',
    });
    const result = await curate(options);
    expect(result).toMatchObject({
      recordsIn: 4,
      recordsKept: 2,
      users: 2,
      dropped: { nullUsers: 1, duplicates: 1 },
    });
  });
});

describe('verifyManifest()', () => {
  it('fails on a tampered, exchanged, or missing output, and on a changed input', async () => {
    const options = await optionsFor(random);
    const { manifest, out } = await curate(options);
    const failing = async (): Promise<string[]> => {
      const { checks, holds } = await verifyManifest(manifest);
      expect(holds).toBe(checks.every(check => check.holds));
      return checks.filter(check => !check.holds).map(({ name }) => name);
    };
    const whole = await readFile(out);
    const flipped = Buffer.from(whole);
    flipped[flipped.indexOf('née')]! ^= 1;
    await writeFile(out, flipped);
    expect(await failing()).toEqual(['output SHA-256']);
    const uncapped = await curate({
      ...options,
      out: join(folder, 'uncapped.arrow'),
      rule: { ...random, recordsPerUser: 30 },
    });
    await writeFile(out, await readFile(uncapped.out));
    expect(await failing()).toEqual([
      'output size',
      'output SHA-256',
      'output rows',
      'records kept',
      'digest of kept ids',
      'maximum per user',
      'records per user',
    ]);
    await writeFile(out, whole);
    expect(await failing()).toEqual([]);
    await writeFile(options.table, whole);
    expect(await failing()).toEqual(['input 1 size', 'input 1 SHA-256']);
    expect((await verifyManifest(manifest, { inputs: false })).holds).toBe(true);
    await writeFile(out, '');
    expect(await failing()).toContain('output content');
  });

  it('fails a manifest that claims another cap or digest', async () => {
    const { manifest } = await curate(await optionsFor(random));
    const text = await readFile(manifest, 'utf8');
    await writeFile(manifest, text.replace('"recordsPerUser": 3', '"recordsPerUser": 2'));
    expect(
      (await verifyManifest(manifest)).checks.filter(check => !check.holds).map(({ name }) => name),
    ).toEqual(['records per user']);
    await writeFile(manifest, text.replace(/"keptIds": "\w+"/, '"keptIds": "0"'));
    expect((await verifyManifest(manifest)).holds).toBe(false);
  });

  it('refuses what is no manifest', async () => {
    const path = join(folder, 'no.json');
    for (const [content, code] of [
      ['{', 'INVALID_DATA'],
      ['{}', 'INVALID_DATA'],
      ['[1]', 'INVALID_DATA'],
    ] as const) {
      await writeFile(path, content);
      expect((await failureOf(() => verifyManifest(path))).code).toBe(code);
    }
    expect((await failureOf(() => readManifest(join(folder, 'missing.json')))).code).toBe('MISSING_FILE');
  });
});

// Skipped only where there is no ../shared/data beside the checkout.
(hasShared ? describe : describe.skip)('curate() on the reference corpus', () => {
  it.each(['parquet', 'arrow', 'jsonl'])(
    'gives the golden digest from .%s and a maximum of k in the file',
    async extension => {
      const out = join(folder, `speeches-${extension}.parquet`);
      const result = await curate({
        table: sharedPath(`data/shakespeare-speeches.${extension}`),
        out,
        columns: { user: 'user', id: 'record_id', text: 'text' },
        rule: { strategy: 'longest', seed: '42', recordsPerUser: 5 },
      });
      expect(result).toMatchObject({
        users: 595,
        recordsIn: 14_274,
        recordsKept: 2285,
        maxPerUser: 5,
        digest: 'd1b9efbfd4e73195',
      });
      const counts = new Map<unknown, number>();
      for (const user of cells(await readTable(out), 'user')) counts.set(user, (counts.get(user) ?? 0) + 1);
      expect(Math.max(...counts.values())).toBe(5);
    },
  );
});
