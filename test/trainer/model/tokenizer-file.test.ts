import * as fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  byteTokenizerFiles,
  gpt2TokenizerFiles,
  type TokenizerFiles,
} from '../../../trainer/model/tokenizer-export.ts';
import {
  fileTokenizer,
  openTokenizerFiles,
  readTokenizerFiles,
} from '../../../trainer/model/tokenizer-file.ts';
import { byteTokenizer, gpt2Tokenizer, type Tokenizer } from '../../../trainer/model/tokenizer.ts';

const mark = '<|endoftext|>';
const texts = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: 'binary' }),
      fc.lorem(),
      fc.constantFrom(mark, "I'll", "'S", '\0', '\ud800', '\udfff', '\ufeff', '\u00a0\n ', '👩‍👩‍👧', '   '),
    ),
  )
  .map(parts => parts.join(''));

const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };

const letters = ['a', 'b', 'c', 'Ġ', 'ab', 'abc', 'Ġa'];
const vocabulary = Object.fromEntries(letters.map((token, id) => [token, id]));
const merges = ['a b', 'ab c', 'Ġ a'];

/** A tokenizer of letters and a few merges, as `tokenizer.json`. */
function small(change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    added_tokens: [
      { id: 7, content: mark, special: true },
      { id: 9, content: '<pad>', special: true },
      { id: 8, content: 'caba', special: false },
    ],
    normalizer: null,
    pre_tokenizer: bytes,
    post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: mark, type_id: 0 } }] },
    decoder: bytes,
    model: { type: 'BPE', vocab: vocabulary, merges },
    ...change,
  };
}

function files(tokenizer: unknown, config?: unknown): TokenizerFiles {
  const described = config === undefined ? {} : { 'tokenizer_config.json': JSON.stringify(config) };
  return { 'tokenizer.json': JSON.stringify(tokenizer), ...described };
}

