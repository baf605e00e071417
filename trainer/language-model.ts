import type { StoredModel } from './model/stored-model.ts';
import type { Tokenizer } from './model/tokenizer.ts';

/** A model together with the tokenizer it reads and where its parameters come from. */
export interface LanguageModel extends StoredModel {
  readonly tokenizer: Tokenizer;
}
