import type { AdaptiveClipping } from '../../accounting/clipping.ts';
import type { Plan } from '../../accounting/plan.ts';
import type { UserTokens } from '../../trainer/data.ts';
import { planFor } from './toy.ts';

/** An adaptive clip that holds for noise multipliers below 8. */
export const clipping: AdaptiveClipping = {
  kind: 'adaptive',
  targetQuantile: 0.5,
  learningRate: 0.2,
  countNoise: 4,
  minimum: 1e-3,
  maximum: 1e3,
};

/** A plan for these users whose clip adapts. */
export const adaptivePlan = (
  users: readonly UserTokens[],
  changes: Parameters<typeof planFor>[1] & { clip?: Partial<AdaptiveClipping> } = {},
): Plan => {
  const { clip, ...planned } = changes;
  return planFor(users, { clipping: { ...clipping, ...clip }, ...planned });
};
