import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DataType, Table } from 'apache-arrow';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowSorter } from '../../selection/rows/row-sorter.ts';
import { takeRows, textTable } from '../../selection/tables/index.ts';
import { openSink } from '../../selection/tables/table-sink.ts';
import { collectTable, openTables } from '../../selection/tables/table-source.ts';
import { temporaryFolder, texts, tableOfColumns } from './fixtures.ts';
import { fixture, fixtureColumns, fixtureNames, readAll } from './tables-support.ts';

const folder = temporaryFolder();
let files = 0;

/** Everything in memory; a page of each stretch at a time; a stretch for nearly every row. */
const budgets = fc.constantFrom(1e9, 3000, 50);

function sorterFor(table: Table, options: { rows: number; budget: number; bytes?: number }): RowSorter {
  return new RowSorter(table.schema, { bytes: 1000, folder, ...options });
}

/** Rows by batch to the places that an order gives them. */
function appendAll(
  sorter: RowSorter,
  table: Table,
  { rows, order }: { rows: number[][]; order: number[] },
): void {
  const placeOf = Int32Array.from(order.keys()).sort((a, b) => order[a]! - order[b]!);
  let at = 0;
  for (const [b, batch] of table.batches.entries()) {
    const places = placeOf.subarray(at, at + rows[b]!.length);
    sorter.append(batch, { rows: Int32Array.from(rows[b]!), places });
    at += rows[b]!.length;
  }
}

/** Numbers of rows, over all batches, in the order in which they are appended. */
function numbered(table: Table, rows: number[][]): number[] {
  let first = 0;
  return rows.flatMap((mine, b) => {
    const start = first;
    first += table.batches[b]!.numRows;
    return mine.map(row => start + row);
  });
}

function choicesOf(table: Table): fc.Arbitrary<{ rows: number[][]; order: number[] }> {
  const rowsOf = (length: number): fc.Arbitrary<number[]> => fc.array(fc.nat(length - 1), { maxLength: 10 });
  return fc.tuple(...table.batches.map(({ numRows }) => rowsOf(numRows))).chain(rows => {
    const places = rows.flat().map((_, place) => place);
    const order = fc.shuffledSubarray(places, { minLength: places.length, maxLength: places.length });
    return fc.record({ rows: fc.constant(rows), order });
  });
}

describe('RowSorter', () => {
  it.each(fixtureNames.filter(name => !/^(delta|replaced|sliced)/.test(name)))(
    'gives back chosen rows of %s in any order, in memory and from the disk',
    async name => {
      const table = await collectTable(await openTables([fixture(folder, name)]));
      await fc.assert(
        fc.asyncProperty(choicesOf(table), budgets, async (choice, budget) => {
          const kept = numbered(table, choice.rows);
          const sorter = sorterFor(table, { rows: kept.length, budget });
          appendAll(sorter, table, choice);
          const path = join(folder, `sorted-${files++}.arrow`);
          const sink = await openSink(path, { schema: sorter.schema, format: 'arrow' });
          for (const batch of sorter.take()) await sink.write(batch);
          await sink.finish();
          sorter.close();
          const { columns } = await readAll(await openTables([path]));
          for (const [column, cells] of Object.entries(columns))
            expect(cells).toEqual(choice.order.map(place => fixtureColumns[column]![kept[place]!]));
        }),
        { numRuns: 12 },
      );
    },
  );

  it('reads slices of batches from where they start', async () => {
    const whole = await collectTable(await openTables([fixture(folder, 'plain.arrow')]));
    const table = whole.slice(1, whole.numRows);
    const order = Array.from({ length: table.numRows }, (_, place) => table.numRows - 1 - place);
    let first = 0;
    const rows = table.batches.map(({ numRows }) => Array.from({ length: numRows }, (_, row) => row));
    const sorter = sorterFor(table, { rows: table.numRows, budget: 200 });
    appendAll(sorter, table, { rows, order });
    const expected = takeRows(table, Int32Array.from(order)).toArray().map(String);
    for (const batch of sorter.take()) {
      const found = new Table([batch]).toArray().map(String);
      expect(found).toEqual(expected.slice(first, first + batch.numRows));
      first += batch.numRows;
    }
    expect(first).toBe(table.numRows);
    sorter.close();
  });

  it('tells entries of several dictionaries apart', async () => {
    const table = await collectTable(await openTables([fixture(folder, 'replaced.arrows')]));
    const sorter = sorterFor(table, { rows: 6, budget: 1e6 });
    const rows = table.batches.map(() => [1, 0]);
    appendAll(sorter, table, { rows, order: [0, 1, 2, 3, 4, 5] });
    const cells = [...sorter.take()].flatMap(batch => [...batch.getChild('user')!]);
    expect(cells).toEqual(['bo', 'ada', 'ada', 'cy', null, 'di']);
    sorter.close();
  });

  it('gives batches of at most 65536 rows, whatever the memory', () => {
    const table = textTable({ a: ['x', 'y'] });
    for (const budget of [1e9, 1e5]) {
      const sorter = sorterFor(table, { rows: 70_000, budget, bytes: 1e6 });
      const places = Int32Array.from({ length: 70_000 }, (_, place) => place);
      sorter.append(table.batches[0]!, { rows: new Int32Array(70_000).fill(1), places });
      expect([...sorter.take()].map(({ numRows }) => numRows)).toEqual([65_536, 4464]);
      sorter.close();
    }
  });

  it('holds a row that is larger than a page, and closes batches by bytes', () => {
    const long = 'x'.repeat(2 ** 20);
    const table = tableOfColumns({ a: texts(Array.from({ length: 40 }, (_, i) => `${i}${long}`)) });
    const sorter = sorterFor(table, { rows: 40, budget: 5000, bytes: 5e7 });
    const rows = Int32Array.from({ length: 40 }, (_, row) => row);
    sorter.append(table.batches[0]!, { rows, places: rows.toReversed() });
    const batches: { rows: number; first: string }[] = [];
    for (const batch of sorter.take())
      batches.push({ rows: batch.numRows, first: String(batch.getChild('a')!.get(0)).slice(0, 2) });
    expect(batches.reduce((sum, batch) => sum + batch.rows, 0)).toBe(40);
    expect(batches[0]).toEqual({ rows: 16, first: '39' });
    sorter.close();
  });

  it('keeps the types, and gives dictionaries Int32 indices', async () => {
    const { schema } = await openTables([fixture(folder, 'dictionary.arrow')]);
    const sorter = new RowSorter(schema, { rows: 0, bytes: 0, budget: 1e6, folder });
    const types = sorter.schema.fields.map(({ type }) => type);
    expect(String(types[0])).toBe('Dictionary<Int32, Utf8>');
    expect(types.slice(1).map(String)).toEqual(schema.fields.slice(1).map(({ type }) => String(type)));
    expect(DataType.isDictionary(types[0])).toBe(true);
    expect([...sorter.take()]).toEqual([]);
    sorter.close();
  });

  it('leaves nothing in the folder', () => {
    expect(readdirSync(folder).filter(name => name.startsWith('.privacy-unit'))).toEqual([]);
  });
});
