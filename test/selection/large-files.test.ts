import { mkdtempSync, rmSync, statfsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Data, Field, Int32, RecordBatch, Schema, Struct, type Table, Utf8 } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { selectRows } from '../../selection/cap.ts';
import { curate } from '../../selection/curate.ts';
import { readRecords } from '../../selection/records.ts';
import { buildData } from '../../selection/tables/build.ts';
import { readTable } from '../../selection/tables/index.ts';
import { openSink } from '../../selection/tables/table-sink.ts';
import { int32, tableOfColumns, texts } from './fixtures.ts';

const neededBytes = 6e9;
const { bavail, bsize } = statfsSync(tmpdir());
const hasRoom = bavail * bsize >= neededBytes;
if (!hasRoom)
  console.log(
    'The tests of large files are skipped: less than 6 GB are free in the folder for temporary files.',
  );

const suite = hasRoom ? describe : describe.skip;

const batches = 46;
const rowsPerBatch = 3000;
const userCount = 1500;
const textBytes = 16_000;
const total = batches * rowsPerBatch;
const firstOfLast = total - rowsPerBatch;

/** The last batch has texts of its own, a little longer for the first row of each user in it. */
function textOf(row: number): string {
  const place = row % rowsPerBatch;
  const isLast = row >= firstOfLast;
  const length = isLast && place < userCount ? textBytes + 9 : textBytes;
  return `né ${isLast ? 'late' : 'early'} ${place} `.padEnd(length, 'x');
}

/** The same bytes for each batch but the last. */
function textsOf(firstRow: number): Data {
  return buildData(
    new Utf8(),
    Array.from({ length: rowsPerBatch }, (_, place) => textOf(firstRow + place)),
  );
}

const schema = new Schema([
  new Field('user', new Utf8(), false),
  new Field('id', new Int32(), false),
  new Field('text', new Utf8(), false),
]);

async function writeLarge(path: string, isStream: boolean): Promise<void> {
  const users = buildData(
    new Utf8(),
    Array.from({ length: rowsPerBatch }, (_, place) => `user ${place % userCount}`),
  );
  const sink = await openSink(path, { schema, format: 'arrow', isStream });
  let text = textsOf(0);
  for (let first = 0; first < total; first += rowsPerBatch) {
    if (first === firstOfLast) text = textsOf(first);
    const id = buildData(
      new Int32(),
      Int32Array.from({ length: rowsPerBatch }, (_, place) => first + place),
    );
    const data = new Data(new Struct(schema.fields), 0, rowsPerBatch, 0, {}, [users, id, text]);
    await sink.write(new RecordBatch(schema, data));
  }
  await sink.finish();
}

/** Rows that the typed arrays keep, by users and ids alone. */
function expectedRows(rule: {
  strategy: 'random' | 'longest';
  recordsPerUser: number;
  seed: string;
}): number[] {
  const rows = Array.from({ length: total }, (_, row) => row);
  const table = tableOfColumns({ user: texts(rows.map(row => `user ${row % userCount}`)), id: int32(rows) });
  const records = readRecords(table, { user: 'user', id: 'id', file: 'narrow' });
  const isLonger = (row: number): boolean => row >= firstOfLast && row % rowsPerBatch < userCount;
  const lengths = Int32Array.from(rows, row => (isLonger(row) ? textBytes + 9 : textBytes));
  return Array.from(selectRows(records, rule, { lengths }));
}

function idsOf(table: Table): number[] {
  return Array.from(table.getChild('id')!, Number);
}

suite('files above 2 GiB', () => {
  it.each([
    ['an Arrow file', 'arrow', 'longest', 2],
    ['an Arrow stream', 'arrows', 'random', 1],
  ] as const)('are selected from %s within 256 MB, to their far end', async (_, extension, strategy, k) => {
    const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-large-'));
    try {
      const path = join(folder, `large.${extension}`);
      await writeLarge(path, extension === 'arrows');
      expect(statSync(path).size).toBeGreaterThan(2 ** 31);
      const rule = { strategy, recordsPerUser: k, seed: '42' };
      const text = strategy === 'longest' ? { text: 'text' } : {};
      const out = join(folder, 'kept.arrow');
      const columns = { user: 'user', id: 'id', ...text };
      const result = await curate({
        table: path,
        out,
        columns,
        rule,
        memory: 2 ** 28,
        temporaryFolder: folder,
      });
      expect([result.recordsIn, result.recordsKept]).toEqual([total, k * userCount]);
      const kept = await readTable(out);
      const ids = idsOf(kept);
      expect(ids).toEqual(expectedRows(rule));
      expect(ids.some(id => id >= firstOfLast)).toBe(true);
      const keptTexts = kept.getChild('text')!;
      for (const [row, id] of ids.entries())
        if (keptTexts.get(row) !== textOf(id)) throw new Error(`row ${row} has the text of another`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
