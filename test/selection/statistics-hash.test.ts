import { describe, expect, it } from 'vitest';
import { HalfSipHash } from '../../selection/statistics-hash.ts';

/** From the authors' table for the key 00 01 … 07 and the messages 00 01 … of so many bytes. */
const vectors: readonly (readonly [number, string])[] = [
  [0, '218d1f59b9b83cc8'],
  [1, 'be552412f8387315'],
  [2, '064f39ef7c50eb57'],
  [3, 'ce0f1a45f7060679'],
  [4, 'd5e78a175be52ea1'],
  [5, 'cb9d7c3f2f3db580'],
  [6, 'ce3e91358aa2bc25'],
  [7, 'ff202728b07bc684'],
  [8, 'edfee820bce4858c'],
  [15, '217d0bcb4e81c902'],
  [62, 'f90b3ab572d46693'],
  [63, '2ea63c71bf326087'],
];

describe('HalfSipHash', () => {
  it.each(vectors)('gives the published value for %i bytes', (length, expected) => {
    const count = Uint8Array.from({ length: 64 }, (_, index) => index);
    const hash = { low: 0, high: 0 };
    new HalfSipHash(count.subarray(0, 8)).hash(count, length, hash);
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(hash.low);
    bytes.writeInt32LE(hash.high, 4);
    expect(bytes.toString('hex')).toBe(expected);
  });
});
