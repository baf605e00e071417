import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Table } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { readTable } from '../../selection/tables/index.ts';
import { failureOf, temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();
let files = 0;

async function read(content: string | Uint8Array): Promise<Table> {
  const path = join(folder, `${files++}.jsonl`);
  await writeFile(path, content);
  return readTable(path);
}

function cells(table: Table, name: string): unknown[] {
  return Array.from({ length: table.numRows }, (_, row) => table.getChild(name)!.get(row));
}

describe('readTable() on JSON lines', () => {
  it('gives every key a column of one type, null where a line lacks it', async () => {
    const table = await read(
      '{"a":"x","n":1}\n\n{"n":-2,"b":true,"f":1}\n{"a":null,"f":0.5,"b":false,"z":null}',
    );
    expect(table.schema.fields.map(field => `${field.name}: ${String(field.type)}`)).toEqual([
      'a: Utf8',
      'n: Int64',
      'b: Bool',
      'f: Float64',
      'z: Null',
    ]);
    expect(cells(table, 'a')).toEqual(['x', null, null]);
    expect(cells(table, 'n')).toEqual([1n, -2n, null]);
    expect(cells(table, 'b')).toEqual([null, true, false]);
    expect(cells(table, 'f')).toEqual([null, 1, 0.5]);
  });

  it('keeps lists and objects as lists and structs', async () => {
    const table = await read(
      '{"tags":["p","q"],"meta":{"by":"x","at":[1,2]}}\n{"tags":[],"meta":{"by":null}}\n{}',
    );
    expect(JSON.parse(JSON.stringify(cells(table, 'tags')))).toEqual([['p', 'q'], [], null]);
    expect(JSON.parse(JSON.stringify(cells(table, 'meta')))).toEqual([
      { by: 'x', at: [1, 2] },
      { by: null, at: null },
      null,
    ]);
  });

  it('takes a byte order mark, CRLF, escapes, and gzip', async () => {
    const content = '\ufeff{"a":"x"}\r\n{"a":"\\u00e9\\ud83d\\ude00\\n"}\r\n';
    const expected = ['x', 'é😀\n'];
    expect(cells(await read(content), 'a')).toEqual(expected);
    expect(cells(await read(gzipSync(content)), 'a')).toEqual(expected);
  });

  it('keeps types and nulls across batches, for keys that come early, late, or never again', async () => {
    const lines = Array.from({ length: 140_000 }, (_, i) => {
      const late = i > 70_000 ? { late: i, text: `t${i}` } : {};
      return JSON.stringify({ i, ...(i === 0 ? { early: 'e' } : {}), ...late });
    });
    const table = await read(lines.join('\n'));
    expect(table.batches.map(({ numRows }) => numRows)).toEqual([65_536, 65_536, 8928]);
    const at = (name: string, row: number): unknown => table.getChild(name)!.get(row);
    expect([at('i', 139_999), at('early', 0), at('early', 139_999)]).toEqual([139_999n, 'e', null]);
    expect([at('late', 70_000), at('late', 70_001), at('text', 70_000), at('text', 139_999)]).toEqual([
      null,
      70_001n,
      null,
      't139999',
    ]);
  });

  it.each([
    ['mixed types', '{"a":"secret"}\n{"a":1}', 'line 2'],
    ['mixed types', '{"a":1}\n{"a":[1]}', 'line 2'],
    ['mixed nested types', '{"a":[1]}\n{"a":["secret"]}', '"a"'],
    ['text that is no JSON', '{"a":"x"}\n{"a": secret}', 'line 2'],
    ['a line that is no object', '{"a":"x"}\n["secret"]', 'line 2'],
    ['a lone surrogate', '{"a":"x"}\n{"a":"secret \\ud800"}', 'line 2'],
    ['a lone surrogate inside', '{"a":["secret \\uDC00x"]}', 'line 1'],
    ['invalid UTF-8', Buffer.from([0x7b, 0x7d, 0x0a, 0x22, 0xff, 0x22]), 'line 2'],
    ['a whole number beyond 2^53', '{"a":1}\n{"a":9007199254740993}', 'line 2'],
    ['no line at all', '\n\n', '0 records'],
  ])('refuses %s and says where', async (_, content, where) => {
    const failure = await failureOf(() => read(content));
    expect(failure).toMatchObject({ code: 'INVALID_DATA' });
    expect(failure.message).toContain(where);
    expect(failure.message).toMatch(/^Cannot read \d+\.jsonl: .+\. .+\.$/);
    expect(failure.message).not.toContain('secret');
  });

  it('says that damaged gzip is damaged', async () => {
    const packed = gzipSync('{"a":"x"}\n'.repeat(1000));
    const failure = await failureOf(() => read(packed.subarray(0, packed.length - 12)));
    expect(failure).toMatchObject({ code: 'INVALID_DATA' });
    expect(failure.message).toContain('gzip');
  });
});
