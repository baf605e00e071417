/** How GPT-2's tokenizers write the end of a text. */
export const endOfTextMark = '<|endoftext|>';

/** Texts by file name. */
export type TokenizerFiles = Readonly<Record<string, string>>;

interface BytePairs {
  readonly vocabulary: Readonly<Record<string, number>>;
  readonly merges: readonly string[];
  readonly endOfText: number;
  /** Whether texts are cut into words first, as GPT-2 does. */
  readonly cutsIntoWords: boolean;
}

/** The printable bytes stand for themselves; the others for characters from U+0100 on, in order. */
function isPrintable(byte: number): boolean {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
}

function characters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
}

/**
 * The character that each byte is written as in the vocabularies of byte-level tokenizers (the table of GPT-2's
 * `bytes_to_unicode`), by the byte.
 *
 * @example
 * ```ts
 * byteCharacters[65]; // 'A'
 * byteCharacters[32]; // 'Ġ'
 * ```
 */
export const byteCharacters: readonly string[] = characters();

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const literal = { single_word: false, lstrip: false, rstrip: false, normalized: false };
const bytePairModel = {
  type: 'BPE',
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: '',
  end_of_word_suffix: '',
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
};

/** `tokenizer.json` in the form of Hugging Face's tokenizers, as they write GPT-2's. */
function tokenizerObject({ vocabulary, merges, endOfText, cutsIntoWords }: BytePairs): object {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [{ id: endOfText, content: endOfTextMark, ...literal, special: true }],
    normalizer: null,
    pre_tokenizer: { ...byteLevel, use_regex: cutsIntoWords },
    post_processor: { ...byteLevel, trim_offsets: false },
    decoder: byteLevel,
    model: { ...bytePairModel, vocab: { ...vocabulary, [endOfTextMark]: endOfText }, merges },
  };
}

function filesOf(pairs: BytePairs): TokenizerFiles {
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: endOfTextMark,
    eos_token: endOfTextMark,
    unk_token: endOfTextMark,
    add_prefix_space: false,
    clean_up_tokenization_spaces: false,
  };
  return {
    'tokenizer.json': `${JSON.stringify(tokenizerObject(pairs))}\n`,
    'tokenizer_config.json': `${JSON.stringify(config, null, 2)}\n`,
  };
}

/** One token per byte, in the form of Hugging Face's tokenizers. */
export function byteTokenizerFiles(): TokenizerFiles {
  const vocabulary = Object.fromEntries(byteCharacters.map((character, byte) => [character, byte]));
  return filesOf({ vocabulary, merges: [], endOfText: 256, cutsIntoWords: false });
}

let gpt2Files: Promise<TokenizerFiles> | undefined;

/**
 * GPT-2's byte pairs in the form of Hugging Face's tokenizers; the merges follow from the ranks of the tokens.
 * Worked out once.
 */
export function gpt2TokenizerFiles(): Promise<TokenizerFiles> {
  gpt2Files ??= workOutGpt2Files();
  return gpt2Files;
}

async function workOutGpt2Files(): Promise<TokenizerFiles> {
  const { default: ranked } = await import('gpt-tokenizer/bpeRanks/r50k_base');
  const tokens = ranked.map(token =>
    Array.from(typeof token === 'string' ? Buffer.from(token) : token, byte => byteCharacters[byte]!).join(
      '',
    ),
  );
  const ranks = new Map(tokens.map((token, rank) => [token, rank]));
  const merges = tokens.filter(token => token.length > 1).map(token => mergeOf(token, ranks).join(' '));
  const vocabulary = Object.fromEntries(ranks);
  return filesOf({ vocabulary, merges, endOfText: tokens.length, cutsIntoWords: true });
}

/** The two tokens that a token is made of: what byte-pair encoding reaches by the merges before its own. */
function mergeOf(token: string, ranks: ReadonlyMap<string, number>): string[] {
  const own = ranks.get(token)!;
  let parts = token.split('');
  while (parts.length > 2) {
    const pairs = parts.slice(1).map((right, index) => ranks.get(parts[index]! + right) ?? Infinity);
    const lowest = Math.min(...pairs);
    if (lowest >= own) break;
    const at = pairs.indexOf(lowest);
    parts = [...parts.slice(0, at), parts[at]! + parts[at + 1]!, ...parts.slice(at + 2)];
  }
  return parts;
}
