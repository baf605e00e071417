import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { TextTable } from '../../selection/statistics-texts.ts';
import { isPlausibleCount } from '../trainer/statistics.ts';

function hashOf(text: number, isLong: boolean): { low: number; high: number } {
  const digest = createHash('sha256').update(String(text)).digest();
  return { low: (digest.readInt32LE() & ~1) | (isLong ? 1 : 0), high: digest.readInt32LE(4) };
}

describe('TextTable', () => {
  it('counts exactly while everything fits, through many enlargements', () => {
    const table = new TextTable(2 ** 24);
    for (let text = 0; text < 20_000; text++) {
      const isLong = text % 5 === 0;
      table.add(hashOf(text, isLong), 1);
      if (text % 10 < 2) table.add(hashOf(text, isLong), text % 20 < 10 ? 1 : 2);
    }
    expect(table.rate).toBe(1);
    expect(table.count(false)).toEqual({ compared: 24_000, shared: 4000 });
    expect(table.count(true)).toEqual({ compared: 6000, shared: 2000 });
  });

  it('forgets all records of a text or none once the memory is used up', () => {
    const table = new TextTable(1);
    const texts = 10_000;
    for (const user of [1, 2]) for (let text = 0; text < texts; text++) table.add(hashOf(text, false), user);
    const { compared, shared } = table.count(false);
    expect(table.rate).toBe(1 / 16);
    expect(shared).toBe(compared);
    // Out of a fixed hash; for one drawn at random this would fail with probability below 1e-6.
    expect(isPlausibleCount(compared / 2, { trials: texts, probability: table.rate })).toBe(true);
  });
});
