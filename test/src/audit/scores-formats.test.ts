import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  Bool,
  type DataType,
  Decimal,
  Dictionary,
  Field,
  Float16,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  LargeUtf8,
  RecordBatchFileWriter,
  Schema,
  Table,
  tableToIPC,
  TimestampMillisecond,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTable } from '../../../selection/index.ts';
import { type ReadScores, readScores } from '../../../src/audit/scores-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-score-formats-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const { signal } = new AbortController();

let files = 0;
function read(bytes: string | Uint8Array, name = 'csv'): Promise<ReadScores> {
  files += 1;
  const path = join(folder, `${files}.${name}`);
  writeFileSync(path, bytes);
  return readScores(path, { signal });
}

interface PlainRow {
  readonly canary: string;
  readonly included: number;
  readonly score: number;
  readonly run?: string;
}

const decoder = new TextDecoder();

function plain({ scores }: ReadScores): PlainRow[] {
  const nameAt = ({ codes, bytes, offsets }: typeof scores.canary, row: number): string =>
    decoder.decode(bytes.subarray(offsets[codes[row]!], offsets[codes[row]! + 1]));
  return Array.from(scores.score, (score, row) => ({
    canary: nameAt(scores.canary, row),
    included: scores.included[row]!,
    score,
    ...(scores.run === undefined ? {} : { run: nameAt(scores.run, row) }),
  }));
}

const few: readonly PlainRow[] = [
  { canary: '7', included: 1, score: 3 },
  { canary: '8', included: 0, score: -2 },
  { canary: '9', included: 1, score: 0 },
];

describe('scores as CSV', () => {
  const text = 'canary,included,score\n7,1,3\n8,0,-2\n9,1,0\n';

  it.each([
    ['as it is', text],
    ['line ends of Windows', text.replaceAll('\n', '\r\n')],
    ['a byte order mark', `\ufeff${text}`],
    ['no last line end', text.trimEnd()],
    ['blank lines', text.replaceAll('\n', '\n\n')],
    ['quotes', text.replaceAll(/[^,\n]+/g, '"$&"')],
    ['spaces around', text.replace('canary,included', 'canary , included').replace(',1,3', ', 1 , 3 ')],
    ['words for included', text.replaceAll(',1,', ',True,').replace(',0,', ',no,')],
    ['floats for included', text.replaceAll(',1,', ',1.0,').replace(',0,', ',0.0,')],
    [
      'other spellings of numbers',
      text.replace(',3\n', ',+0.3e1\n').replace(',-2\n', ',-2.\n').replace(/,0\n$/, ',.0\n'),
    ],
    [
      'notes above, with quotes and commas',
      `# preregistered: {"k_plus":1,"k_minus":1}\r\n# delta: 1e-6\n${text}`,
    ],
  ])('%s', async (_, written) => {
    expect(plain(await read(written))).toEqual(few);
  });

  it('packed by gzip, and with tabs', async () => {
    expect(plain(await read(gzipSync(text), 'csv.gz'))).toEqual(few);
    expect(plain(await read(text.replaceAll(',', '\t'), 'tsv'))).toEqual(few);
  });

  it('reads the same rows however the file is cut into pieces', async () => {
    const name = fc
      .string({ minLength: 1, maxLength: 9, unit: 'grapheme' })
      .filter(text => !/\p{Surrogate}/u.test(text));
    const row = fc.record({
      canary: name,
      included: fc.constantFrom(0, 1),
      score: fc.double({ noNaN: true, noDefaultInfinity: true }),
      run: name,
    });
    const quoted = (cell: string): string => `"${cell.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 40 }), fc.boolean(), async (rows, isJson) => {
        const lines = rows.map(({ canary, included, score, run }) =>
          isJson
            ? JSON.stringify({ canary, included, score, run })
            : `${quoted(canary)},${included},${score},${quoted(run)}`,
        );
        const all = [...(isJson ? [] : ['canary,included,score,run_id']), ...lines].join('\n');
        const found = plain(await read(all, isJson ? 'jsonl' : 'csv'));
        // Neither writes -0.
        expect(found).toEqual(rows.map(each => ({ ...each, score: each.score + 0 })));
      }),
      { numRuns: 60 },
    );
  });

  it('reads files of many pieces, and names the line of a late fault', async () => {
    const rows = Array.from(
      { length: 120_000 },
      (_, row) => `a canary with a long name ${row},${row % 2},${row / 7}`,
    );
    const all = `# delta: 1e-6\ncanary,included,score\n${rows.join('\n')}\n`;
    const { scores, header } = await read(all);
    expect(header.delta).toBe(1e-6);
    expect(scores.canary.offsets).toHaveLength(120_001);
    expect(scores.score.at(-1)).toBe(119_999 / 7);
    await expect(read(`${all}last,1,x\n`)).rejects.toThrow('line 120003, column score');
  });

  it('stops where it is interrupted', async () => {
    const path = join(folder, 'interrupted.csv');
    writeFileSync(path, text);
    const stopped = readScores(path, { signal: AbortSignal.abort() });
    await expect(stopped).rejects.toThrow(expect.objectContaining({ code: 'INTERRUPTED' }));
  });
});

const names = ['7', '8', '9'];
const numbers = [7, 8, 9];
const bigNumbers = [7n, 8n, 9n];
const [flags, bigFlags] = [
  [1, 0, 1],
  [1n, 0n, 1n],
];
const [scores, bigScores] = [
  [3, -2, 0],
  [3n, -2n, 0n],
];

