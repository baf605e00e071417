import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareUtf8, hash48, KeyHasher, recordKey } from '../../selection/key.ts';

const wellFormed = fc.string({ unit: 'binary', maxLength: 90 });

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

describe('recordKey()', () => {
  it('gives the vector of the contract', () => {
    const expected = '18ada7d5ecc4d750d16d8885113f9461af29b94d2d523eec0eb5241c0321fc7d';
    expect(recordKey({ seed: '42', user: 'hèllo' }, 'r1')).toBe(expected);
  });

  it('is SHA-256 over the length-prefixed text, for every length across block borders', () => {
    for (let length = 0; length < 200; length++) {
      const id = 'x'.repeat(length);
      expect(recordKey({ seed: 's', user: 'ü' }, id)).toBe(sha256(`s:2:ü:${id}`));
    }
  });

  it('keeps apart what a plain join would confuse', () => {
    expect(recordKey({ seed: '1', user: 'a:b' }, 'c')).not.toBe(recordKey({ seed: '1', user: 'a' }, 'b:c'));
  });
});

describe('KeyHasher', () => {
  it('agrees with the platform on any seed, user and ids, one user after the other', () => {
    fc.assert(
      fc.property(
        wellFormed,
        fc.array(fc.tuple(wellFormed, fc.array(wellFormed, { maxLength: 4 }))),
        (seed, users) => {
          const hasher = new KeyHasher(seed);
          const out = new Uint32Array(24);
          const hex = (): string =>
            Array.from(out.subarray(8, 16), word => word.toString(16).padStart(8, '0')).join('');
          for (const [user, ids] of users) {
            hasher.setUser(user);
            for (const id of ids) {
              const expected = sha256(`${seed}:${Buffer.byteLength(user)}:${user}:${id}`);
              hasher.write(id, { out, at: 8 });
              expect(hex()).toBe(expected);
              const bytes = Buffer.from(`--${id}-`);
              hasher.writeBytes(bytes, { start: 2, end: bytes.length - 1 }, { out, at: 8 });
              expect(hex()).toBe(expected);
            }
          }
        },
      ),
    );
  });
});

it('hashes messages of every length around one and two blocks', () => {
  for (let prefix = 0; prefix < 70; prefix++) {
    const hasher = new KeyHasher('s');
    const user = 'u'.repeat(prefix);
    hasher.setUser(user);
    for (let length = 0; length < 70; length++) {
      const out = new Uint32Array(8);
      const id = 'i'.repeat(length);
      hasher.write(id, { out, at: 0 });
      const hex = Array.from(out, word => word.toString(16).padStart(8, '0')).join('');
      expect(hex).toBe(sha256(`s:${prefix}:${user}:${id}`));
    }
  }
});

describe('compareUtf8()', () => {
  it('orders as bytes do', () => {
    fc.assert(
      fc.property(wellFormed, wellFormed, (left, right) => {
        expect(compareUtf8(left, right)).toBe(Buffer.compare(Buffer.from(left), Buffer.from(right)));
      }),
      { numRuns: 500 },
    );
  });

  it('puts a code point beyond the basic plane after U+FF01, where JavaScript puts it before', () => {
    expect(['\uff01', '\u{1f600}'].toSorted()).toEqual(['\u{1f600}', '\uff01']);
    expect(compareUtf8('\u{1f600}', '\uff01')).toBe(1);
  });
});

describe('hash48()', () => {
  it('is the first 12 hex digits of SHA-256', () => {
    fc.assert(
      fc.property(wellFormed, text => {
        expect(hash48(text)).toBe(Number.parseInt(sha256(text).slice(0, 12), 16));
      }),
    );
  });
});
