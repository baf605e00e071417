import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Table } from 'apache-arrow';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTable } from '../../selection/tables/index.ts';
import { failureOf, temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();
let files = 0;

async function read(content: string | Uint8Array, extension = 'csv'): Promise<Table> {
  const path = join(folder, `${files++}.${extension}`);
  await writeFile(path, content);
  return readTable(path);
}

function rows(table: Table): string[][] {
  return Array.from({ length: table.numRows }, (_, row) =>
    table.schema.names.map(name => String(table.getChild(name)!.get(row))),
  );
}

const quoted = (cell: string): string => `"${cell.replaceAll('"', '""')}"`;

describe('readTable() on CSV', () => {
  it('reads what RFC 4180 writes', async () => {
    const table = await read('user,text\nada,"a ""b"", c\nd"\nbo,\n');
    expect(table.schema.fields.map(field => `${field.name}: ${String(field.type)}`)).toEqual([
      'user: Utf8',
      'text: Utf8',
    ]);
    expect(rows(table)).toEqual([
      ['ada', 'a "b", c\nd'],
      ['bo', ''],
    ]);
  });

  it('gives back any cells, quoted', async () => {
    const cell = fc.string({ unit: 'grapheme', maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 6 }), async cells => {
        const content = cells.map(row => row.map(quoted).join(',')).join('\n');
        expect(rows(await read(`a,b\n${content}`))).toEqual(cells);
      }),
      { numRuns: 50 },
    );
  });

  it('gives back rows wherever the pieces of a file end', async () => {
    const cells = Array.from({ length: 60_000 }, (_, i) => {
      const text = `${'é"\n,x'.repeat(i % 9)}${i}`;
      return i % 3 === 0 ? [text, ''] : [String(i), `"${text}"`];
    });
    const table = await read(`a,b\r\n${cells.map(row => row.map(quoted).join(',')).join('\r\n')}`);
    expect(rows(table)).toEqual(cells);
  });

  it('takes a byte order mark, CRLF, gzip, and tabs', async () => {
    const expected = [
      ['ada', 'x\r\ny'],
      ['bo', 'é'],
    ];
    const content = '\ufeffuser,text\r\nada,"x\r\ny"\r\nbo,é\r\n';
    const table = await read(content);
    expect(table.schema.names).toEqual(['user', 'text']);
    expect(rows(table)).toEqual(expected);
    expect(rows(await read(gzipSync(content), 'csv.gz'))).toEqual(expected);
    expect(rows(await read('user\ttext\nbo\té, and more\n', 'tsv'))).toEqual([['bo', 'é, and more']]);
  });

  it('starts a new batch every 65536 rows', async () => {
    const table = await read(`a\n${'x\n'.repeat(70_000)}`);
    expect(table.batches.map(({ numRows }) => numRows)).toEqual([65_536, 4464]);
  });

  it.each([
    ['a header without rows', 'user,text\n', '0 rows'],
    ['a row with too few cells', 'a,b\n1,2\nsecret\n', 'row 2'],
    ['a row with too many cells', 'a,b\n1,2,secret\n', 'row 1'],
    ['a quote that is never closed', 'a,b\n1,2\n3,"secret\n', 'row 2'],
    ['a quote inside a bare cell', 'a,b\n1,sec"ret\n', 'row 1'],
    ['text after a closing quote', 'a,b\n1,"x"secret\n', 'row 1'],
    ['a name twice in the header', 'a,a\n1,2\n', '"a"'],
    ['a header in another encoding', Buffer.from([0xe9, 0x2c, 0x61, 0x0a, 0x31, 0x2c, 0x32]), 'header'],
  ])('refuses %s and says where', async (_, content, where) => {
    const failure = await failureOf(() => read(content));
    expect(failure).toMatchObject({ code: 'INVALID_DATA' });
    expect(failure.message).toContain(where);
    expect(failure.message).not.toContain('secret');
  });
});
