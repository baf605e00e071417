import type { Accountant, Bound } from './accountant.ts';
import { checkDelta, checkNonNegative } from './check.ts';
import type { DpEvent, Neighbours } from './event.ts';
import { compositionsOf, directionsOf, partWithoutLaws } from './laws/composition.ts';
import { cumulantAt, repeatedLoss } from './laws/cumulants.ts';
import { tabulate } from './laws/table.ts';
import { gaussianDelta, invertDelta } from './profiles/single.ts';

const verb = 'account by the central limit';

/**
 * The central-limit value of Gaussian differential privacy: not a bound on either side, and often too small.
 *
 * Bu, Dong, Long and Su (arXiv 1911.11607): steps that reveal little compose towards one Gaussian whose squared ratio is the sum of
 * the steps' χ² divergences, q² (exp(1/σ²) - 1) for the subsampled Gaussian. For few steps or small δ it can be below the truth by
 * orders of magnitude; it is here because others print it. `upper` is Infinity: nothing is promised.
 *
 * @example
 * ```ts
 * const step = { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 1, samplingProbability: 0.01 } as const;
 * const { value, upper } = gdpAccountant.epsilon(step, { delta: 1e-6, neighbours: 'add-or-remove' });
 * value; // ~0.0451
 * upper; // Infinity
 * ```
 */
export const gdpAccountant: Accountant = {
  name: 'gdp',
  unsupported: partWithoutLaws,
  epsilon: (event, options) => {
    const delta = checkDelta(options.delta, { verb, name: 'delta' });
    const ratio = centralRatio(event, options.neighbours);
    if (!Number.isFinite(ratio)) return estimate(Infinity, ratio);
    const ends = invertDelta(epsilon => gaussianDelta(ratio, epsilon), {
      delta,
      highest: ratio * (ratio + 80),
    });
    return estimate(ends.upper, ratio);
  },
  delta: (event, options) => {
    const epsilon = checkNonNegative(options.epsilon, { verb, name: 'epsilon' });
    const ratio = centralRatio(event, options.neighbours);
    return estimate(Number.isFinite(ratio) ? gaussianDelta(ratio, epsilon).upper : 1, ratio);
  },
};

function estimate(value: number, ratio: number): Bound {
  return { upper: Infinity, value, detail: `central limit, not a bound; ratio ${ratio.toPrecision(5)}` };
}

/** Laws whose tails were cut may have so much infinite loss in place of a tail. */
const negligible = 1e-20;

/** Sensitivity ÷ noise of the Gaussian in the limit, the larger of both directions; Infinity where a step reveals everything. */
function centralRatio(event: DpEvent, neighbours: Neighbours): number {
  const { dominating, attained } = compositionsOf(event, { neighbours, verb });
  const squares = directionsOf((dominating ?? attained)!).map(({ gaussianRatio, steps }) =>
    steps.reduce((sum, { law, count }) => {
      if (law.infinite > negligible) return Infinity;
      // The tilt of a moment of order 2 moves a Gaussian by its shift.
      const shift = law.curves.reduce((most, { steepest }) => Math.max(most, steepest), 0);
      const step = repeatedLoss(tabulate(law, -60 - 2 * shift * shift), count);
      return sum + count * Math.expm1(cumulantAt([{ ...step, count: 1 }], 1).value);
    }, gaussianRatio ** 2),
  );
  return Math.sqrt(Math.max(...squares));
}
