import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataType } from 'apache-arrow';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { columnTexts } from '../../selection/tables/cells.ts';
import { openTables } from '../../selection/tables/table-source.ts';
import { failureOf, temporaryFolder } from './fixtures.ts';
import { fixture, fixtureBytes, fixtureColumns, fixtureNames, readAll } from './tables-support.ts';

const folder = temporaryFolder();

const special = ['delta.arrow', 'delta.arrows', 'replaced.arrows', 'sliced.arrow'];
const usual = fixtureNames.filter(name => !special.includes(name));

async function read(name: string, columns?: readonly string[]): Promise<Record<string, unknown[]>> {
  const source = await openTables([fixture(folder, name)]);
  return (await readAll(source, { columns })).columns;
}

describe('openTables() on files of another writer', () => {
  it.each(usual)('reads every column of %s', async name => {
    expect(await read(name)).toEqual(fixtureColumns);
  });

  it.each(usual)('reads some columns of %s, in any order, as it reads them all', async name => {
    const source = await openTables([fixture(folder, name)]);
    const some = fc.shuffledSubarray(Object.keys(fixtureColumns), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(some, async columns => {
        const got = (await readAll(source, { columns })).columns;
        expect(Object.keys(got)).toEqual(columns);
        for (const column of columns) expect(got[column]).toEqual(fixtureColumns[column]);
      }),
      { numRuns: 12 },
    );
  });

  it('keeps the types of Arrow', async () => {
    const types = async (name: string): Promise<string[]> => {
      const { schema } = await openTables([fixture(folder, name)]);
      return schema.fields.slice(0, 2).map(({ type }) => String(type));
    };
    expect(await types('large.arrow')).toEqual(['LargeUtf8', 'LargeUtf8']);
    expect(await types('view-zstd.arrow')).toEqual(['Utf8View', 'Utf8View']);
    expect(await types('dictionary.arrow')).toEqual(['Dictionary<Int8, Utf8>', 'Utf8']);
    expect(await types('snappy.parquet')).toEqual(['Utf8', 'Utf8']);
  });

  it.each(['delta.arrow', 'delta.arrows'])('follows the growing dictionary of %s', async name => {
    expect(await read(name)).toEqual({ user: ['ada', 'bo', 'cy', 'ada', 'di', null] });
  });

  it('follows dictionaries that replace each other', async () => {
    expect(await read('replaced.arrows')).toEqual({ user: ['ada', 'bo', 'cy', 'ada', 'di', null] });
  });

  it('reads batches that were slices when they were written', async () => {
    const expected = Object.entries(fixtureColumns).map(([name, cells]) => [name, cells.slice(1, 6)]);
    expect(await read('sliced.arrow')).toEqual(Object.fromEntries(expected));
  });

  it.each(['snappy.parquet', 'groups.parquet', 'pages.parquet', 'fallback.parquet', 'plain.parquet'])(
    'hands out the dictionary of %s where asked, with the same texts',
    async name => {
      const source = await openTables([fixture(folder, name)]);
      const cells: (string | null)[] = [];
      const coded: boolean[] = [];
      for await (const { batch } of source.batches({ columns: ['user'], encoded: ['user'] })) {
        const column = batch.getChildAt(0)!;
        coded.push(DataType.isDictionary(column.type));
        cells.push(...columnTexts(column));
      }
      expect(cells).toEqual(fixtureColumns['user']);
      const mixed = name === 'plain.parquet' || name === 'fallback.parquet';
      expect(coded.every(Boolean)).toBe(!mixed);
    },
  );
});

describe('openTables() on damaged files', () => {
  const binary = fixtureNames.filter(name => !name.startsWith('old'));

  it.each(binary)('refuses %s cut short anywhere, or reads rows that it held', async name => {
    const bytes = fixtureBytes(name);
    const path = join(folder, `cut-${name}`);
    const whole = (await readAll(await openTables([fixture(folder, name)]))).columns;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: bytes.length - 1 }), async length => {
        await writeFile(path, bytes.subarray(0, length));
        try {
          // Only a stream may end early: its end mark is optional.
          const { columns } = await readAll(await openTables([path]));
          expect(name).toMatch(/arrows$/);
          for (const [column, cells] of Object.entries(columns))
            expect(cells).toEqual(whole[column]!.slice(0, cells.length));
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_DATA' });
        }
      }),
      { numRuns: 25 },
    );
  });

  it('says that a file is cut short', async () => {
    const path = join(folder, 'short.arrow');
    await writeFile(path, fixtureBytes('plain.arrow').subarray(0, -20));
    expect((await failureOf(() => openTables([path]))).message).toContain('it is cut short');
  });
});
