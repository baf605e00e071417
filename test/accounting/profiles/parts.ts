import { poissonEvent } from '../../../accounting/event.ts';
import { compositionsOf, directionsOf } from '../../../accounting/laws/composition.ts';
import type { RepeatedLoss } from '../../../accounting/laws/cumulants.ts';
import { partsOf } from '../../../accounting/profiles/search.ts';

/** Steps of the Poisson-subsampled Gaussian in the direction of removal, as the accountants see them. */
export function partsOfSteps(
  options: Parameters<typeof poissonEvent>[0] & { readonly logDelta?: number },
): RepeatedLoss[] {
  const { logDelta = Math.log(1e-30), ...step } = options;
  const { dominating } = compositionsOf(poissonEvent(step), { neighbours: 'add-or-remove', verb: 'test' });
  return partsOf(directionsOf(dominating!)[0]!, logDelta);
}
