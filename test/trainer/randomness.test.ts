import { describe, expect, it } from 'vitest';
import {
  commitmentOf,
  deriveKey,
  digestAt,
  freshKey,
  openBits,
  openPointBits,
} from '../../trainer/randomness.ts';
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

describe('openPointBits()', () => {
  const first = (point: { step: number; attempt: number }, context?: string): number => {
    const bits = openPointBits(key);
    bits.seek(point, context);
    return bits.next53();
  };

  it('has one stream a point and context, whatever was read before', () => {
    const points = [0, 1, 11].flatMap(step => [0, 1, 11].map(attempt => ({ step, attempt })));
    const values = points.flatMap(point => [first(point), first(point, 'a'), first(point, 'b')]);
    expect(new Set(values).size).toBe(27);
    const bits = openPointBits(key);
    bits.seek({ step: 4, attempt: 0 });
    bits.next53();
    bits.seek({ step: 1, attempt: 11 }, 'a');
    expect(bits.next53()).toBe(first({ step: 1, attempt: 11 }, 'a'));
  });

  it('gives words of any number, over the end of a block, and the same ones for the same reads', () => {
    const read = (): Uint32Array => {
      const bits = openPointBits(key);
      bits.seek({ step: 0, attempt: 0 });
      const words = new Uint32Array(40_001);
      bits.fillWords(words);
      return words;
    };
    expect(new Set(read()).size).toBeGreaterThan(39_990);
    expect(read()).toEqual(read());
  });
});

describe('keys', () => {
  it('are fresh each time, and one stands for independent others', () => {
    expect(freshKey()).not.toEqual(freshKey());
    const derived = (['noise', 'sampling', 'digest'] as const).map(purpose => deriveKey(key, purpose));
    expect(new Set([key, ...derived].map(String)).size).toBe(4);
    expect(deriveKey(key, 'noise')).toEqual(deriveKey(key, 'noise'));
    expect(() => deriveKey(new Uint8Array(31), 'noise')).toThrow('the key has 31 bytes');
  });

  it('are bound by a commitment that is none of the derived keys', () => {
    expect(commitmentOf(key)).toMatch(/^[0-9a-f]{64}$/);
    expect(commitmentOf(key)).not.toBe(commitmentOf(new Uint8Array(32)));
    expect(commitmentOf(key)).not.toBe(Buffer.from(deriveKey(key, 'sampling')).toString('hex'));
  });

  it('make digests that differ by key, point and bytes', () => {
    const bytes = Uint8Array.of(1, 2);
    const digests = [
      digestAt({ step: 0, attempt: 0 }, { key, bytes }),
      digestAt({ step: 1, attempt: 0 }, { key, bytes }),
      digestAt({ step: 0, attempt: 1 }, { key, bytes }),
      digestAt({ step: 0, attempt: 0 }, { key: new Uint8Array(32), bytes }),
      digestAt({ step: 0, attempt: 0 }, { key, bytes: Uint8Array.of(1) }),
    ];
    expect(new Set(digests).size).toBe(5);
    expect(digestAt({ step: 0, attempt: 0 }, { key, bytes })).toBe(digests[0]);
  });
});
