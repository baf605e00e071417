import { appendFileSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { curate, type CurateOptions } from '../../selection/curate.ts';
import { readManifest } from '../../selection/manifest.ts';
import { surveyTables } from '../../selection/survey.ts';
import { readTable, textTable, writeTable } from '../../selection/tables/index.ts';
import { verifyManifest } from '../../selection/verify.ts';
import { failureOf, temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();
const columns = { user: 'user', id: 'id', text: 'text' };
const rule = { strategy: 'random', seed: '42', recordsPerUser: 2 } as const;

interface Row {
  readonly user: string | null;
  readonly id: string;
  readonly text: string;
}

function rowsFrom(first: number, count: number): Row[] {
  return Array.from({ length: count }, (_, i) => {
    const n = first + i;
    return { user: `u${n % 5}`, id: `r${n}`, text: `text ${n} ${'ö'.repeat(n % 4)}` };
  });
}

/** A fresh folder, so that what is left behind shows. */
function place(): string {
  return mkdtempSync(join(folder, 'place-'));
}

function jsonl(path: string, rows: readonly Row[]): string {
  writeFileSync(path, rows.map(row => `${JSON.stringify(row)}\n`).join(''));
  return path;
}

async function arrow(path: string, rows: readonly Row[]): Promise<string> {
  const column = (name: keyof Row): string[] => rows.map(row => row[name] ?? '');
  await writeTable(textTable({ user: column('user'), id: column('id'), text: column('text') }), path);
  return path;
}

function optionsIn(at: string, more: Partial<CurateOptions> = {}): CurateOptions {
  return { table: at, out: join(at, 'out.arrow'), columns, rule, ...more };
}

async function* piecesOf(path: string): AsyncGenerator<Uint8Array> {
  yield readFileSync(path);
}

function collector(): { stream: Writable; readonly bytes: () => Buffer } {
  const pieces: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      pieces.push(chunk);
      done();
    },
  });
  return { stream, bytes: () => Buffer.concat(pieces) };
}

