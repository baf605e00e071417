import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import type { LanguageModel } from '../language-model.ts';
import { readJsonObject, type JsonObject } from './json.ts';
import { fileNames } from './model-folder.ts';
import type { StoredModel } from './stored-model.ts';
import { openTokenizerFiles, readTokenizerFiles } from './tokenizer-file.ts';
import { openTokenizer, tokenizerNames, type Tokenizer } from './tokenizer.ts';
import { loadModel, type LoadOptions, type Provenance } from './weights.ts';

/** What a folder doesn't say of itself. */
export interface OpenOptions extends Pick<LoadOptions, 'base'> {
  /** Whether the text that the model was trained on is public, where no file says it; whoever gives it vouches for it. */
  readonly trainedOn?: Provenance['trainedOn'] | undefined;
}

/**
 * Reads a model and its tokenizer from a folder: one that this package wrote, a GPT-2 in Hugging Face's form, or
 * an adapter in PEFT's form. It is private where the folder or the caller says so.
 *
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where the parts don't fit together, the tokenizer has tokens
 *   that the model lacks, or nobody says where the model is from
 */
export async function openLanguageModel(folder: string, options: OpenOptions = {}): Promise<LanguageModel> {
  const { trainedOn, base } = options;
  const provenance = trainedOn === undefined ? undefined : { trainedOn, tokenizer: 'tokenizer.json' };
  const stored = await loadModel(folder, { provenance, base });
  const tokenizer = await tokenizerOf(stored, folder);
  checkVocabulary(stored, { tokenizer, folder });
  return { ...stored, tokenizer, provenance: { ...stored.provenance, tokenizer: tokenizer.name } };
}

/**
 * The tokenizer that a name or a folder stands for: `bytes`, `gpt2`, or a folder in Hugging Face's form.
 *
 * @throws DpError `INVALID_ARGUMENT` where it is neither; `INVALID_DATA` where the folder's files are broken
 */
export async function openTokenizerFrom(nameOrFolder: string): Promise<Tokenizer> {
  if (tokenizerNames.some(name => name === nameOrFolder)) return openTokenizer(nameOrFolder);
  const files = await readTokenizerFiles(nameOrFolder);
  if (files === undefined) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot open the tokenizer: ${nameOrFolder} is none of ${tokenizerNames.join(', ')}, nor a folder with tokenizer.json. ` +
        'Give a name or such a folder.',
    );
  }
  const config = join(nameOrFolder, fileNames.config);
  const described: JsonObject = existsSync(config) ? await readJsonObject(config) : {};
  const { eos_token_id: endOfText } = described;
  return openTokenizerFiles(files, typeof endOfText === 'number' ? { endOfText } : {});
}

async function tokenizerOf({ provenance, source }: StoredModel, folder: string): Promise<Tokenizer> {
  const endOfText = source?.config['eos_token_id'];
  for (const place of new Set([folder, source?.folder ?? folder])) {
    const files = await readTokenizerFiles(place);
    if (files !== undefined)
      return openTokenizerFiles(files, typeof endOfText === 'number' ? { endOfText } : {});
  }
  if (tokenizerNames.some(name => name === provenance.tokenizer)) return openTokenizer(provenance.tokenizer);
  throw new DpError(
    'MISSING_FILE',
    `Cannot load the model: ${folder} has no tokenizer.json, and no vocab.json with merges.txt. Put them there.`,
  );
}

function checkVocabulary(
  { spec }: StoredModel,
  { tokenizer, folder }: { tokenizer: Tokenizer; folder: string },
): void {
  const { vocabularySize } = spec.config;
  if (tokenizer.vocabularySize <= vocabularySize) return;
  throw new DpError(
    'INVALID_DATA',
    `Cannot load the model: the tokenizer in ${folder} has ${tokenizer.vocabularySize} tokens, the model ${vocabularySize}. ` +
      'Give the tokenizer that the model was trained with.',
  );
}
