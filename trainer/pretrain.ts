import { checkCount } from '../accounting/check.ts';
import { encodeText } from './data.ts';
import type { Engine } from './engines/engine.ts';
import type { LanguageModel } from './language-model.ts';
import { initialiseParameters, type GptConfig } from './model/gpt.ts';
import type { Tokenizer } from './model/tokenizer.ts';
import { trainOrdinarily, type OrdinaryProgress, type OrdinarySettings } from './ordinary.ts';
import { withTrainable } from './parameters.ts';
import type { LossPoint } from './settings.ts';

/** What to make a public model from. */
export interface PretrainOptions {
  /** Public text only: the model is marked public, and may then score private text for selection. */
  readonly texts: readonly string[];
  /** What the text is, for the model's provenance. */
  readonly corpus: string;
  readonly config: GptConfig;
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
  readonly settings: OrdinarySettings;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: OrdinaryProgress) => void;
}

/** Each text with its end-of-text, cut into stretches of the context; nothing is left out. */
function sequencesOf(texts: readonly string[], options: PretrainOptions): Int32Array[] {
  const { contextLength } = options.config;
  return texts.flatMap(text => {
    const tokens = encodeText(text, options.tokenizer);
    return Array.from({ length: Math.ceil(tokens.length / contextLength) }, (_, piece) =>
      tokens.subarray(piece * contextLength, (piece + 1) * contextLength),
    );
  });
}

/**
 * Trains a small model from scratch on public text, without privacy, as the start of private
 * fine-tuning and as the scorer of perplexity-based selection.
 *
 * @returns a model whose provenance is `public`
 * @throws `INVALID_DATA` where there is no text; `INTERRUPTED` after `signal`
 */
export async function pretrain(
  options: PretrainOptions,
): Promise<{ model: LanguageModel; lossCurve: readonly LossPoint[]; seconds: number }> {
  const started = performance.now();
  const { config, tokenizer, engine, settings, corpus, signal, onProgress } = options;
  checkCount(config.contextLength, { verb: 'pretrain', name: 'contextLength' });
  const spec = { config, lora: null };
  const start: LanguageModel = {
    spec,
    parameters: initialiseParameters(spec, { seed: settings.seed ?? 'pretrain' }),
    tokenizer,
    provenance: { trainedOn: 'public', tokenizer: tokenizer.name, corpus },
  };
  const sequences = sequencesOf(options.texts, options);
  const { parameters, lossCurve } = await trainOrdinarily({
    model: start,
    sequences,
    settings,
    engine,
    signal,
    onProgress,
  });
  const model = { ...start, parameters: withTrainable(start, parameters) };
  return { model, lossCurve, seconds: (performance.now() - started) / 1000 };
}
