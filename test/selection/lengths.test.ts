import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fittingText, type SelectionTokenizer, textLengths } from '../../selection/lengths.ts';
import { failureOf, recordsOf } from './fixtures.ts';

/** One token a UTF-8 byte. */
const byteTokenizer: SelectionTokenizer = {
  name: 'bytes',
  hash: 'none',
  encode: text => Int32Array.from(Buffer.from(text)),
  decode: ids => Buffer.from(Uint8Array.from(ids)).toString(),
};

const texts = ['', 'abc', 'né', '\u{1f600}!'];
const records = recordsOf(texts.map((text, i) => ({ user: 'u', id: `${i}`, text, score: 0 })));

describe('textLengths()', () => {
  it('counts bytes, code points, and tokens', () => {
    expect([...textLengths(records, { unit: 'bytes' })]).toEqual([0, 3, 3, 5]);
    expect([...textLengths(records, { unit: 'codepoints' })]).toEqual([0, 3, 2, 2]);
    expect([...textLengths(records, { unit: 'tokens', tokenizer: byteTokenizer })]).toEqual([0, 3, 3, 5]);
  });

  it('gives 0 for dropped rows and refuses tokens without a tokenizer', async () => {
    const dropped = { ...records, userOf: Int32Array.of(0, -1, 0, -1) };
    expect([...textLengths(dropped, { unit: 'bytes' })]).toEqual([0, 0, 3, 0]);
    expect((await failureOf(() => textLengths(records, { unit: 'tokens' }))).code).toBe('INVALID_ARGUMENT');
  });
});

describe('fittingText()', () => {
  it('leaves out characters that a cut broke, at either end', () => {
    const tokens = byteTokenizer.encode('ébcé').subarray(1, 5);
    expect(fittingText(tokens, { tokenizer: byteTokenizer, limit: 4 })).toBe('bc');
    expect(fittingText(tokens.subarray(0, 1), { tokenizer: byteTokenizer, limit: 1 })).toBe('');
  });

  it('always encodes to at most the limit, and changes nothing that fits', () => {
    const anyText = fc.string({ unit: 'grapheme', maxLength: 12 });
    fc.assert(
      fc.property(anyText, fc.nat(30), (text, limit) => {
        const tokens = byteTokenizer.encode(text);
        const fitted = fittingText(tokens.subarray(0, limit), { tokenizer: byteTokenizer, limit });
        expect(byteTokenizer.encode(fitted).length).toBeLessThanOrEqual(limit);
        expect(text.startsWith(fitted)).toBe(true);
        if (tokens.length <= limit) expect(fitted).toBe(text);
      }),
    );
  });

  it('drops tokens where a text comes out longer when encoded again', () => {
    const doubling: SelectionTokenizer = {
      ...byteTokenizer,
      decode: ids => byteTokenizer.decode(ids).repeat(2),
    };
    const fitted = fittingText(byteTokenizer.encode('abcd'), { tokenizer: doubling, limit: 4 });
    expect(fitted).toBe('abab');
  });
});
