import type { RepeatAndSelectEvent } from '../event.ts';
import { minimise } from '../numerics/minimise.ts';
import { deltaOfCurve, orderAt, type RenyiCurve } from './conversion.ts';

/**
 * RDP of running something a random number of times and releasing the best result alone, from the RDP of one run.
 *
 * Papernot and Steinke (arXiv 2110.03620). Truncated negative binomial (Theorem 2):
 * ε'(λ) = ε(λ) + log E[K] / (λ-1) + (1+η) min over λ₂ >= 1 of ((1 - 1/λ₂) ε(λ₂) + log(1/γ) / λ₂).
 * Poisson (Theorem 6): ε'(λ) = ε(λ) + μ δ̂ + log μ / (λ-1), where one run is (log(1 + 1/(λ-1)), δ̂)-DP; δ̂ comes from the curve.
 * A mean of 1 without Poisson is one run, exactly.
 *
 * @param options - meanRuns: >= 1 for a shape, > 0 for Poisson; shape: above -1
 * @example
 * ```ts
 * const curve = repeatAndSelectCurve(order => order / 200, { meanRuns: 10, shape: 1 });
 * curve(30); // ~0.6486
 * ```
 */
export function repeatAndSelectCurve(
  curve: RenyiCurve,
  options: Pick<RepeatAndSelectEvent, 'meanRuns' | 'shape'>,
): RenyiCurve {
  const { meanRuns, shape } = options;
  if (shape === 'poisson') return poissonRuns(curve, meanRuns);
  if (meanRuns === 1) return curve;
  const added = (1 + shape) * selectionCost(curve, runsParameter({ meanRuns, shape }));
  return order => (curve(order) + Math.log(meanRuns) / (order - 1) + added) * raise;
}

const raise = 1 + 1e-12;

function poissonRuns(curve: RenyiCurve, mean: number): RenyiCurve {
  return order => {
    const single = curve(order);
    if (single === Infinity) return Infinity;
    const { upper: delta } = deltaOfCurve(curve, Math.log1p(1 / (order - 1)) * (1 - 1e-15));
    return (single + mean * delta + Math.max(0, Math.log(mean)) / (order - 1)) * raise;
  };
}

/** min over λ₂ of ((λ₂ - 1) ε(λ₂) + log(1/γ)) / λ₂: a convex function over a line, so there is one minimum. */
function selectionCost(curve: RenyiCurve, logInverse: number): number {
  const best = minimise(logExcess => {
    const { order, excess } = orderAt(logExcess);
    return excess === 0 ? logInverse : (excess * curve(order) + logInverse) / order;
  });
  return Math.min(best.value, logInverse);
}

/**
 * The parameter γ of the truncated negative binomial law with a given mean, as log(1/γ), from above.
 *
 * The mean is η (1/γ - 1) / (1 - γ^η), for η = 0 (1/γ - 1) / log(1/γ); it rises with log(1/γ), which is found by bisection.
 *
 * @param options - meanRuns: > 1; shape: η above -1
 * @example
 * ```ts
 * runsParameter({ meanRuns: 8, shape: 1 }); // ~2.0794415417
 * ```
 */
export function runsParameter(options: { readonly meanRuns: number; readonly shape: number }): number {
  const { shape } = options;
  const target = Math.log(options.meanRuns);
  let [low, high] = [0, 1];
  while (logMean(high, shape) < target && high < 1e300) [low, high] = [high, high * 2];
  while (high - low > high * 1e-15) {
    const middle = low + (high - low) / 2;
    if (middle === low || middle === high) break;
    if (logMean(middle, shape) < target) low = middle;
    else high = middle;
  }
  // The mean rises at a rate of at least (1 + η) / 2, or of 1/2, so that this is more than its rounding.
  return high * (1 + 1e-13) + 1e-14 / Math.min(1, 1 + shape);
}

/** log of the mean, given log(1/γ). */
function logMean(logInverse: number, shape: number): number {
  const tilt = shape * logInverse;
  return logInverse - logTilt(logInverse) + logTilt(Math.abs(tilt)) + Math.min(0, tilt);
}

/** log(t / (1 - e^-t)). */
function logTilt(t: number): number {
  return t === 0 ? 0 : Math.log(t / -Math.expm1(-t));
}
