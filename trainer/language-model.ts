import type { Model } from './model/gpt.ts';
import type { Tokenizer } from './model/tokenizer.ts';
import type { Provenance } from './model/weights.ts';

/** A model together with the tokenizer it reads and where its parameters come from. */
export interface LanguageModel extends Model {
  readonly tokenizer: Tokenizer;
  readonly provenance: Provenance;
}
