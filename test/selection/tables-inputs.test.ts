import { existsSync, readdirSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { expandInputs } from '../../selection/tables/expand.ts';
import { spoolInput } from '../../selection/tables/spool.ts';
import { openTables } from '../../selection/tables/table-source.ts';
import { failureOf, temporaryFolder } from './fixtures.ts';
import { fixtureBytes, fixtureColumns, readAll } from './tables-support.ts';

const folder = temporaryFolder();

async function lay(name: string, files: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await mkdir(path, { recursive: true });
  for (const file of files) {
    await mkdir(join(path, file, '..'), { recursive: true });
    await writeFile(join(path, file), 'x');
  }
  return path;
}

async function names(base: string, inputs: readonly string[]): Promise<string[]> {
  return (await expandInputs(inputs)).map(path => path.slice(base.length + 1));
}

describe('expandInputs()', () => {
  it('sorts by code point, not by UTF-16 unit, and names each file once', async () => {
    const base = await lay('sorted', [
      'b.csv',
      'a10.csv',
      'a2.csv',
      'B.csv',
      '\uff01.csv',
      '\u{1f600}.csv',
      'n.txt',
    ]);
    const sorted = ['B.csv', 'a10.csv', 'a2.csv', 'b.csv', '\uff01.csv', '\u{1f600}.csv'];
    expect(await names(base, [join(base, '*.csv'), join(base, 'b.csv'), base])).toEqual(sorted);
  });

  it('takes a file that exists literally, whatever its name', async () => {
    const base = await lay('literal', ['part[1].csv', 'part1.csv', 'a*.csv', 'ab.csv', '{x,y}.csv']);
    expect(await names(base, [join(base, 'part[1].csv')])).toEqual(['part[1].csv']);
    expect(await names(base, [join(base, 'a*.csv')])).toEqual(['a*.csv']);
    expect(await names(base, [join(base, '{x,y}.csv')])).toEqual(['{x,y}.csv']);
  });

  it('understands **, ?, classes and braces', async () => {
    const base = await lay('patterns', ['a1.jsonl', 'a2.jsonl', 'b1.csv', 'deep/er/a3.jsonl']);
    expect(await names(base, [join(base, '**/*.jsonl')])).toEqual([
      'a1.jsonl',
      'a2.jsonl',
      'deep/er/a3.jsonl',
    ]);
    expect(await names(base, [join(base, '?1.*')])).toEqual(['a1.jsonl', 'b1.csv']);
    expect(await names(base, [join(base, 'a[2-9].jsonl')])).toEqual(['a2.jsonl']);
    expect(await names(base, [join(base, '{b1.csv,a1.jsonl}')])).toEqual(['a1.jsonl', 'b1.csv']);
  });

  it('takes the tables that lie directly in a folder', async () => {
    const base = await lay('folder', [
      'a.parquet',
      'b.pq',
      '_SUCCESS',
      '.hidden.csv',
      'readme.md',
      'deep/c.csv',
    ]);
    expect(await names(base, [base])).toEqual(['a.parquet', 'b.pq']);
    const failure = await failureOf(async () => expandInputs([await lay('none', ['readme.md'])]));
    expect(failure.code).toBe('MISSING_FILE');
  });

  it('takes a file once that has two names', async () => {
    const base = await lay('links', ['a.csv']);
    await symlink(join(base, 'a.csv'), join(base, 'b.csv'));
    expect(await names(base, [base])).toEqual(['a.csv']);
  });

  it('refuses a pattern that matches nothing, and a file that is missing', async () => {
    const base = await lay('missing', ['a.csv']);
    for (const input of ['*.jsonl', 'gone.csv']) {
      const failure = await failureOf(() => expandInputs([join(base, 'a.csv'), join(base, input)]));
      expect(failure.code).toBe('MISSING_FILE');
      expect(failure.message).toContain(input);
    }
  });
});

describe('spoolInput()', () => {
  it.each([
    ['plain.arrows', 'arrow'],
    ['plain.arrow', 'arrow'],
    ['snappy.parquet', 'parquet'],
  ])('keeps %s in a file that can be read twice, and removes it', async (name, format) => {
    const spooled = await spoolInput(Readable.from([fixtureBytes(name)]), { folder });
    expect(spooled.format).toBe(format);
    const source = await openTables([spooled.path], { format: spooled.format });
    for (let pass = 0; pass < 2; pass++) expect((await readAll(source)).columns).toEqual(fixtureColumns);
    await spooled.cleanup();
    expect(existsSync(spooled.path)).toBe(false);
  });

  it.each([
    ['{"a":"x"}\n', 'jsonl'],
    ['\ufeff \n{"a":"x"}\n', 'jsonl'],
    ['a\nx\n', 'csv'],
    ['\ufeffa\nx\n', 'csv'],
  ])('tells what %j is', async (content, format) => {
    const spooled = await spoolInput([content.slice(0, 2), content.slice(2)], { folder });
    expect(spooled.format).toBe(format);
    const source = await openTables([spooled.path], { format: spooled.format });
    expect((await readAll(source)).columns).toEqual({ a: ['x'] });
    await spooled.cleanup();
  });

  it('wants to be told what is packed or empty, and leaves nothing behind', async () => {
    const before = readdirSync(folder);
    for (const content of [gzipSync('a\nx\n'), Buffer.alloc(0)]) {
      expect((await failureOf(() => spoolInput([content], { folder }))).code).toBe('INVALID_DATA');
    }
    expect(readdirSync(folder)).toEqual(before);
    const spooled = await spoolInput([gzipSync('a\nx\n')], { folder, format: 'csv' });
    const source = await openTables([spooled.path], { format: 'csv' });
    expect((await readAll(source)).columns).toEqual({ a: ['x'] });
    await spooled.cleanup();
  });

  it('says that the folder is no good, and removes the file where the stream fails', async () => {
    const missing = await failureOf(() => spoolInput(['a\n'], { folder: join(folder, 'nowhere') }));
    expect(missing.code).toBe('OUTPUT_FAILED');
    const before = readdirSync(folder);
    const broken = Readable.from(
      (function* () {
        yield 'a\n';
        throw new Error('the other end broke');
      })(),
    );
    await expect(spoolInput(broken, { folder })).rejects.toThrow('the other end broke');
    expect(readdirSync(folder)).toEqual(before);
  });
});
