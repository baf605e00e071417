import { DataType, MetadataVersion, UnionMode } from 'apache-arrow';
import type { BufferRegion, FieldNode, RecordBatch as BatchHeader } from 'apache-arrow/ipc/metadata/message';

/** What of a batch header belongs to one column. */
export interface ColumnParts {
  readonly nodes: FieldNode[];
  readonly buffers: BufferRegion[];
  /** Buffers of text behind each column of views. */
  readonly viewCounts: number[];
  /** Place of the first buffer among those of the batch. */
  readonly firstBuffer: number;
}

interface Cursor {
  node: number;
  buffer: number;
  view: number;
}

function isView(type: DataType): boolean {
  return DataType.isUtf8View(type) || DataType.isBinaryView(type);
}

function hasOffsetsAndValues(type: DataType): boolean {
  return (
    DataType.isUtf8(type) ||
    DataType.isLargeUtf8(type) ||
    DataType.isBinary(type) ||
    DataType.isLargeBinary(type)
  );
}

function unionBuffers(type: { mode: UnionMode }, version: MetadataVersion): number {
  const own = type.mode === UnionMode.Dense ? 2 : 1;
  // Before format version 5 a union had a validity bitmap of its own.
  return version < MetadataVersion.V5 ? own + 1 : own;
}

/** Buffers of a type itself, without those of its children and behind its views (Arrow columnar format, "Buffer Listing for Each Layout"). */
function ownBuffers(type: DataType, version: MetadataVersion): number {
  if (DataType.isNull(type)) return 0;
  if (DataType.isUnion(type)) return unionBuffers(type, version);
  if (DataType.isStruct(type) || DataType.isFixedSizeList(type)) return 1;
  return hasOffsetsAndValues(type) ? 3 : 2;
}

function advance(
  type: DataType,
  cursor: Cursor,
  context: { header: BatchHeader; version: MetadataVersion },
): void {
  cursor.node += 1;
  cursor.buffer += ownBuffers(type, context.version);
  if (isView(type)) cursor.buffer += context.header.variadicBufferCounts[cursor.view++] ?? 0;
  if (DataType.isDictionary(type)) return;
  for (const child of type.children ?? []) advance(child.type, cursor, context);
}

/** Splits a batch header by column. */
export function partsOf(
  types: readonly DataType[],
  header: BatchHeader,
  version: MetadataVersion,
): ColumnParts[] {
  const cursor = { node: 0, buffer: 0, view: 0 };
  return types.map(type => {
    const start = { ...cursor };
    advance(type, cursor, { header, version });
    return {
      nodes: header.nodes.slice(start.node, cursor.node),
      buffers: header.buffers.slice(start.buffer, cursor.buffer),
      viewCounts: header.variadicBufferCounts.slice(start.view, cursor.view),
      firstBuffer: start.buffer,
    };
  });
}
