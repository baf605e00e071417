import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteTokenizer, gpt2Tokenizer, openTokenizer } from '../../../trainer/model/tokenizer.ts';

const endOfTextMark = '<|endoftext|>';

/** Texts with everything that has tripped tokenizers: astral characters, lone surrogates, NUL, blanks, the mark itself. */
const texts = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        endOfTextMark,
        "I'll",
        "'S",
        '\0',
        '\ud800',
        '\udfff',
        '\ufeff',
        '\u00a0\n ',
        '👩‍👩‍👧',
        '   ',
      ),
    ),
  )
  .map(parts => parts.join(''));

/** What a text is in UTF-8: unpaired surrogates replaced. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

describe.each(['bytes', 'gpt2'])('the tokenizer %s', async name => {
  const tokenizer = await openTokenizer(name);

  it('gives back every text', () => {
    fc.assert(
      fc.property(texts, text => {
        const ids = tokenizer.encode(text);
        expect(ids.every(id => id >= 0 && id < tokenizer.vocabularySize)).toBe(true);
        expect(tokenizer.decode(ids)).toBe(wellFormed(text));
      }),
      { numRuns: 500, seed: 3 },
    );
  });

  it('never makes end-of-text out of text', () => {
    for (const text of [endOfTextMark, `a${endOfTextMark}b`, `${endOfTextMark}${endOfTextMark}`]) {
      expect([...tokenizer.encode(text)]).not.toContain(tokenizer.endOfText);
    }
  });

  it('shows end-of-text by its mark', () => {
    const ids = [tokenizer.endOfText, ...tokenizer.encode('a é'), tokenizer.endOfText];
    expect(tokenizer.decode(ids)).toBe(`${endOfTextMark}a é${endOfTextMark}`);
  });

  it('has a name and a hash of its own', async () => {
    expect(tokenizer.name).toBe(name);
    expect(tokenizer.hash).toMatch(/^[0-9a-f]{64}$/);
    expect((await openTokenizer(name)).hash).toBe(tokenizer.hash);
    expect(byteTokenizer().hash).not.toBe((await gpt2Tokenizer()).hash);
  });
});

describe('byteTokenizer()', () => {
  it('shows bytes that are no text as U+FFFD', () => {
    expect(byteTokenizer().decode([195, 65])).toBe('\ufffdA');
    expect(byteTokenizer().vocabularySize).toBe(257);
  });
});

describe('gpt2Tokenizer()', () => {
  it.each([
    ['Hello world', [15496, 995]],
    ['', []],
    [' ', [220]],
    ["don't", [9099, 470]],
  ])('gives the known ids of %j', async (text, ids) => {
    expect([...(await gpt2Tokenizer()).encode(text)]).toEqual(ids);
  });

  it('has 50257 tokens, the last of them end-of-text', async () => {
    const { vocabularySize, endOfText } = await gpt2Tokenizer();
    expect([vocabularySize, endOfText]).toEqual([50_257, 50_256]);
  });
});

describe('openTokenizer()', () => {
  it('refuses another name', () => {
    expect(() => openTokenizer('gpt4')).toThrow('name is "gpt4". Give one of bytes, gpt2');
  });
});
