import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyOrder } from '../../selection/engines/key-order.ts';
import { RowBits } from '../../selection/engines/row-bits.ts';
import { recordKey } from '../../selection/key.ts';
import type { PackedIds } from '../../selection/selector.ts';

describe('KeyOrder', () => {
  it('puts rows into the order of recordKey(), for one user after the other', () => {
    const order = new KeyOrder('42');
    fc.assert(
      fc.property(fc.nat(300), fc.constantFrom('ada', 'bö'), (count, user) => {
        const ids: PackedIds = { writeKey: (row, hasher, target) => hasher.write(`r${row}`, target) };
        const rows = Int32Array.from({ length: count }, (_, i) => 3 * i + 1);
        const key = (row: number): string => recordKey({ seed: '42', user }, `r${row}`);
        const expected = [...rows].sort((a, b) => (key(a) < key(b) ? -1 : 1));
        expect([...order.sorted(() => user, rows, ids)]).toEqual(expected);
      }),
    );
  });

  it('looks at the whole of K where its beginnings agree', () => {
    const ids: PackedIds = {
      writeKey: (row, _, { out, at }) => {
        out.fill(0, at, at + 8);
        out[at] = row % 2;
        out[at + 7] = 100 - row;
      },
    };
    const rows = Int32Array.from({ length: 10 }, (_, row) => row);
    const sorted = new KeyOrder('').sorted(() => 'ada', rows, ids);
    expect([...sorted]).toEqual([8, 6, 4, 2, 0, 9, 7, 5, 3, 1]);
  });
});

describe('RowBits', () => {
  it('finds set rows in any stretch', () => {
    const some = fc.record({
      rows: fc.uniqueArray(fc.nat(199), { maxLength: 6 }),
      first: fc.nat(199),
      count: fc.nat(120),
    });
    fc.assert(
      fc.property(some, ({ rows, first, count }) => {
        const bits = new RowBits(200);
        for (const row of rows) bits.set(row);
        expect(bits.hasAny(first, count)).toBe(rows.some(row => row >= first && row < first + count));
        expect(bits.has(first)).toBe(rows.includes(first));
      }),
      { numRuns: 500 },
    );
  });
});
