/** A distribution over sensitivities: ascending values and their probabilities. */
export interface SensitivityMixture {
  readonly sensitivities: number[];
  readonly probabilities: number[];
}

// Mass that may be moved up; far below every delta that anybody states.
const negligible = 1e-40;

// Products of at most 10,000 ratios, each within three roundings of the exact ratio.
const relativeError = 1e-11;

/**
 * Binomial(trials, probability) as a mixture that dominates it.
 *
 * Ratios of neighbouring terms are multiplied outward from the mode, so no term loses digits to a cancellation.
 * Every term is then raised by 1e-11 of itself, more than its rounding error, at the cost of the lowest ones.
 * Below, terms with at most 1e-40 together join the first that is kept; above, they join `trials`.
 *
 * @param options - trials: whole, >= 1; probability: in (0, 1)
 * @example
 * ```ts
 * binomialMixture({ trials: 2, probability: 0.5 }).sensitivities; // [0, 1, 2]
 * ```
 */
export function binomialMixture(options: { trials: number; probability: number }): SensitivityMixture {
  const terms = binomialTerms(options);
  const [first, last] = [firstKept(terms), lastKept(terms)];
  const sensitivities = range(first, last);
  const raised = sensitivities.map(count => terms[count]! * (1 + relativeError));
  if (last < options.trials) {
    sensitivities.push(options.trials);
    raised.push(negligible);
  }
  return fillFromAbove(sensitivities, raised);
}

/** Hands out a mass of one from the largest sensitivity down; the lowest gets what is left. */
function fillFromAbove(sensitivities: number[], raised: readonly number[]): SensitivityMixture {
  const probabilities = raised.map(() => 0);
  let left = 1;
  for (let j = raised.length - 1; j > 0; j -= 1) {
    probabilities[j] = Math.min(left, raised[j]!);
    left -= probabilities[j]!;
  }
  probabilities[0] = left;
  const kept = probabilities.findIndex(probability => probability > 0);
  return { sensitivities: sensitivities.slice(kept), probabilities: probabilities.slice(kept) };
}

function binomialTerms({ trials, probability }: { trials: number; probability: number }): Float64Array {
  const terms = new Float64Array(trials + 1);
  const mode = Math.min(trials, Math.floor((trials + 1) * probability));
  const odds = probability / (1 - probability);
  terms[mode] = 1;
  for (let j = mode; j < trials; j += 1) terms[j + 1] = (terms[j]! * (trials - j) * odds) / (j + 1);
  for (let j = mode; j > 0; j -= 1) terms[j - 1] = (terms[j]! * j) / ((trials - j + 1) * odds);
  const total = terms.toSorted().reduce((a, b) => a + b, 0);
  return terms.map(term => term / total);
}

function firstKept(terms: Float64Array): number {
  let mass = 0;
  for (let j = 0; ; j += 1) {
    mass += terms[j]!;
    if (mass > negligible / 2) return j;
  }
}

function lastKept(terms: Float64Array): number {
  let mass = 0;
  for (let j = terms.length - 1; ; j -= 1) {
    mass += terms[j]!;
    if (mass > negligible / 2) return j;
  }
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