const canaryTypes: readonly [DataType, readonly unknown[]][] = [
  [new Utf8(), names],
  [new LargeUtf8(), names],
  [new Dictionary(new Utf8(), new Int8()), names],
  [new Dictionary(new Utf8(), new Int32()), names],
  [new Int8(), numbers],
  [new Uint32(), numbers],
  [new Int64(), bigNumbers],
  [new Uint64(), bigNumbers],
  [new Float64(), numbers],
];
const includedTypes: readonly [DataType, readonly unknown[]][] = [
  [new Bool(), [true, false, true]],
  [new Int8(), flags],
  [new Uint8(), flags],
  [new Int16(), flags],
  [new Int64(), bigFlags],
  [new Uint64(), bigFlags],
  [new Float32(), flags],
  [new Utf8(), ['true', '0', 'YES']],
  [new Dictionary(new Utf8(), new Int8()), ['True', 'False', 'True']],
];
const scoreTypes: readonly [DataType, readonly unknown[]][] = [
  [new Float64(), scores],
  [new Float32(), scores],
  [new Float16(), scores],
  [new Int8(), scores],
  [new Int16(), scores],
  [new Int32(), scores],
  [new Int64(), bigScores],
  [new Utf8(), ['3', '-2.0', '0']],
  [new Dictionary(new Float64(), new Int32()), scores],
  [new Dictionary(new Int32(), new Uint16()), scores],
];

type Columns = Readonly<Record<string, readonly [DataType, readonly unknown[]]>>;

const usual: Columns = {
  canary: [new Utf8(), names],
  included: [new Int8(), flags],
  score: [new Float64(), scores],
};

function tableOf(columns: Columns): Table {
  const vectors = Object.entries(columns).map(([name, [type, values]]) => [
    name,
    vectorFromArray(values, type),
  ]);
  return new Table(Object.fromEntries(vectors));
}

describe('scores as Arrow and Parquet', () => {
  it.each([
    ...canaryTypes.map(([type, values]) => ['canary', type, values] as const),
    ...includedTypes.map(([type, values]) => ['included', type, values] as const),
    ...scoreTypes.map(([type, values]) => ['score', type, values] as const),
  ])('%s as %s', async (name, type, values) => {
    const table = tableOf({ ...usual, [name]: [type, values] });
    expect(plain(await read(tableToIPC(table, 'file'), 'arrow'))).toEqual(few);
    expect(plain(await read(tableToIPC(table, 'stream'), 'arrows'))).toEqual(few);
  });

  it('in several batches, of which each may have a dictionary of its own', async () => {
    const parts = [0, 1, 2].map(row =>
      tableOf({
        ...usual,
        canary: [new Utf8(), [names[row]]],
        included: [new Int8(), [flags[row]]],
        score: [new Float64(), [scores[row]]],
      }),
    );
    const all = parts[0]!.concat(parts[1]!, parts[2]!);
    expect(all.batches).toHaveLength(3);
    expect(plain(await read(tableToIPC(all, 'file'), 'arrow'))).toEqual(few);
  });

  it('as Parquet', async () => {
    const path = join(folder, 'scores.parquet');
    await writeTable(tableOf(usual), path);
    expect(plain(await readScores(path, { signal }))).toEqual(few);
  });

  it.each([
    ['a score', { score: [new Float64(), [3, null, 0]] }, 'row 2, column score: there is no score'],
    [
      'a score of NaN',
      { score: [new Float64(), [3, -2, Number.NaN]] },
      'row 3, column score: the score is NaN',
    ],
    [
      'an infinite score',
      { score: [new Float32(), [Infinity, 1, 0]] },
      'row 1, column score: the score is infinite',
    ],
    ['a word', { score: [new Utf8(), ['1', 'x', '2']] }, 'row 2, column score: a word'],
    ['a flag', { included: [new Bool(), [true, null, false]] }, 'row 2, column included'],
    ['a flag of two', { included: [new Int8(), [1, 0, 2]] }, 'row 3, column included'],
    ['a name', { canary: [new Utf8(), ['a', null, 'b']] }, 'row 2, column canary: there is no name'],
    [
      'a name in a dictionary',
      { canary: [new Dictionary(new Utf8(), new Int8()), ['a', 'b', null]] },
      'row 3, column canary',
    ],
    ['times for scores', { score: [new TimestampMillisecond(), [1, 2, 3]] }, 'column score holds Timestamp'],
    [
      'decimals',
      { score: [new Decimal(2, 10, 128), [1, 2, 3].map(each => new Uint32Array([each, 0, 0, 0]))] },
      'column score holds Decimal',
    ],
    ['another column', { text: [new Utf8(), names] }, 'unknown column'],
  ] as [string, Columns, string][])('refuses a fault: %s', async (_, columns, message) => {
    const table = tableOf({ ...usual, ...columns });
    await expect(read(tableToIPC(table, 'file'), 'arrow')).rejects.toThrow(message);
  });

  it('refuses a table without rows', async () => {
    const fields = Object.entries(usual).map(([name, [type]]) => new Field(name, type));
    const empty = RecordBatchFileWriter.writeAll(new Table(new Schema(fields))).toUint8Array(true);
    await expect(read(empty, 'arrow')).rejects.toThrow('0 rows');
  });
});
