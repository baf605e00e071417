import type { Data, Table } from 'apache-arrow';
import {
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetScan,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import { DpError } from '../../accounting/check.ts';
import { buildData } from './build.ts';
import { batchValues } from './parquet-cells.ts';
import { elementsOf } from './parquet-schema.ts';
import { fieldOf, physicalSchema } from './parquet-types.ts';
import { invalidFile, readFailure } from './source.ts';
import { batchRows, tableOf } from './take.ts';

/** Hands out INT96 timestamps as nanoseconds; every other value is physical already. */
const parsers = { timestampFromNanoseconds: (nanoseconds: bigint) => nanoseconds };

async function readColumns(path: string): Promise<Table> {
  const file = await asyncBufferFromFile(path);
  const metadata: FileMetaData = await parquetMetadataAsync(file, { geoparquet: false });
  const fields = parquetSchema(metadata).children.map(fieldOf);
  const stored = { ...metadata, schema: physicalSchema(metadata.schema) };
  const scan = await parquetScan({
    file,
    metadata: stored,
    compressors,
    parsers,
    utf8: false,
    geoparquet: false,
  });
  const columns: Data[][] = [];
  for (const field of fields) {
    const batches: Data[] = [];
    for (const { rowStart, rowEnd } of scan.ranges) {
      const values = await scan.readColumn({ column: field.name, rowStart, rowEnd });
      for (let at = 0; at < values.length; at += batchRows) {
        batches.push(buildData(field.type, values.slice(at, at + batchRows)));
      }
    }
    columns.push(batches);
  }
  return tableOf(fields, columns);
}

/**
 * Reads a Parquet file, column by column and row group by row group, so that files above 2 GiB pass. Types survive,
 * nested ones included; dictionary pages come out as plain columns.
 *
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where it is no Parquet or uses a type that Arrow lacks
 */
export async function readParquet(path: string): Promise<Table> {
  try {
    return await readColumns(path);
  } catch (error) {
    const failure = readFailure(path, error);
    if (failure instanceof DpError) throw failure;
    throw invalidFile(path, 'it is no readable Parquet file', 'Check its format and that it is whole', error);
  }
}

/**
 * Writes a Parquet file, one row group a batch, snappy; the same table gives the same bytes.
 *
 * Text columns carry no statistics: a minimum and a maximum would repeat users' text in the footer.
 *
 * @throws DpError `INVALID_DATA` for a type that Parquet lacks (durations, intervals, unions)
 */
export async function writeParquet(table: Table, path: string): Promise<void> {
  const { fields } = table.schema;
  const schema = [{ name: 'root', num_children: fields.length }, ...fields.flatMap(elementsOf)];
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema,
    createdBy: 'privacy-unit',
    statistics: false,
  });
  for (const batch of table.batches) {
    const columnData = fields.map(({ name }, index) => ({
      name,
      data: batchValues(batch.data.children[index]!),
    }));
    await writer.write({ columnData, rowGroupSize: batch.numRows });
  }
  await writer.finish();
}
