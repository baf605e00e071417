import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { Dictionary, Int32, type Table, Utf8, vectorFromArray } from 'apache-arrow';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { textTable } from '../../selection/tables/index.ts';
import { writeSafely } from '../../selection/tables/output.ts';
import { openSink, openStreamSink } from '../../selection/tables/table-sink.ts';
import { collectTable, openTables } from '../../selection/tables/table-source.ts';
import { failureOf, int32, tableOfColumns, temporaryFolder, texts } from './fixtures.ts';
import { fixture, fixtureColumns, fixtureNames, readAll } from './tables-support.ts';

const folder = temporaryFolder();
let files = 0;

type Form = 'arrow' | 'arrows' | 'parquet';
const forms: readonly Form[] = ['arrow', 'arrows', 'parquet'];

function freshPath(form: Form): string {
  return join(folder, `out-${files++}.${form}`);
}

async function written(tables: readonly Table[], form: Form): Promise<string> {
  const path = freshPath(form);
  const format = form === 'parquet' ? 'parquet' : 'arrow';
  const sink = await openSink(path, { schema: tables[0]!.schema, format, isStream: form === 'arrows' });
  for (const { batches } of tables) for (const batch of batches) await sink.write(batch);
  await sink.finish();
  expect(sink.rows).toBe(tables.reduce((sum, { numRows }) => sum + numRows, 0));
  return path;
}

const names = fc.constantFrom('ada', 'bo', 'grandpré', '', '😀');

describe.each(forms)('openSink() as .%s', form => {
  it.each(fixtureNames.filter(name => !/^(delta|replaced|sliced)/.test(name)))(
    'writes what %s holds, and it reads back',
    async name => {
      const table = await collectTable(await openTables([fixture(folder, name)]));
      const path = await written([table], form);
      expect((await readAll(await openTables([path]))).columns).toEqual(fixtureColumns);
    },
  );

  it('joins the dictionaries of batches, leaves unused entries out, and keeps nulls', async () => {
    const type = new Dictionary(new Utf8(), new Int32());
    const cells = fc.array(fc.array(fc.option(names), { minLength: 1, maxLength: 5 }), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(cells, async batches => {
        const tables = batches.map(batch => {
          const all = vectorFromArray(['unused', ...batch], type);
          return tableOfColumns({ user: all.slice(1) });
        });
        const path = await written(tables, form);
        expect((await readAll(await openTables([path]))).columns).toEqual({ user: batches.flat() });
        expect((await readFile(path)).includes('unused')).toBe(false);
      }),
      { numRuns: 25 },
    );
  });

  it('gives the same bytes for the same batches', async () => {
    const table = await collectTable(await openTables([fixture(folder, 'dictionary.arrow')]));
    const [one, two] = [await written([table], form), await written([table], form)];
    expect((await readFile(one)).equals(await readFile(two))).toBe(true);
  });

  it('writes a table of 0 rows that reads back as one', async () => {
    const table = textTable({ user: [], text: [] });
    const source = await openTables([await written([table], form)]);
    expect(source.schema.names).toEqual(['user', 'text']);
    expect((await readAll(source)).places).toEqual([]);
  });

  it('cuts batches that are too large', async () => {
    const whole = tableOfColumns({ a: texts(Array.from({ length: 70_000 }, (_, i) => String(i))) });
    expect(whole.batches).toHaveLength(1);
    const lengths: number[] = [];
    const source = await openTables([await written([whole], form)]);
    for await (const { batch } of source.batches()) lengths.push(batch.numRows);
    expect(lengths).toEqual([65_536, 4464]);
  });

  it('refuses a batch of another schema, and says what differs', async () => {
    const path = freshPath(form);
    const { schema } = tableOfColumns({ a: texts(['x']), b: int32([1]) });
    const format = form === 'parquet' ? 'parquet' : 'arrow';
    const sink = await openSink(path, { schema, format, isStream: form === 'arrows' });
    const others: [Table, string][] = [
      [tableOfColumns({ a: texts(['x']) }), '1 columns, not 2'],
      [tableOfColumns({ a: texts(['x']), c: int32([1]) }), '"c", not "b"'],
      [tableOfColumns({ a: texts(['x']), b: texts(['y']) }), 'Utf8, not Int32'],
    ];
    for (const [{ batches }, reason] of others) {
      const failure = await failureOf(() => sink.write(batches[0]!));
      expect(failure.code).toBe('INVALID_DATA');
      expect(failure.message).toContain(reason);
    }
    await sink.abort();
    await sink.abort();
  });
});

