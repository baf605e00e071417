import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { canonicalJson, sha256 } from '../digest.ts';
import { isObject, parseJson, readText, type JsonObject } from './json.ts';
import { endOfTextMark, type TokenizerFiles } from './tokenizer-export.ts';
import { byteTokenizer, decodeBetween, gpt2Tokenizer, type Tokenizer } from './tokenizer.ts';

/** The part of `@huggingface/tokenizers` that we use; its ids follow from our arguments alone. */
interface HuggingFaceTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { clean_up_tokenization_spaces: boolean }): string;
}

interface SpecialToken {
  readonly id: number;
  readonly content: string;
}

/** A tokenizer's files as far as they were understood. */
interface Parts {
  readonly tokenizer: JsonObject;
  readonly config: JsonObject;
  /** Tokens that text never becomes. */
  readonly special: readonly SpecialToken[];
  /** Tokens that were added later and that text does become. */
  readonly added: readonly unknown[];
}

const tokenizerFile = 'tokenizer.json';
const configFile = 'tokenizer_config.json';
const kept = [tokenizerFile, configFile, 'special_tokens_map.json', 'vocab.json', 'merges.txt'];

function invalid(reason: string): DpError {
  return new DpError('INVALID_DATA', `Cannot open the tokenizer: ${reason}. Restore its files.`);
}

/**
 * The files of a tokenizer in a folder: `tokenizer.json` or `vocab.json` with `merges.txt`, and what describes them.
 *
 * @returns undefined where the folder has none
 */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles | undefined> {
  const names = kept.filter(name => existsSync(join(folder, name)));
  const isWhole =
    names.includes(tokenizerFile) || (names.includes('vocab.json') && names.includes('merges.txt'));
  if (!isWhole) return undefined;
  const files: Record<string, string> = {};
  for (const name of names) files[name] = await readText(join(folder, name));
  return files;
}

function objectOf(text: string | undefined, name: string): JsonObject {
  const value = text === undefined ? {} : parseJson(text);
  if (isObject(value)) return value;
  throw invalid(`${name} holds no JSON object`);
}

/** What `tokenizer.json` would say for GPT-2's older pair of files. */
function fromPair(files: TokenizerFiles): JsonObject {
  const vocab = objectOf(files['vocab.json'], 'vocab.json');
  const lines = (files['merges.txt'] ?? '').split('\n').map(line => line.trimEnd());
  const merges = lines.filter(line => line !== '' && !line.startsWith('#version'));
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const id = vocab[endOfTextMark];
  return {
    added_tokens: id === undefined ? [] : [{ id, content: endOfTextMark, special: true }],
    pre_tokenizer: bytes,
    decoder: bytes,
    model: { type: 'BPE', vocab, merges },
  };
}

function isToken(value: unknown): value is SpecialToken & JsonObject {
  return isObject(value) && Number.isSafeInteger(value['id']) && typeof value['content'] === 'string';
}

function partsOf(files: TokenizerFiles): Parts {
  const text = files[tokenizerFile];
  const tokenizer = text === undefined ? fromPair(files) : objectOf(text, tokenizerFile);
  if (!isObject(tokenizer['model'])) throw invalid(`${tokenizerFile} describes no model`);
  const tokens: readonly unknown[] = Array.isArray(tokenizer['added_tokens'])
    ? tokenizer['added_tokens']
    : [];
  if (!tokens.every(isToken)) throw invalid(`${tokenizerFile} describes its added_tokens wrongly`);
  return {
    tokenizer,
    config: objectOf(files[configFile], configFile),
    special: tokens.filter(token => token['special'] === true),
    added: tokens.filter(token => token['special'] !== true),
  };
}

/** Ids by token, as far as the model lists them. */
function vocabularyOf({ tokenizer }: Parts): ReadonlyMap<string, number> {
  const vocab = isObject(tokenizer['model']) ? tokenizer['model']['vocab'] : undefined;
  if (Array.isArray(vocab)) return new Map(vocab.map((entry, id) => [String([entry].flat()[0]), id]));
  if (!isObject(vocab)) throw invalid(`${tokenizerFile} lists no vocabulary`);
  const entries = Object.entries(vocab).map(([token, id]) => [token, Number(id)] as const);
  if (entries.every(([, id]) => Number.isSafeInteger(id) && id >= 0)) return new Map(entries);
  throw invalid(`${tokenizerFile} lists tokens without ids`);
}

function endOf(
  parts: Parts,
  options: { vocabulary: ReadonlyMap<string, number>; endOfText?: number },
): SpecialToken {
  const { config, special } = parts;
  const { vocabulary, endOfText } = options;
  const named = isObject(config['eos_token']) ? config['eos_token']['content'] : config['eos_token'];
  for (const content of [named, endOfText === undefined ? endOfTextMark : undefined]) {
    if (typeof content !== 'string') continue;
    const id = special.find(token => token.content === content)?.id ?? vocabulary.get(content);
    if (id !== undefined) return { id, content };
  }
  const [content] = [...vocabulary].find(([, id]) => id === endOfText) ?? [];
  const known = special.find(({ id }) => id === endOfText)?.content ?? content;
  if (endOfText !== undefined && known !== undefined) return { id: endOfText, content: known };
  throw invalid(`nothing says which token ends a text, such as eos_token in ${configFile}`);
}

