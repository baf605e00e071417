import { DpError } from '../accounting/check.ts';
import { encodeText } from './data.ts';
import { openDeviceModel } from './device.ts';
import type { Engine } from './engines/engine.ts';
import { lossesOf } from './evaluate.ts';
import type { LanguageModel } from './language-model.ts';

/** Scores texts by a frozen public model. */
export interface PerplexityScorer {
  /** Perplexity of each text, >= 1: exp of the mean negative log-likelihood of its tokens and end-of-text. */
  score(texts: readonly string[]): Promise<Float64Array>;
  dispose(): void;
}

/**
 * Opens a public model as the scorer of perplexity-based selection. A score depends on one
 * record and the public model alone, so a user's selection stays a matter of that user.
 *
 * A text longer than the model's context is scored by its beginning.
 *
 * @throws `INVALID_ARGUMENT` where the model was trained on private text: its scores would carry
 *   other users' text into a user's selection, outside of any guarantee
 */
export function perplexityScorer(model: LanguageModel, engine: Engine): PerplexityScorer {
  const { provenance, tokenizer } = model;
  if (provenance.trainedOn !== 'public') {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot score: the model was trained on ${provenance.trainedOn} text. Give a model trained on public text, ` +
        'or a column of scores that come from one.',
    );
  }
  const device = openDeviceModel(model, engine);
  return {
    async score(texts): Promise<Float64Array> {
      const sequences = texts.map(text => encodeText(text, tokenizer));
      const losses = await lossesOf(sequences, { model, device });
      return Float64Array.from(losses, ({ loss, tokens }) => Math.exp(loss / tokens));
    },
    dispose: () => device.dispose(),
  };
}
