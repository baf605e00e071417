import { dominatingMixture, type SensitivityMixture } from './dominating.ts';

/**
 * The number of marked ones among `draws` of a population without replacement, as a mixture that dominates it.
 *
 * @param options - population: whole; marked: whole, at most population and 10,000; draws: whole, at most population
 * @example
 * ```ts
 * const mixture = hypergeometricMixture({ population: 4, marked: 2, draws: 2 });
 * mixture.sensitivities; // [0, 1, 2]
 * mixture.probabilities[2]; // ~0.1666666667
 * ```
 */
export function hypergeometricMixture(options: {
  population: number;
  marked: number;
  draws: number;
}): SensitivityMixture {
  const { population, marked, draws } = options;
  const unmarked = population - marked;
  const lowest = Math.max(0, draws - unmarked);
  const highest = Math.min(marked, draws);
  const centre = Math.floor((marked + 1) * ((draws + 1) / (population + 2)));
  const mode = Math.min(highest, Math.max(lowest, centre));
  const ratioAt = (j: number): number =>
    ((marked - j) / (j + 1)) * ((draws - j) / (unmarked - draws + j + 1));
  return dominatingMixture({ lowest, highest, mode, ratioAt });
}