/** Hash of what the ids depend on. */
function identityOf({ tokenizer, config, added }: Parts): string {
  const { normalizer = null, pre_tokenizer: words = null, model } = tokenizer;
  const { remove_space: space = null, do_lowercase_and_remove_accent: lower = null } = config;
  const described = {
    normalizer,
    words: wordIdentity(words),
    model: modelIdentity(model),
    added,
    space,
    lower,
  };
  return sha256(canonicalJson(described));
}

/** The settings of GPT-2's way to cut words that matter, whether they are spelled out or not. */
function wordIdentity(words: unknown): unknown {
  if (!isObject(words) || words['type'] !== 'ByteLevel') return words;
  const { add_prefix_space: prefix = false, use_regex: cuts = true } = words;
  return { type: 'ByteLevel', prefix, cuts };
}

/** A model of byte pairs by its settings that are not at their defaults; its long lists by their hash. */
function modelIdentity(model: unknown): unknown {
  if (!isObject(model) || !Array.isArray(model['merges']) || !isObject(model['vocab'])) return model;
  const { type = 'BPE', vocab, merges, ...settings } = model;
  const tokens = Object.entries(vocab).sort(([, a], [, b]) => Number(a) - Number(b));
  const pairs = merges.map(merge => (Array.isArray(merge) ? merge.join(' ') : String(merge)));
  const set = Object.entries(settings).filter(
    ([, value]) => value !== null && value !== false && value !== '',
  );
  const lists = sha256(JSON.stringify([tokens, pairs]));
  return { type, settings: Object.fromEntries(set), lists };
}

/** Identities of this package's own tokenizers, so that their files are known again wherever they come from. */
const builtIn: Readonly<Record<string, () => Promise<Tokenizer>>> = {
  '8f22fb82c19111695d0ec704f99bb2d295e4405f5980ea05732dd2a196309342': () => Promise.resolve(byteTokenizer()),
  '1b8a6070c573ae41b656898af8aed10cb69504cb1e5858729b9404954fa9358b': gpt2Tokenizer,
};

/**
 * The tokenizer that files in Hugging Face's form describe. Special tokens, end-of-text among them, are ordinary
 * text where a text spells them: no record can forge the end of a text. Files that describe one of this
 * package's own tokenizers give that one.
 *
 * @param options - endOfText: the id in the model's configuration, for files that name none
 * @throws DpError `INVALID_DATA`
 */
export async function openTokenizerFiles(
  files: TokenizerFiles,
  options: { endOfText?: number } = {},
): Promise<Tokenizer> {
  const parts = partsOf(files);
  const end = endOf(parts, { ...options, vocabulary: vocabularyOf(parts) });
  const own = await builtIn[identityOf(parts)]?.();
  return own?.endOfText === end.id ? own : fileTokenizer(files, options);
}

/** The same by the files alone, also where they describe one of this package's tokenizers. */
export async function fileTokenizer(
  files: TokenizerFiles,
  options: { endOfText?: number } = {},
): Promise<Tokenizer> {
  const parts = partsOf(files);
  const vocabulary = vocabularyOf(parts);
  const end = endOf(parts, { ...options, vocabulary });
  const marks = new Map([...parts.special, end].map(({ id, content }) => [id, content]));
  const ids = [...vocabulary.values(), ...marks.keys(), ...parts.added.filter(isToken).map(({ id }) => id)];
  const vocabularySize = 1 + ids.reduce((most, id) => Math.max(most, id), 0);
  const inner = await build(parts, end);
  return {
    name: tokenizerFile,
    vocabularySize,
    endOfText: end.id,
    encode(text): Int32Array {
      const wellFormed = Buffer.from(text, 'utf8').toString('utf8');
      return checkedIds(inner.encode(wellFormed, { add_special_tokens: false }).ids, {
        vocabularySize,
        endOfText: end.id,
      });
    },
    decode: given =>
      decodeBetween(given, marks, part => inner.decode(part, { clean_up_tokenization_spaces: false })),
    hash: sha256(canonicalJson({ tokenizer: identityOf(parts), version: 1, endOfText: end.id })),
    files: () => Promise.resolve(files),
  };
}

async function build({ tokenizer, config, added }: Parts, end: SpecialToken): Promise<HuggingFaceTokenizer> {
  const { Tokenizer: Inner } = await import('@huggingface/tokenizers');
  const absent = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  try {
    return new Inner(
      { ...absent, ...tokenizer, post_processor: null, added_tokens: added },
      { ...config, eos_token: end.content },
    );
  } catch (cause) {
    throw new DpError(
      'INVALID_DATA',
      `Cannot open the tokenizer: ${tokenizerFile} is of no known kind. Give another.`,
      {
        cause,
      },
    );
  }
}

function checkedIds(
  ids: readonly number[],
  { vocabularySize, endOfText }: { vocabularySize: number; endOfText: number },
): Int32Array {
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index]!;
    if (id >= 0 && id < vocabularySize && id !== endOfText) continue;
    const found = id === endOfText ? 'the end of a text' : 'no token of its vocabulary';
    throw new DpError(
      'INVALID_DATA',
      `Cannot tokenise: the tokenizer makes ${found} out of a piece of text. Give another tokenizer.`,
    );
  }
  return Int32Array.from(ids);
}
