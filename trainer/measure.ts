import { canaryLosses } from './canaries/score-canaries.ts';
import type { CanarySet } from './canaries/canaries.ts';
import type { UserTokens } from './data.ts';
import type { DeviceModel } from './device.ts';
import { evaluateOn, type Perplexity } from './evaluate.ts';
import type { LanguageModel } from './language-model.ts';

/** What is seen of a model: how well it predicts held-out users, and the canaries. */
export interface Measured {
  readonly perplexity: Perplexity | null;
  /** Of each canary's text; null without canaries. */
  readonly losses: Float64Array | null;
}

/** Measures the model that the device holds. */
export async function measure(of: {
  readonly heldOut: readonly UserTokens[];
  readonly canaries: CanarySet | undefined;
  readonly model: LanguageModel;
  readonly device: DeviceModel;
}): Promise<Measured> {
  const { heldOut, canaries } = of;
  return {
    perplexity: heldOut.length === 0 ? null : await evaluateOn(heldOut, of),
    losses: canaries === undefined ? null : await canaryLosses(canaries, of),
  };
}

/** Both perplexities; null without held-out users. */
export function perplexities(
  before: Measured,
  after: Measured,
): { readonly before: Perplexity; readonly after: Perplexity } | null {
  const [start, end] = [before.perplexity, after.perplexity];
  return start === null || end === null ? null : { before: start, after: end };
}
