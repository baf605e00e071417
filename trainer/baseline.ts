import type { UserTokens } from './data.ts';
import type { Engine } from './engines/engine.ts';
import { evaluate, type Perplexity } from './evaluate.ts';
import { checkTokens } from './fit.ts';
import type { LanguageModel } from './language-model.ts';
import { trainOrdinarily, type OrdinaryProgress, type OrdinarySettings } from './ordinary.ts';
import { withTrainable } from './parameters.ts';
import type { LossPoint } from './settings.ts';

/** What to train without privacy. */
export interface BaselineOptions {
  readonly users: readonly UserTokens[];
  readonly heldOut: readonly UserTokens[];
  readonly model: LanguageModel;
  readonly engine: Engine;
  readonly settings: OrdinarySettings;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: OrdinaryProgress) => void;
}

/** What training without privacy gives back; none of it is private. */
export interface BaselineResult {
  readonly perplexity: { readonly before: Perplexity; readonly after: Perplexity } | null;
  readonly steps: number;
  readonly seconds: number;
  readonly lossCurve: readonly LossPoint[];
  readonly model: LanguageModel;
}

/**
 * Ordinary fine-tuning on users' text: the baseline that shows what privacy costs. It protects
 * nobody; its model is marked private and is never to be published or used as a scorer.
 *
 * @throws `INVALID_DATA` where there is nothing to train on; `INTERRUPTED` after `signal`
 */
export async function trainWithoutPrivacy(options: BaselineOptions): Promise<BaselineResult> {
  const started = performance.now();
  const { users, heldOut, model, engine, settings, signal, onProgress } = options;
  checkTokens([...users, ...heldOut], model.spec.config.vocabularySize);
  const sequences = users.flatMap(user => user.records.map(record => record.tokens));
  const { parameters, lossCurve } = await trainOrdinarily({
    model,
    sequences,
    settings,
    engine,
    signal,
    onProgress,
  });
  const trained: LanguageModel = {
    ...model,
    parameters: withTrainable(model, parameters),
    provenance: { trainedOn: 'private', tokenizer: model.tokenizer.name },
  };
  const perplexity =
    heldOut.length === 0
      ? null
      : {
          before: await evaluate(model, { users: heldOut, engine }),
          after: await evaluate(trained, { users: heldOut, engine }),
        };
  const seconds = (performance.now() - started) / 1000;
  return { perplexity, steps: settings.steps, seconds, lossCurve, model: trained };
}
