import { DpError } from '../../accounting/check.ts';
import { isObject, isTextRecord, parseJson, repeatedKey, type JsonObject } from './json.ts';

/** Where one tensor lies; `start` and `end` count bytes from the beginning of the data. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** What a safetensors file says of itself. */
export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Bytes of one value, for the types whose values are whole bytes. */
const widths: Readonly<Record<string, number>> = Object.fromEntries([
  ...['BOOL', 'U8', 'I8', 'F8_E4M3', 'F8_E5M2', 'F8_E8M0'].map(type => [type, 1]),
  ...['U16', 'I16', 'F16', 'BF16'].map(type => [type, 2]),
  ...['U32', 'I32', 'F32'].map(type => [type, 4]),
  ...['U64', 'I64', 'F64', 'C64'].map(type => [type, 8]),
]);

/** The error for a file that is not what it should be. */
export function unreadable(path: string, reason: string): DpError {
  return new DpError('INVALID_DATA', `Cannot read ${path}: ${reason}. Give a whole safetensors file.`);
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(item => Number.isSafeInteger(item) && item >= 0);
}

function entryOf(name: string, value: unknown): TensorEntry | undefined {
  if (!isObject(value)) return undefined;
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !isCounts(shape) || !isCounts(offsets)) return undefined;
  const [start, end] = offsets;
  if (start === undefined || end === undefined || offsets.length !== 2) return undefined;
  return { name, dtype, shape, start, end };
}

/**
 * Reads the JSON header of a safetensors file. Tensors must lie one after the other without holes and fill the
 * file to its last byte, as the format demands: then no two share a byte.
 *
 * @param options - dataLength: bytes after the header
 * @throws DpError `INVALID_DATA`
 */
export function parseSafetensorsHeader(
  text: string,
  options: { path: string; dataLength: number },
): SafetensorsHeader {
  const { path } = options;
  const header = parseJson(text);
  if (!isObject(header)) throw unreadable(path, `its header of ${text.length} characters is no JSON object`);
  const repeated = repeatedKey(text);
  if (repeated !== undefined) throw unreadable(path, `its header has ${JSON.stringify(repeated)} twice`);
  const { __metadata__: metadata = {}, ...described } = header;
  if (!isTextRecord(metadata)) throw unreadable(path, 'its __metadata__ holds more than texts');
  const entries = entriesOf(described, path);
  checkLayout([...entries.values()], options);
  return { entries, metadata };
}

function entriesOf(described: JsonObject, path: string): Map<string, TensorEntry> {
  const entries = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(described)) {
    const entry = entryOf(name, value);
    if (entry === undefined) throw unreadable(path, `its header describes ${name} wrongly`);
    entries.set(name, entry);
  }
  return entries;
}

function checkLayout(
  entries: readonly TensorEntry[],
  { path, dataLength }: { path: string; dataLength: number },
): void {
  let reached = 0;
  for (const entry of [...entries].sort((a, b) => a.start - b.start || a.end - b.end)) {
    checkSize(entry, path);
    const { name, start, end } = entry;
    const claim = `${name} claims the bytes ${start} to ${end}`;
    if (end > dataLength) throw unreadable(path, `${claim}, of ${dataLength}`);
    if (start < reached) throw unreadable(path, `${claim}, those before ${reached} are taken`);
    if (start > reached) throw unreadable(path, `the bytes ${reached} to ${start} belong to no tensor`);
    reached = end;
  }
  if (reached === dataLength) return;
  throw unreadable(path, `the bytes ${reached} to ${dataLength} belong to no tensor`);
}

function checkSize({ name, dtype, shape, start, end }: TensorEntry, path: string): void {
  const width = widths[dtype];
  if (width === undefined) throw unreadable(path, `${name} has the unknown type ${dtype}`);
  const count = shape.reduce((product, extent) => product * extent, 1);
  if (end - start === count * width) return;
  throw unreadable(path, `${name} claims the bytes ${start} to ${end} for ${count} values of type ${dtype}`);
}
