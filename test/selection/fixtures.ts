import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DataType, Int32, Int64, Table, Utf8, type Vector, vectorFromArray } from 'apache-arrow';
import * as fc from 'fast-check';
import { afterAll } from 'vitest';
import { DpError } from '../../accounting/check.ts';
import { readRecords, type Records } from '../../selection/records.ts';
import type { CapRule, RecordStrategy } from '../../selection/rule.ts';

/** A folder that goes away after the tests of this file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-selection-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** One record as plain values. */
export interface PlainRecord {
  readonly user: string;
  readonly id: string;
  readonly text: string;
  readonly score: number;
}

export function texts(values: readonly (string | null)[]): Vector {
  return vectorFromArray(values, new Utf8());
}

export function tableOfColumns(columns: Readonly<Record<string, Vector>>): Table {
  return new Table({ ...columns });
}

export function recordsTable(rows: readonly PlainRecord[]): Table {
  return tableOfColumns({
    user: texts(rows.map(({ user }) => user)),
    id: texts(rows.map(({ id }) => id)),
    text: texts(rows.map(({ text }) => text)),
    score: vectorFromArray(
      rows.map(({ score }) => score),
      numberType(),
    ),
  });
}

function numberType(): DataType {
  return vectorFromArray(Float64Array.of(0)).type;
}

export function recordsOf(rows: readonly PlainRecord[]): Records {
  return readRecords(recordsTable(rows), {
    user: 'user',
    id: 'id',
    text: 'text',
    score: 'score',
    file: 'fixture',
  });
}

const names = fc.constantFrom('ada', 'bo', 'cé', '\u{1f600}', '\uff01', 'z:z', 'z');

/** Records of a few users with unique (user, id), ties in length and score, ids that UTF-16 and UTF-8 order differently. */
export const someRecords: fc.Arbitrary<PlainRecord[]> = fc.uniqueArray(
  fc.record({
    user: names,
    id: fc.oneof(fc.nat(40).map(String), fc.constantFrom('\u{1f600}', '\uff01', 'é', 'a:b')),
    text: fc.string({ minLength: 0, maxLength: 6, unit: 'grapheme' }).filter(text => !text.includes('\0')),
    score: fc.integer({ min: 0, max: 4 }),
  }),
  { selector: ({ user, id }) => JSON.stringify([user, id]), minLength: 1, maxLength: 40 },
);

export const strategies: readonly RecordStrategy[] = [
  'random',
  'longest',
  'shortest',
  'highest-perplexity',
  'lowest-perplexity',
  'first',
];

/** Caps in records, tokens, or both; tokens are UTF-8 bytes in these tests. */
export const someCaps: fc.Arbitrary<Pick<CapRule, 'recordsPerUser' | 'tokensPerUser' | 'tokenPolicy'>> = fc
  .record({
    recordsPerUser: fc.option(fc.integer({ min: 1, max: 6 })),
    tokensPerUser: fc.option(fc.integer({ min: 1, max: 20 })),
    tokenPolicy: fc.constantFrom('stop' as const, 'truncate' as const),
  })
  .filter(({ recordsPerUser, tokensPerUser }) => recordsPerUser !== null || tokensPerUser !== null);

export function bytes(text: string): number {
  return Buffer.byteLength(text);
}

/** The `DpError` that an action fails with. */
export async function failureOf(action: () => unknown): Promise<DpError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof DpError) return error;
    throw error;
  }
  throw new Error('expected a failure');
}

export function int32(values: readonly (number | null)[]): Vector {
  return vectorFromArray(values, new Int32());
}

export function int64(values: readonly (bigint | null)[]): Vector {
  return vectorFromArray(values, new Int64());
}
