import type { ColumnMetaData, PageHeader, SchemaTree } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { decompressPage, readDataPage, readDataPageV2 } from 'hyparquet/src/datapage.js';
import { readRleBitPackedHybrid } from 'hyparquet/src/encoding.js';
import { compressors } from 'hyparquet-compressors';

/** A column of text or bytes that is no part of a list or struct. */
export interface FlatColumn {
  readonly metadata: ColumnMetaData;
  /** From the root to the column itself. */
  readonly path: readonly SchemaTree[];
}

/**
 * Values of a page, nulls left out: length-prefixed bytes that start at `start`, or one array a value, or places in
 * the dictionary.
 */
export type PageValues =
  | { readonly kind: 'plain'; readonly bytes: Uint8Array; readonly start: number }
  | { readonly kind: 'cells'; readonly cells: readonly Uint8Array[] }
  | { readonly kind: 'codes'; readonly codes: Int32Array };

export type Page =
  | { readonly kind: 'dictionary'; readonly count: number; readonly bytes: Uint8Array }
  | {
      readonly kind: 'data';
      readonly count: number;
      /** 1 where there is a value, 0 where there is null; undefined where all are values. */
      readonly levels: ArrayLike<number> | undefined;
      readonly values: PageValues;
    };

function isOptional({ path }: FlatColumn): boolean {
  return path.at(-1)!.element.repetition_type !== 'REQUIRED';
}

function unpack(column: FlatColumn, bytes: Uint8Array, length: number): Uint8Array {
  return decompressPage(bytes, length, column.metadata.codec, compressors);
}

function readerOf(bytes: Uint8Array): { view: DataView; offset: number } {
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
}

/** A page without its levels. */
interface PageBody {
  readonly count: number;
  readonly levels: Uint8Array | undefined;
  readonly bytes: Uint8Array;
  readonly start: number;
}

function bodyOf(column: FlatColumn, bytes: Uint8Array, header: PageHeader): PageBody {
  const { num_values: count } = header.data_page_header!;
  const page = unpack(column, bytes, header.uncompressed_page_size);
  if (!isOptional(column)) return { count, levels: undefined, bytes: page, start: 0 };
  const reader = readerOf(page);
  const levels = new Uint8Array(count);
  readRleBitPackedHybrid(reader, 1, levels);
  return { count, levels: levels.includes(0) ? levels : undefined, bytes: page, start: reader.offset };
}

function bodyOfV2(column: FlatColumn, bytes: Uint8Array, header: PageHeader): PageBody {
  const v2 = header.data_page_header_v2!;
  const { num_values: count, repetition_levels_byte_length: skipped } = v2;
  const levelBytes = skipped + v2.definition_levels_byte_length;
  const body = bytes.subarray(levelBytes);
  const page =
    v2.is_compressed === false ? body : unpack(column, body, header.uncompressed_page_size - levelBytes);
  if (v2.num_nulls === 0) return { count, levels: undefined, bytes: page, start: 0 };
  const levels = new Uint8Array(count);
  readRleBitPackedHybrid({ ...readerOf(bytes), offset: skipped }, 1, levels, levelBytes - skipped);
  return { count, levels, bytes: page, start: 0 };
}

function present(levels: Uint8Array | undefined, count: number): number {
  return levels === undefined ? count : levels.reduce((sum, level) => sum + level, 0);
}

function codesOf({ count, levels, bytes, start }: PageBody): Int32Array {
  const codes = new Int32Array(present(levels, count));
  const width = bytes[start] ?? 0;
  if (width === 0) return codes;
  const reader = { ...readerOf(bytes), offset: start + 1 };
  readRleBitPackedHybrid(reader, width, codes, bytes.length - reader.offset);
  return codes;
}

/** Pages in any other encoding go through the library's own reader, which hands out one array a value. */
function otherPage(column: FlatColumn, bytes: Uint8Array, header: PageHeader): Page {
  const { metadata, path } = column;
  const decoder = {
    pathInSchema: metadata.path_in_schema,
    element: path.at(-1)!.element,
    schemaPath: [...path],
    type: metadata.type,
    codec: metadata.codec,
    parsers: DEFAULT_PARSERS,
    compressors,
    utf8: false,
  };
  const v1 = header.data_page_header;
  const { definitionLevels, dataPage } =
    v1 === undefined
      ? readDataPageV2(bytes, header, decoder)
      : readDataPage(unpack(column, bytes, header.uncompressed_page_size), v1, decoder);
  const { num_values: count } = v1 ?? header.data_page_header_v2!;
  const levels =
    definitionLevels === undefined || definitionLevels.length === 0 ? undefined : definitionLevels;
  const cells = Array.from(dataPage).filter(cell => cell instanceof Uint8Array);
  return { kind: 'data', count, levels, values: { kind: 'cells', cells } };
}

function dataPage(column: FlatColumn, bytes: Uint8Array, header: PageHeader): Page {
  const v1 = header.data_page_header;
  const { encoding } = v1 ?? header.data_page_header_v2!;
  const isCoded = encoding === 'RLE_DICTIONARY' || encoding === 'PLAIN_DICTIONARY';
  if (encoding !== 'PLAIN' && !isCoded) return otherPage(column, bytes, header);
  const body = (v1 === undefined ? bodyOfV2 : bodyOf)(column, bytes, header);
  const { count, levels, bytes: page, start } = body;
  const values: PageValues = isCoded
    ? { kind: 'codes', codes: codesOf(body) }
    : { kind: 'plain', bytes: page, start };
  return { kind: 'data', count, levels, values };
}

/** The pages of one column chunk, unpacked one at a time. */
export function* pagesOf(column: FlatColumn, chunk: Uint8Array): Generator<Page> {
  const reader = readerOf(chunk);
  while (reader.offset < chunk.length - 1) {
    const header = parquetHeader(reader);
    const bytes = chunk.subarray(reader.offset, reader.offset + header.compressed_page_size);
    if (bytes.length < header.compressed_page_size) throw new RangeError('a page is cut short');
    reader.offset += header.compressed_page_size;
    if (header.type === 'DICTIONARY_PAGE') {
      const count = header.dictionary_page_header!.num_values;
      yield { kind: 'dictionary', count, bytes: unpack(column, bytes, header.uncompressed_page_size) };
    } else if (header.type === 'DATA_PAGE' || header.type === 'DATA_PAGE_V2') {
      yield dataPage(column, bytes, header);
    }
  }
}
