import { open } from 'node:fs/promises';
import { asyncBufferFromFile, type FileMetaData, parquetMetadataAsync } from 'hyparquet';
import { ByteWriter } from 'hyparquet-writer';
import { writeMetadata } from 'hyparquet-writer/src/metadata.js';
import { readExactly } from '../tables/random-access.ts';

/** A footer without the smallest and largest value of each column, which would repeat users' text. */
function withoutStatistics(metadata: FileMetaData): FileMetaData {
  const groups = metadata.row_groups.map(group => {
    const columns = group.columns.map(column => {
      if (column.meta_data === undefined) return column;
      const { statistics: _statistics, ...rest } = column.meta_data;
      return { ...column, meta_data: rest };
    });
    return { ...group, columns };
  });
  return { ...metadata, row_groups: groups, created_by: 'privacy-unit' };
}

/**
 * Takes the statistics out of a Parquet file that DuckDB wrote, which has no setting for that. Only the footer is
 * written anew; pages stay where they are.
 */
export async function stripStatistics(path: string): Promise<void> {
  const metadata = await parquetMetadataAsync(await asyncBufferFromFile(path), { geoparquet: false });
  const footer = new ByteWriter();
  writeMetadata(footer, withoutStatistics(metadata));
  // The footer ends with its own length; the magic number follows.
  footer.appendUint32(0x31524150);
  const handle = await open(path, 'r+');
  try {
    const { size } = await handle.stat();
    const end = Buffer.from(await readExactly(handle, { start: size - 8, length: 4 }));
    const start = size - 8 - end.readUInt32LE(0);
    const bytes = footer.getBytes();
    await handle.write(bytes, 0, bytes.length, start);
    await handle.truncate(start + bytes.length);
  } finally {
    await handle.close();
  }
}
