import { dominatingMixture, type SensitivityMixture } from './dominating.ts';

/**
 * Binomial(trials, probability) as a mixture that dominates it.
 *
 * @param options - trials: whole, >= 1; probability: in (0, 1)
 * @example
 * ```ts
 * binomialMixture({ trials: 2, probability: 0.5 }).sensitivities; // [0, 1, 2]
 * ```
 */
export function binomialMixture(options: { trials: number; probability: number }): SensitivityMixture {
  const { trials, probability } = options;
  const odds = probability / (1 - probability);
  return dominatingMixture({
    lowest: 0,
    highest: trials,
    mode: Math.min(trials, Math.floor((trials + 1) * probability)),
    ratioAt: j => ((trials - j) * odds) / (j + 1),
  });
}
