/** A distribution over sensitivities: ascending values and their probabilities. */
export interface SensitivityMixture {
  readonly sensitivities: number[];
  readonly probabilities: number[];
}

// Mass that may be moved up; far below every delta that anybody states.
const negligible = 1e-40;

// Products of at most 10,000 ratios, each within three roundings of the exact ratio.
const relativeError = 1e-11;

/** Probabilities of whole numbers, by ratios outward from a number that is nearly the likeliest. */
export interface RatioTerms {
  readonly lowest: number;
  readonly highest: number;
  readonly mode: number;
  /** Probability of j + 1 ÷ probability of j. */
  readonly ratioAt: (j: number) => number;
}

/**
 * A law on whole numbers as a mixture that dominates it: no term loses digits to a cancellation, for ratios of neighbouring terms
 * are multiplied outward from the mode, and every error goes towards larger numbers.
 *
 * Terms are raised by 1e-11 of themselves, more than the rounding of 10,000 ratios, at the cost of the lowest ones. Below, terms
 * with at most 1e-40 together join the first that is kept; above, they join `highest`.
 *
 * @example
 * ```ts
 * dominatingMixture({ lowest: 0, highest: 2, mode: 1, ratioAt: j => (2 - j) / (j + 1) }).probabilities[2]; // ~0.2500000000
 * ```
 */
export function dominatingMixture(law: RatioTerms): SensitivityMixture {
  const terms = termsOf(law);
  const [first, last] = [firstKept(terms), lastKept(terms)];
  const sensitivities = Array.from({ length: last - first + 1 }, (_, j) => law.lowest + first + j);
  const raised = Array.from(terms.subarray(first, last + 1), term => term * (1 + relativeError));
  if (last < terms.length - 1) {
    sensitivities.push(law.highest);
    raised.push(negligible);
  }
  return fillFromAbove(sensitivities, raised);
}

function termsOf({ lowest, highest, mode, ratioAt }: RatioTerms): Float64Array {
  const terms = new Float64Array(highest - lowest + 1);
  terms[mode - lowest] = 1;
  for (let j = mode; j < highest; j += 1) terms[j + 1 - lowest] = terms[j - lowest]! * ratioAt(j);
  for (let j = mode; j > lowest; j -= 1) terms[j - 1 - lowest] = terms[j - lowest]! / ratioAt(j - 1);
  const total = terms.toSorted().reduce((a, b) => a + b, 0);
  return terms.map(term => term / total);
}

/** Hands out a mass of one from the largest number down; the lowest gets what is left. */
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
