import { readdirSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keptIdsDigest } from '../../selection/digest.ts';
import { KeptIds } from '../../selection/kept-ids.ts';
import { temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();

function digestOf(ids: readonly string[], memoryLimit = 2 ** 20): string {
  const kept = new KeptIds({ folder, memoryLimit });
  for (const id of ids) kept.add(Buffer.from(id));
  return kept.digest();
}

const someId = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 5 }),
  fc.constantFrom('', 'a', 'ab', 'abc', 'a\nb', '\u{1f600}', '\uff01', 'é'),
  fc.nat(2000).map(n => `record-${n}`),
);

describe('KeptIds', () => {
  it('gives the digest of the sorted ids, whatever their order', () => {
    fc.assert(
      fc.property(fc.array(someId, { maxLength: 200 }), ids => {
        expect(digestOf(ids)).toBe(keptIdsDigest(ids));
        expect(digestOf([...ids].reverse())).toBe(keptIdsDigest(ids));
      }),
    );
  });

  it('sorts past the memory limit on the disk and leaves nothing there', () => {
    const ids = Array.from({ length: 60_000 }, (_, i) => `record\n${(i * 7919) % 60_000}`);
    const kept = new KeptIds({ folder, memoryLimit: 1 });
    for (const id of ids) kept.add(Buffer.from(id));
    expect(readdirSync(folder).length).toBeGreaterThan(5);
    expect(kept.digest()).toBe(keptIdsDigest(ids));
    expect(readdirSync(folder)).toEqual([]);
  });

  it('takes ids longer than any of its buffers', () => {
    const ids = ['z'.repeat(3_000_000), 'b', `${'z'.repeat(2_999_999)}a`, 'y'.repeat(70_000)];
    expect(digestOf(ids, 1)).toBe(keptIdsDigest(ids));
  });
});
