import type { Interval } from '../accounting/index.ts';
import type { Plan } from '../accounting/plan.ts';

const unbounded =
  'No upper bound on epsilon is proved for this sampling: epsilonLower says how bad the guarantee is at least, not how good.';

/**
 * What is promised to the people behind a trained model, as it stands in the model's files.
 *
 * @param run - epsilon: at the plan's δ, after all steps counted; steps: how many those are
 * @returns `epsilonUpper` is null where no upper bound is proved, which `note` then says in words; `epsilonLower`
 *   is there in any case
 */
export function guaranteeOf(
  { delta, neighbours, mechanism, sampler }: Plan,
  run: { epsilon: Interval; steps: number },
): Readonly<Record<string, unknown>> {
  const { lower, upper } = run.epsilon;
  const isProved = Number.isFinite(upper);
  return {
    unit: 'user',
    epsilonUpper: isProved ? upper : null,
    epsilonLower: lower,
    ...(isProved ? {} : { note: unbounded }),
    delta,
    neighbours,
    mechanism,
    sampling: sampler.kind,
    steps: run.steps,
  };
}
