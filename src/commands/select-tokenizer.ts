import { openTokenizerFrom, type Tokenizer } from '../../trainer/index.ts';
import type { SelectCommandOptions } from './select-options.ts';

/** The tokenizer, where one was named or the rule counts tokens; it is public either way. */
export function tokenizerFor(options: SelectCommandOptions): Promise<Tokenizer> | undefined {
  const { tokenizer, tokens, chunkTokens, lengthUnit } = options;
  const isNeeded = tokens !== undefined || chunkTokens !== undefined || lengthUnit === 'tokens';
  return tokenizer === undefined && !isNeeded ? undefined : openTokenizerFrom(tokenizer ?? 'bytes');
}