describe('openSink()', () => {
  it('says that the folder is no good', async () => {
    const { schema } = textTable({ a: ['x'] });
    const failure = await failureOf(() =>
      openSink(join(folder, 'no', 'a.arrow'), { schema, format: 'arrow' }),
    );
    expect(failure.code).toBe('OUTPUT_FAILED');
  });

  it.skipIf(!existsSync('/dev/full')).each(['arrow', 'parquet'] as const)(
    'says that the disk is full, as %s',
    async format => {
      const table = textTable({ a: ['x'] });
      const sink = await openSink('/dev/full', { schema: table.schema, format });
      const failure = await failureOf(async () => {
        await sink.write(table.batches[0]!);
        await sink.finish();
      });
      await sink.abort();
      expect(failure.code).toBe('OUTPUT_FAILED');
      expect(failure.message).toContain('ENOSPC');
    },
  );

  it('leaves nothing behind where writing fails inside writeSafely()', async () => {
    const path = join(folder, 'never.arrow');
    const failure = await failureOf(() =>
      writeSafely(path, { force: false }, async temporary => {
        const { schema, batches } = textTable({ a: ['x'] });
        const sink = await openSink(temporary, { schema, format: 'arrow' });
        try {
          await sink.write(batches[0]!);
          await sink.write(textTable({ b: ['x'] }).batches[0]!);
          await sink.finish();
        } finally {
          await sink.abort();
        }
      }),
    );
    expect(failure.code).toBe('INVALID_DATA');
    expect(existsSync(path)).toBe(false);
  });
});

describe('openStreamSink()', () => {
  it('writes an Arrow stream and leaves the stream open', async () => {
    const out = new PassThrough();
    const chunks: Buffer[] = [];
    out.on('data', (chunk: Buffer) => chunks.push(chunk));
    const { schema, batches } = textTable({ a: ['x', 'y'] });
    const sink = openStreamSink(out, { schema });
    for (const batch of batches) await sink.write(batch);
    await sink.finish();
    expect(out.writableEnded).toBe(false);
    const path = freshPath('arrows');
    await writeFile(path, Buffer.concat(chunks));
    expect((await readAll(await openTables([path]))).columns).toEqual({ a: ['x', 'y'] });
  });

  it('waits for a slow reader instead of holding what it cannot take', async () => {
    const out = new PassThrough({ highWaterMark: 16 });
    const { schema, batches } = textTable({ a: ['x'.repeat(100)] });
    const sink = openStreamSink(out, { schema });
    let isTaken = false;
    const writing = sink.write(batches[0]!).then(() => {
      isTaken = true;
    });
    await new Promise(resolve => {
      setImmediate(resolve);
    });
    expect(isTaken).toBe(false);
    out.resume();
    await writing;
    expect(isTaken).toBe(true);
  });

  it('says that the reader has gone', async () => {
    const out = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
    });
    const { schema, batches } = textTable({ a: ['x'] });
    const sink = openStreamSink(out, { schema, name: 'the pipe' });
    const failure = await failureOf(async () => {
      for (let i = 0; i < 3; i++) await sink.write(batches[0]!);
      await sink.finish();
    });
    expect(failure.code).toBe('OUTPUT_FAILED');
    expect(failure.message).toContain('Cannot write the pipe: EPIPE');
  });
});