describe('curate() of many files', () => {
  it('keeps what one file of all rows would have kept, and lists every input', async () => {
    const at = place();
    const all = rowsFrom(0, 40);
    jsonl(join(at, 'b.jsonl'), all.slice(25));
    jsonl(join(at, 'a.jsonl'), all.slice(0, 25));
    const whole = await curate(optionsIn(place(), { table: await arrow(join(place(), 'all.arrow'), all) }));
    for (const table of [join(at, '*.jsonl'), [join(at, 'b.jsonl'), join(at, 'a.jsonl')], at]) {
      const { digest, manifest, recordsIn } = await curate(
        optionsIn(at, { table, out: join(place(), 'o.arrow') }),
      );
      expect([digest, recordsIn]).toEqual([whole.digest, 40]);
      const { inputs } = await readManifest(manifest);
      expect(inputs.map(({ path }) => path.split('/').at(-1))).toEqual(['a.jsonl', 'b.jsonl']);
      expect(
        inputs.every(({ kind, sha256, bytes }) => kind === 'file' && sha256?.length === 64 && bytes! > 0),
      ).toBe(true);
      expect((await verifyManifest(manifest)).holds).toBe(true);
    }
  });

  it.each(['builtin', 'duckdb'] as const)('numbers rows by file with %s', async engine => {
    const at = place();
    jsonl(join(at, 'a.jsonl'), rowsFrom(0, 3));
    jsonl(join(at, 'b.jsonl'), rowsFrom(3, 3));
    const cap = { ...rule, recordsPerUser: 10 };
    const { out } = await curate(optionsIn(at, { engine, rule: cap, columns: { user: 'user', id: null } }));
    const ids: unknown[] = (await readTable(out)).getChild('record_id')!.toJSON();
    expect(ids.map(String).sort()).toEqual([
      'a.jsonl:1',
      'a.jsonl:2',
      'a.jsonl:3',
      'b.jsonl:1',
      'b.jsonl:2',
      'b.jsonl:3',
    ]);
  });

  it('numbers rows by file for random chunks as well, which read the table whole', async () => {
    const at = place();
    jsonl(join(at, 'a.jsonl'), rowsFrom(0, 3));
    jsonl(join(at, 'b.jsonl'), rowsFrom(3, 3));
    const tokenizer = {
      name: 'bytes',
      hash: 'none',
      encode: (text: string) => Int32Array.from(Buffer.from(text)),
      decode: (ids: Int32Array) => Buffer.from(Uint8Array.from(ids)).toString(),
    };
    const chunks = { ...rule, strategy: 'random-chunk', chunkTokens: 4, recordsPerUser: 50 } as const;
    const asked = { rule: chunks, tokenizer, columns: { user: 'user', id: null, text: 'text' } };
    const { out } = await curate(optionsIn(at, asked));
    const ids: unknown[] = (await readTable(out)).getChild('record_id')!.toJSON();
    for (const id of ids) expect(String(id)).toMatch(/^[ab]\.jsonl:[123]#\d+$/);
  });

  it('names the file and its row where a fault is', async () => {
    const at = place();
    jsonl(join(at, 'a.jsonl'), rowsFrom(0, 3));
    jsonl(join(at, 'b.jsonl'), [...rowsFrom(3, 2), { user: null, id: 'secret', text: 'secret' }]);
    for (const engine of ['builtin', 'duckdb'] as const) {
      const { code, message } = await failureOf(() => curate(optionsIn(at, { engine })));
      expect(code).toBe('NULL_USER');
      expect(message).toContain('b.jsonl');
      expect(message).toMatch(/row 3\b/);
      expect(message).not.toContain('secret');
    }
    expect(readdirSync(at).sort()).toEqual(['a.jsonl', 'b.jsonl']);
  });

  it('refuses an output that is one of the inputs, and two schemas', async () => {
    const at = place();
    await arrow(join(at, 'a.arrow'), rowsFrom(0, 3));
    await arrow(join(at, 'b.arrow'), rowsFrom(3, 3));
    const failure = await failureOf(() => curate(optionsIn(at, { out: join(at, 'b.arrow'), force: true })));
    expect(failure.code).toBe('INVALID_ARGUMENT');
    await writeTable(textTable({ user: ['a'], id: ['1'] }), join(at, 'c.arrow'));
    const schema = await failureOf(() => curate(optionsIn(at)));
    expect(schema.code).toBe('INVALID_DATA');
    expect(schema.message).toContain('c.arrow');
    expect(readdirSync(at).sort()).toEqual(['a.arrow', 'b.arrow', 'c.arrow']);
  });

  it.each(['hash', 'read', 'validate', 'write'])(
    'notices a file that changes at "%s" and leaves nothing',
    async when => {
      const at = place();
      const path = jsonl(join(at, 'a.jsonl'), rowsFrom(0, 20));
      let isChanged = false;
      const onProgress = (stage: string): void => {
        if (stage !== when || isChanged) return;
        isChanged = true;
        appendFileSync(path, `${JSON.stringify(rowsFrom(100, 1)[0])}\n`);
      };
      const run = curate(optionsIn(at, { onProgress }));
      // Before the first byte is hashed a change is none.
      if (when === 'hash') expect((await run).recordsIn).toBe(21);
      else {
        const { code, message } = await failureOf(() => run);
        expect([code, message.includes('changed while it was read')]).toEqual(['INVALID_DATA', true]);
        expect(readdirSync(at)).toEqual(['a.jsonl']);
      }
    },
  );
});

describe('curate() of streams', () => {
  it('reads standard input and writes an Arrow stream after it is checked', async () => {
    const at = place();
    const path = jsonl(join(at, 'in.jsonl'), rowsFrom(0, 30));
    const whole = await curate(optionsIn(at, { table: path, out: join(place(), 'o.arrow') }));
    const { stream, bytes } = collector();
    const manifest = join(at, 'm.json');
    const asked = { table: '-', stdin: piecesOf(path), out: '-', stdout: stream, manifest };
    const result = await curate(optionsIn(at, asked));
    expect(result.digest).toBe(whole.digest);
    const saved = join(at, 'saved.arrows');
    writeFileSync(saved, bytes());
    expect((await readTable(saved)).numRows).toBe(result.recordsKept);
    expect((await readManifest(manifest)).inputs[0]).toMatchObject({ kind: 'standard-input', path: '-' });
    expect((await verifyManifest(manifest, { output: saved })).holds).toBe(true);
    expect((await verifyManifest(manifest)).holds).toBe(false);
  });

  it('writes no manifest for a stream unless asked, and nothing where a check fails', async () => {
    const at = place();
    const path = jsonl(join(at, 'in.jsonl'), [...rowsFrom(0, 3), rowsFrom(0, 1)[0]!]);
    const { stream, bytes } = collector();
    const failure = await failureOf(() => curate(optionsIn(at, { table: path, out: '-', stdout: stream })));
    expect([failure.code, bytes().length]).toEqual(['DUPLICATE_RECORD', 0]);
    const kept = await curate(
      optionsIn(at, { table: path, out: '-', stdout: stream, duplicates: 'keep-first' }),
    );
    expect(kept.manifest).toBe('');
    expect(readdirSync(at)).toEqual(['in.jsonl']);
  });

  it('refuses "-" beside other tables or without a stream', async () => {
    const at = place();
    for (const more of [{ table: ['-', 'x.csv'], stdin: piecesOf('x') }, { table: '-' }, { out: '-' }]) {
      expect((await failureOf(() => curate(optionsIn(at, more)))).code).toBe('INVALID_ARGUMENT');
    }
  });
});

describe('curate() policies', () => {
  it('counts rows that could not be read, by reason', async () => {
    const at = place();
    const path = jsonl(join(at, 'in.jsonl'), rowsFrom(0, 10));
    appendFileSync(path, '{"user":"u1","id":"x","text":"a\\u0000b"}\nnonsense\n');
    expect((await failureOf(() => curate(optionsIn(at, { table: path })))).code).toBe('INVALID_DATA');
    const result = await curate(optionsIn(at, { table: path, onError: 'skip' }));
    expect(result).toMatchObject({ recordsIn: 10, skipped: { NUL: 1, 'invalid JSON': 1 } });
    const { policies, result: stored } = await readManifest(result.manifest);
    expect([policies.onError, stored.skipped]).toEqual(['skip', { NUL: 1, 'invalid JSON': 1 }]);
  });

  it('makes ways of writing a user one before it counts, the same with every engine', async () => {
    const at = place();
    const users = ['Ada', 'ada ', 'ADA', 'bo', 'bö', 'bo\u0308', ' ada'];
    const rows = users.map((user, i) => ({ user, id: `r${i}`, text: `t${i}` }));
    await arrow(join(at, 'in.arrow'), rows);
    await writeTable(await readTable(join(at, 'in.arrow')), join(at, 'in.parquet'));
    const plain = await curate(optionsIn(at, { table: join(at, 'in.arrow') }));
    expect([plain.users, plain.statistics.similarUsers]).toEqual([7, 6]);
    const digests = new Set<string>();
    for (const [file, engine] of [
      ['in.arrow', 'builtin'],
      ['in.arrow', 'duckdb'],
      ['in.parquet', 'builtin'],
      ['in.parquet', 'duckdb'],
    ] as const) {
      const out = join(place(), 'out.parquet');
      const userNormalize = ['lower', 'trim', 'nfc'] as const;
      const result = await curate(optionsIn(at, { table: join(at, file), engine, out, userNormalize }));
      expect([result.users, result.maxPerUser, result.statistics.similarUsers]).toEqual([3, 2, 0]);
      expect([...new Set((await readTable(out)).getChild('user')!.toJSON())]).toEqual(['ada', 'bo', 'bö']);
      expect((await readManifest(result.manifest)).policies.userNormalize).toEqual(userNormalize);
      digests.add(result.digest);
    }
    expect(digests.size).toBe(1);
  });

  it('counts ids that are nothing but white space as null users once they are trimmed', async () => {
    const at = place();
    const table = await arrow(join(at, 'in.arrow'), [...rowsFrom(0, 2), { user: '  ', id: 'x', text: 't' }]);
    const options = optionsIn(at, { table, userNormalize: ['trim'] });
    expect((await failureOf(() => curate(options))).code).toBe('NULL_USER');
    expect((await curate({ ...options, nullUsers: 'drop' })).dropped.nullUsers).toBe(1);
  });

  it('says so where no record has a user', async () => {
    const at = place();
    const table = jsonl(join(at, 'in.jsonl'), [{ user: '', id: '1', text: 't' }]);
    const failure = await failureOf(() => curate(optionsIn(at, { table, nullUsers: 'drop' })));
    expect([failure.code, failure.message.includes('no record has a user')]).toEqual(['INVALID_DATA', true]);
    expect(readdirSync(at)).toEqual(['in.jsonl']);
  });

  it('puts the cost of a private cap into the manifest and refuses one without a cost', async () => {
    const at = place();
    const table = jsonl(join(at, 'in.jsonl'), rowsFrom(0, 10));
    const origin = {
      kind: 'private',
      epsilon: 0.5,
      delta: 0,
      neighbours: 'add-or-remove',
      unit: 'user',
      mechanism: 'discrete Laplace histogram',
      release: 'a1',
    } as const;
    const choices = [{ name: 'records-per-user', origin }] as const;
    const { manifest, privacyCost } = await curate(optionsIn(at, { table, choices }));
    expect(privacyCost).toMatchObject([{ choices: ['records-per-user'], epsilon: 0.5, delta: 0 }]);
    expect((await readManifest(manifest)).privacyCost).toEqual(privacyCost);
    // oxlint-disable-next-line no-unsafe-type-assertion -- what untyped callers might pass
    const free = [{ name: 'top-users', origin: { kind: 'public' } }] as unknown as CurateOptions['choices'];
    const failure = await failureOf(() => curate(optionsIn(place(), { table, choices: free })));
    expect(failure.code).toBe('INVALID_ARGUMENT');
  });

  it.each(['builtin', 'duckdb'] as const)('names %s and its version in the manifest', async engine => {
    const at = place();
    const table = jsonl(join(at, 'in.jsonl'), rowsFrom(0, 10));
    const { manifest } = await curate(optionsIn(at, { table, engine }));
    const found = (await readManifest(manifest)).engine;
    expect(found.name).toBe(engine);
    expect(found.version).toMatch(/^v?\d+\.\d+\.\d+/);
  });

  it('refuses engines that cannot do what is asked, before anything is read', async () => {
    const url = 'clickhouse://localhost:1/mail/records';
    const cases: Partial<CurateOptions>[] = [
      { engine: 'clickhouse', table: 'x.csv' },
      { engine: 'duckdb', table: url },
      { table: [url, url] },
      { table: url, userNormalize: ['lower'] },
    ];
    for (const more of cases) {
      expect((await failureOf(() => curate(optionsIn(place(), more)))).code).toBe('INVALID_ARGUMENT');
    }
  });

  it('puts what does not fit where it is told and removes it', async () => {
    const at = place();
    const temporaryFolder = place();
    const table = await arrow(join(at, 'in.arrow'), rowsFrom(0, 5000));
    const seen = new Set<string>();
    const onProgress = (): void => readdirSync(temporaryFolder).forEach(name => seen.add(name));
    const small = await curate(optionsIn(at, { table, memory: 1024, temporaryFolder, onProgress }));
    const large = await curate(optionsIn(at, { table, force: true }));
    expect(small.digest).toBe(large.digest);
    expect(seen.size).toBe(1);
    expect([readdirSync(temporaryFolder), readdirSync(at).sort()]).toEqual([
      [],
      ['in.arrow', 'out.arrow', 'out.arrow.manifest.json'],
    ]);
  });
});

describe('surveyTables()', () => {
  it('counts, describes and writes nothing', async () => {
    const at = place();
    const users = ['Ada', 'ada', 'bo', 'bo'];
    const rows = users.map((user, i) => ({ user, id: `r${i}`, text: i < 2 ? 'the same' : `t${i}` }));
    const table = jsonl(join(at, 'in.jsonl'), [...rows, { user: null, id: 'x', text: 't' }]);
    const survey = await surveyTables({ table, columns, nullUsers: 'drop' });
    expect(survey).toMatchObject({
      notPrivate: true,
      recordsIn: 5,
      dropped: { nullUsers: 1, duplicates: 0 },
    });
    expect(survey.contributions).toEqual(
      new Map([
        [1, 2],
        [2, 1],
      ]),
    );
    const { userIds, duplicates, lengths } = survey.description!;
    expect(userIds).toMatchObject({ groups: 1, ids: 2, byMode: { lower: { ids: 2 }, trim: { ids: 0 } } });
    expect(duplicates!.identical.all).toMatchObject({ records: 2, compared: 4 });
    expect(lengths).toMatchObject({ count: 4, total: 20, maximum: 8 });
    expect(readdirSync(at)).toEqual(['in.jsonl']);
  });
});
