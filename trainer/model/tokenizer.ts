import { checkChoice } from '../../accounting/check.ts';
import { sha256 } from '../digest.ts';
import { byteTokenizerFiles, endOfTextMark, gpt2TokenizerFiles } from './tokenizer-export.ts';

/** Text to token ids and back. */
export interface Tokenizer {
  /** One of the tokenizers of this package, or `tokenizer.json`. */
  readonly name: string;
  /** Every id is below it. */
  readonly vocabularySize: number;
  /** Id of the token that ends a text; no text encodes to it. */
  readonly endOfText: number;
  /** Unpaired surrogates become U+FFFD, as in UTF-8. */
  encode(text: string): Int32Array;
  /** Ids that aren't UTF-8 together show as U+FFFD; end-of-text shows as `<|endoftext|>`. */
  decode(ids: ArrayLike<number>): string;
  /** SHA-256 of a canonical description: equal hashes give equal ids. */
  readonly hash: string;
  /** Texts by file name, `tokenizer.json` among them, from which other programs make the same ids. */
  files(): Promise<Readonly<Record<string, string>>>;
}

/** The tokenizers that come with the package. */
export const tokenizerNames = ['bytes', 'gpt2'] as const;

/** Name of a tokenizer that comes with the package. */
export type TokenizerName = (typeof tokenizerNames)[number];

function describe(description: Readonly<Record<string, unknown>>): string {
  return sha256(JSON.stringify(description));
}

/**
 * One token per UTF-8 byte, and end-of-text: a vocabulary of 257.
 *
 * @example
 * ```ts
 * const tokenizer = byteTokenizer();
 * [...tokenizer.encode('né')]; // [110, 195, 169]
 * tokenizer.decode([110, 195, 169, 256]); // 'né<|endoftext|>'
 * ```
 */
export function byteTokenizer(): Tokenizer {
  const endOfText = 256;
  const marks = new Map([[endOfText, endOfTextMark]]);
  return {
    name: 'bytes',
    vocabularySize: 257,
    endOfText,
    encode: text => Int32Array.from(Buffer.from(text, 'utf8')),
    decode: ids =>
      decodeBetween(ids, marks, part =>
        new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(part)),
      ),
    hash: describe({ tokenizer: 'utf-8 bytes', version: 1, endOfText }),
    files: async () => byteTokenizerFiles(),
  };
}

/** Decodes the stretches between special tokens and joins them by what those are written as. */
export function decodeBetween(
  ids: ArrayLike<number>,
  marks: ReadonlyMap<number, string>,
  decodePart: (part: number[]) => string,
): string {
  const texts: string[] = [];
  let part: number[] = [];
  for (let index = 0; index < ids.length; index++) {
    const mark = marks.get(ids[index]!);
    if (mark === undefined) part.push(ids[index]!);
    else {
      texts.push(part.length === 0 ? '' : decodePart(part), mark);
      part = [];
    }
  }
  return texts.join('') + (part.length === 0 ? '' : decodePart(part));
}

/**
 * GPT-2's byte-pair encoding: 50,257 tokens. Its tables are loaded on the first call.
 *
 * The text `<|endoftext|>` is ordinary text here: no record can forge the end of a text.
 *
 * @example
 * ```ts
 * const tokenizer = await gpt2Tokenizer();
 * [...tokenizer.encode('Hello world')]; // [15496, 995]
 * ```
 */
export async function gpt2Tokenizer(): Promise<Tokenizer> {
  const { encode, decode } = await import('gpt-tokenizer/encoding/r50k_base');
  const endOfText = 50_256;
  const marks = new Map([[endOfText, endOfTextMark]]);
  const none = new Set<string>();
  return {
    name: 'gpt2',
    vocabularySize: 50_257,
    endOfText,
    encode: text =>
      Int32Array.from(encode(Buffer.from(text, 'utf8').toString('utf8'), { disallowedSpecial: none })),
    decode: ids => decodeBetween(ids, marks, part => decode(part)),
    hash: describe({ tokenizer: 'byte-pair encoding r50k_base', version: 1, endOfText }),
    files: gpt2TokenizerFiles,
  };
}

/**
 * The tokenizer of that name.
 *
 * @throws DpError `INVALID_ARGUMENT` for any other name
 */
export function openTokenizer(name: string): Promise<Tokenizer> {
  const known = checkChoice(name, { verb: 'open the tokenizer', name: 'name', choices: tokenizerNames });
  return known === 'bytes' ? Promise.resolve(byteTokenizer()) : gpt2Tokenizer();
}
