import type { Interval } from '../accountant.ts';
import { flattenEvent, type DpEvent, type Neighbours } from '../event.ts';
import { compositionsOf, directionsOf, partWithoutLaws } from '../laws/composition.ts';
import { gridComposer } from '../pld/pld.ts';
import { composedEpsilon } from '../profiles/search.ts';

/** Whether the larger table is the first of the pair, or the second. */
export type Direction = 'remove' | 'add';

/** Epsilon by direction; a direction that is like the other one, or of which nothing is proved, is left out. */
export type DirectionEpsilons = { readonly [direction in Direction]?: Interval };

/** More steps take the grid too far, and nobody printed one direction of them. */
const mostSteps = 1e8;

/**
 * Epsilon of each direction alone, of which the larger one is the guarantee. Some accountants gave one of them only.
 *
 * @example
 * ```ts
 * const step = { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 1, samplingProbability: 0.01 } as const;
 * const { remove, add } = directionEpsilons(
 *   { kind: 'repeated', event: step, count: 1000 },
 *   { delta: 1e-5, neighbours: 'add-or-remove' },
 * );
 * remove.upper; // ~1.83
 * add.upper; // ~1.417
 * ```
 */
export function directionEpsilons(
  event: DpEvent,
  { delta, neighbours }: { readonly delta: number; readonly neighbours: Neighbours },
): DirectionEpsilons {
  const isMany = flattenEvent(event).reduce((sum, { count }) => sum + count, 0) > mostSteps;
  if (isMany || delta === 0 || partWithoutLaws(event, neighbours) !== undefined) return {};
  const { dominating, attained } = compositionsOf(event, { neighbours, verb: 'account for one direction' });
  if (dominating === undefined || dominating !== attained || dominating.steps.length === 0) return {};
  const directions = directionsOf(dominating);
  if (directions.length < 2) return {};
  return Object.fromEntries(
    directions.map(composition => [
      composition.direction,
      composedEpsilon([composition], { delta, relativeGap: 1e-3 }, gridComposer).bound,
    ]),
  );
}
