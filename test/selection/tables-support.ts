import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { batchValues } from '../../selection/tables/parquet-cells.ts';
import type { BatchOptions, TableSource } from '../../selection/tables/table-source.ts';

const fixtures: unknown = JSON.parse(readFileSync(new URL('tables-fixtures.json', import.meta.url), 'utf8'));

/** Tables that pyarrow wrote, by name; see tables-fixtures.py. */
export const fixtureNames: readonly string[] = Object.keys(Object(fixtures));

export function fixtureBytes(name: string): Buffer {
  return Buffer.from(String(Reflect.get(Object(fixtures), name)), 'base64');
}

/** Lays a fixture into a folder and gives its path. */
export function fixture(folder: string, name: string): string {
  const path = join(folder, name);
  writeFileSync(path, fixtureBytes(name));
  return path;
}

/** The columns of a source as plain values, and how its batches were cut. */
export async function readAll(
  source: TableSource,
  options: BatchOptions = {},
): Promise<{ columns: Record<string, unknown[]>; places: [number, number, number][] }> {
  const columns: Record<string, unknown[]> = {};
  const places: [number, number, number][] = [];
  for await (const { batch, file, firstRow, rowInFile } of source.batches(options)) {
    places.push([file, firstRow, rowInFile]);
    for (const [index, { name }] of batch.schema.fields.entries())
      (columns[name] ??= []).push(...batchValues(batch.data.children[index]!));
  }
  return { columns, places };
}

/** What the fixtures hold, see tables-fixtures.py. */
export const fixtureColumns: Readonly<Record<string, unknown[]>> = {
  user: ['ada', null, 'bo', 'grandpré of the long name', 'ada', '', 'cy', 'ada'],
  text: ['x', 'é\n😀', null, '', 'a text that is longer than twelve bytes', 'y', 'z', 'w'],
  n: [1n, 2n, null, 4n, 5n, 6n, 7n, -8n],
  tags: [['p', null], [], null, ['q'], ['r', 's'], [], ['t'], ['u']],
  pair: [1n, 2n, null, 4n, 5n, 6n, 7n, -8n].map(n => (n === null ? null : { a: n, b: String(n) })),
};
