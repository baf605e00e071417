import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CompressionType,
  compressionRegistry,
  Dictionary,
  Int32,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  type Table,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { readTable } from '../../selection/tables/index.ts';
import { readRecords } from '../../selection/records.ts';
import { takeRows, textTable } from '../../selection/tables/take.ts';
import { tableOfColumns, temporaryFolder, texts } from './fixtures.ts';

const folder = temporaryFolder();

/** A frame of one block; a run of one byte is packed, anything else grows, and then the writer stores it plain. */
type Frame = (bytes: Uint8Array) => Uint8Array;

function isRun(bytes: Uint8Array): boolean {
  return bytes.length > 64 && bytes.every(byte => byte === bytes[0]);
}

/** A literal, a match that repeats it, and the five literals that end every block. */
function lz4Run(bytes: Uint8Array): number[] {
  const extended = bytes.length - 6 - 4 - 15;
  const lengths = [...Array.from({ length: Math.floor(extended / 255) }, () => 255), extended % 255];
  const [byte] = bytes;
  return [0x1f, byte!, 1, 0, ...lengths, 0x50, byte!, byte!, byte!, byte!, byte!];
}

const lz4Frame: Frame = bytes => {
  const block = isRun(bytes) ? lz4Run(bytes) : [...bytes];
  const size = Buffer.alloc(4);
  size.writeUInt32LE(isRun(bytes) ? block.length : (0x80000000 | block.length) >>> 0);
  return Buffer.concat([Buffer.from('04224d18604000', 'hex'), size, Uint8Array.from(block), Buffer.alloc(4)]);
};

/** RFC 8878: single segment, 4-byte content size, one block of type raw or run. */
const zstdFrame: Frame = bytes => {
  const head = Buffer.alloc(12);
  Buffer.from('28b52ffda0', 'hex').copy(head);
  head.writeUInt32LE(bytes.length, 5);
  head.writeUIntLE((bytes.length << 3) | (isRun(bytes) ? 3 : 1), 9, 3);
  return Buffer.concat([head, isRun(bytes) ? bytes.subarray(0, 1) : bytes]);
};

function userBatch(user: string): Table {
  return tableOfColumns({
    user: vectorFromArray([user, user], new Dictionary(new Utf8(), new Int32(), 7)),
    id: texts(['1', '2']),
  });
}

describe('readTable()', () => {
  it('tells users apart when a later dictionary replaces the first', async () => {
    const path = join(folder, 'replaced.arrows');
    const writer = new RecordBatchStreamWriter();
    for (const user of ['ada', 'bo']) writer.write(userBatch(user).batches[0]);
    writer.finish();
    await writeFile(path, writer);
    const table = await readTable(path);
    expect(table.batches).toHaveLength(2);
    const users = readRecords(table.slice(1, 3), { user: 'user', id: 'id', file: path });
    expect(Array.from(users.userOf, user => users.users[user])).toEqual(['ada', 'bo']);
    const taken = takeRows(table, Int32Array.of(3, 0));
    expect(taken.getChild('user')!.toJSON()).toEqual(['bo', 'ada']);
  });

  it.each([
    ['LZ4', CompressionType.LZ4_FRAME, lz4Frame],
    ['ZSTD', CompressionType.ZSTD, zstdFrame],
  ])('unpacks %s buffers', async (name, compressionType, frame) => {
    const path = join(folder, `${name}.arrow`);
    compressionRegistry.set(compressionType, { encode: frame });
    const rows = Array.from({ length: 50 }, (_, i) => 'a'.repeat(i));
    const writer = new RecordBatchFileWriter({ compressionType });
    writer.write(textTable({ text: rows }));
    writer.finish();
    await writeFile(path, writer);
    expect((await stat(path)).size).toBeLessThan(1225);
    expect((await readTable(path)).getChild('text')!.toJSON()).toEqual(rows);
  });
});