describe.each([
  ['gpt2', gpt2Tokenizer, gpt2TokenizerFiles],
  ['bytes', async () => byteTokenizer(), async () => byteTokenizerFiles()],
] as const)('the files of %s', (name, openOwn, filesOf) => {
  let own: Tokenizer;
  let written: TokenizerFiles;
  let read: Tokenizer;
  beforeAll(async () => {
    own = await openOwn();
    written = await filesOf();
    read = await fileTokenizer(written);
  });

  it('give the same ids and texts through the tokenizers of Hugging Face', () => {
    expect([read.vocabularySize, read.endOfText]).toEqual([own.vocabularySize, own.endOfText]);
    fc.assert(
      fc.property(texts, text => {
        const ids = own.encode(text);
        expect(read.encode(text)).toEqual(ids);
        expect(read.decode([own.endOfText, ...ids, own.endOfText])).toBe(
          own.decode([own.endOfText, ...ids, own.endOfText]),
        );
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  it('are known again as those of the tokenizer itself', async () => {
    const known = await openTokenizerFiles(written);
    expect([known.name, known.hash]).toEqual([name, own.hash]);
    expect([read.name, read.hash === own.hash]).toEqual(['tokenizer.json', false]);
    expect(await own.files()).toEqual(written);
  });
});

describe("GPT-2's files", () => {
  let written: { model: { vocab: Record<string, number>; merges: string[] } };
  beforeAll(async () => {
    written = JSON.parse((await gpt2TokenizerFiles())['tokenizer.json']!);
  });

  it('hold its vocabulary and its 50,000 merges in order', () => {
    const { vocab, merges } = written.model;
    expect(merges.length).toBe(50_000);
    expect(merges.slice(0, 4)).toEqual(['Ġ t', 'Ġ a', 'h e', 'i n']);
    expect([vocab['!'], vocab['Ġthe'], vocab['Ġgazed'], vocab[mark]]).toEqual([0, 262, 50_255, 50_256]);
    const misplaced = merges.filter((merge, index) => vocab[merge.replace(' ', '')] !== 256 + index);
    expect(misplaced).toEqual([]);
  });

  it.each([
    ['as a pair of vocabulary and merges', 'pair'],
    ['without settings at their defaults, as on the hub', 'hub'],
    ['with merges as pairs', 'pairs'],
  ])('are known again %s', async (_, form) => {
    const { vocab, merges } = written.model;
    const pair = {
      'vocab.json': JSON.stringify(vocab),
      'merges.txt': `#version: 0.2\n${merges.join('\n')}\n`,
    };
    const settings = { dropout: null, unk_token: '', end_of_word_suffix: '', fuse_unk: false };
    const hub = {
      added_tokens: [{ id: 50_256, content: mark, special: true }],
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
      model: { ...settings, vocab, merges: form === 'hub' ? merges : merges.map(merge => merge.split(' ')) },
    };
    expect((await openTokenizerFiles(form === 'pair' ? pair : files(hub))).name).toBe('gpt2');
  });

  it('are not taken for its own with another vocabulary, other words or another end', async () => {
    const vocab = { ...written.model.vocab, '!': 1, '"': 0 };
    const own = { added_tokens: [{ id: 50_256, content: mark, special: true }], pre_tokenizer: bytes };
    const words = { pre_tokenizer: { ...bytes, add_prefix_space: true } };
    const names = [
      await openTokenizerFiles(files({ ...own, model: written.model })),
      await openTokenizerFiles(files({ ...own, model: { ...written.model, vocab } })),
      await openTokenizerFiles(files({ ...own, model: written.model, ...words })),
      await openTokenizerFiles(files({ ...own, model: written.model }, { eos_token: '!' })),
    ].map(({ name }) => name);
    expect(names).toEqual(['gpt2', 'tokenizer.json', 'tokenizer.json', 'tokenizer.json']);
  });
});

describe('openTokenizerFiles()', () => {
  it('reads a tokenizer of its own vocabulary', async () => {
    const tokenizer = await openTokenizerFiles(files(small()));
    expect([tokenizer.vocabularySize, tokenizer.endOfText, tokenizer.name]).toEqual([
      10,
      7,
      'tokenizer.json',
    ]);
    expect([...tokenizer.encode('abc ab a cabac')]).toEqual([5, 3, 4, 6, 3, 8, 2]);
    expect(tokenizer.decode([5, 3, 4, 7, 6, 9])).toBe(`abc ab${mark} a<pad>`);
    expect([...tokenizer.encode('')]).toEqual([]);
    expect(tokenizer.decode([])).toBe('');
    expect(await tokenizer.files()).toEqual(files(small()));
  });

  it('makes no special token out of text', async () => {
    const spelled = { '<': 10, '|': 11, e: 12, n: 13, d: 14, o: 15, f: 16, t: 17, x: 18, '>': 19, p: 20 };
    const model = { type: 'BPE', vocab: { ...vocabulary, ...spelled }, merges };
    const tokenizer = await openTokenizerFiles(files(small({ model })));
    const ids = [...tokenizer.encode(`${mark}<pad>`)];
    expect(ids).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 12, 18, 17, 11, 19, 10, 20, 0, 14, 19]);
  });

  it('refuses a text that becomes the end of a text all the same', async () => {
    const tokenizer = await openTokenizerFiles(files(small(), { eos_token: 'ab' }));
    expect(tokenizer.endOfText).toBe(4);
    expect(() => tokenizer.encode('c ab')).toThrow('makes the end of a text out of a piece of text');
    expect([...tokenizer.encode('abc')]).toEqual([5]);
  });

  it('finds the end of a text in its configuration, the model, or by its usual spelling', async () => {
    const end = async (config?: unknown, endOfText?: number): Promise<number> =>
      (await openTokenizerFiles(files(small(), config), endOfText === undefined ? {} : { endOfText }))
        .endOfText;
    expect(await end()).toBe(7);
    expect(await end({ eos_token: '<pad>' })).toBe(9);
    expect(await end({ eos_token: { content: '<pad>' } }, 7)).toBe(9);
    expect(await end({}, 9)).toBe(9);
    expect(await end({}, 2)).toBe(2);
    await expect(end({}, 99)).rejects.toThrow('nothing says which token ends a text');
    const none = openTokenizerFiles(files(small({ added_tokens: [] })));
    await expect(none).rejects.toThrow('nothing says which token ends a text');
  });

  it('gives a hash that changes with anything the ids depend on', async () => {
    const variants = [
      small(),
      small({ normalizer: { type: 'Lowercase' } }),
      small({ pre_tokenizer: { ...bytes, add_prefix_space: true } }),
      small({ model: { type: 'BPE', vocab: vocabulary, merges: ['a b'] } }),
      small({ added_tokens: [{ id: 7, content: mark, special: true }] }),
      small({ added_tokens: [{ id: 3, content: mark, special: true }] }),
    ];
    const opened = await Promise.all(variants.map(variant => openTokenizerFiles(files(variant))));
    expect(new Set(opened.map(({ hash }) => hash)).size).toBe(variants.length);
    const same = await openTokenizerFiles(files(small({ truncation: { max_length: 3 }, version: '1.0' })));
    expect(same.hash).toBe(opened[0]!.hash);
  });

  it.each([
    ['no JSON', { 'tokenizer.json': '{' }, 'holds no JSON object'],
    ['no model', files(small({ model: undefined })), 'describes no model'],
    ['no vocabulary', files(small({ model: { type: 'BPE' } })), 'lists no vocabulary'],
    [
      'tokens without ids',
      files(small({ model: { type: 'BPE', vocab: { a: 'x' } } })),
      'lists tokens without ids',
    ],
    [
      'broken added tokens',
      files(small({ added_tokens: [{ id: 'x' }] })),
      'describes its added_tokens wrongly',
    ],
    ['words cut in an unknown way', files(small({ pre_tokenizer: { type: 'New' } })), 'is of no known kind'],
  ])('refuses files with %s', async (_, broken, reason) => {
    const refused = { code: 'INVALID_DATA', message: expect.stringContaining(reason) };
    await expect(openTokenizerFiles(broken)).rejects.toMatchObject(refused);
  });
});

describe('readTokenizerFiles()', () => {
  it('takes the files that there are, and none where they are not whole', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-'));
    expect(await readTokenizerFiles(folder)).toBeUndefined();
    writeFileSync(join(folder, 'vocab.json'), '{"a":0}');
    expect(await readTokenizerFiles(folder)).toBeUndefined();
    writeFileSync(join(folder, 'merges.txt'), '#version: 0.2\n');
    writeFileSync(join(folder, 'other.json'), '{}');
    const pair = { 'vocab.json': '{"a":0}', 'merges.txt': '#version: 0.2\n' };
    expect(await readTokenizerFiles(folder)).toEqual(pair);
    writeFileSync(join(folder, 'tokenizer.json'), '{}');
    expect(await readTokenizerFiles(folder)).toEqual({ ...pair, 'tokenizer.json': '{}' });
    rmSync(folder, { recursive: true });
  });
});
