import { describe, expect, it } from 'vitest';
import { commitmentOf, freshKey, keyOfSegment, openBits } from '../../trainer/randomness.ts';
import { chiSquareBounds } from './statistics.ts';

const key = new Uint8Array(32).fill(7);

describe('openBits()', () => {
  it('is uniform in its first bits, its middle bits and its last bits', () => {
    const bits = openBits(key, 'sampling');
    const draws = 64 * 4000;
    const counts = [0, 24, 47].map(() => new Float64Array(64));
    for (let draw = 0; draw < draws; draw += 1) {
      const value = bits.next53();
      [0, 24, 47].forEach((shift, place) => (counts[place]![Math.floor(value / 2 ** shift) % 64]! += 1));
    }
    for (const count of counts) {
      const statistic = count.reduce((sum, seen) => sum + (seen - draws / 64) ** 2 / (draws / 64), 0);
      expect(statistic).toBeLessThan(chiSquareBounds(63).upper);
    }
  });

  it('goes on over the end of a block without repeating itself', () => {
    const bits = openBits(key, 'noise');
    const values = new Set(Array.from({ length: 40_000 }, () => bits.next53()));
    expect(values.size).toBe(40_000);
    expect([...values].every(value => Number.isSafeInteger(value) && value >= 0 && value < 2 ** 53)).toBe(
      true,
    );
  });

  it('refuses a key of another length', () => {
    expect(() => openBits(new Uint8Array(16), 'noise')).toThrow(
      'Cannot open a random stream: the key has 16 bytes. Give 32 random bytes.',
    );
  });
});

describe('keys', () => {
  it('are fresh each time, and each segment has its own', () => {
    expect(freshKey()).not.toEqual(freshKey());
    expect(keyOfSegment(key, 0)).not.toEqual(keyOfSegment(key, 1));
    expect(keyOfSegment(key, 1)).toEqual(keyOfSegment(key, 1));
  });

  it('are bound by a commitment that is none of the derived keys', () => {
    expect(commitmentOf(key)).toMatch(/^[0-9a-f]{64}$/);
    expect(commitmentOf(key)).not.toBe(commitmentOf(new Uint8Array(32)));
    expect(commitmentOf(key)).not.toBe(Buffer.from(keyOfSegment(key, 0)).toString('hex'));
  });
});
