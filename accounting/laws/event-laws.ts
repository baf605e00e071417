import type { BasicEvent, Neighbours } from '../event.ts';
import { allocationLaws } from './allocation.ts';
import { discreteGaussianLaws, guaranteeLaws, randomisedResponseLaws } from './discrete.ts';
import { fixedSizeLaws } from './fixed-size.ts';
import { gaussianLaws } from './gaussian.ts';
import { laplaceLaws } from './laplace.ts';
import type { EventLaws, LawMaker } from './law.ts';
import { shuffledLaws } from './shuffle.ts';
import { truncatedPoissonLaws } from './truncated.ts';

type Kind = BasicEvent['kind'];
type Makers = { readonly [K in Kind]: LawMaker<Extract<BasicEvent, { kind: K }>> };

const makers: Makers = {
  gaussian: gaussianLaws,
  'poisson-subsampled-gaussian': gaussianLaws,
  'mixture-of-gaussians': gaussianLaws,
  laplace: laplaceLaws,
  'poisson-subsampled-laplace': laplaceLaws,
  'discrete-gaussian': discreteGaussianLaws,
  'randomised-response': randomisedResponseLaws,
  guarantee: guaranteeLaws,
  'fixed-size-gaussian': fixedSizeLaws,
  'truncated-poisson-gaussian': truncatedPoissonLaws,
  'balls-in-bins-gaussian': (event, neighbours) =>
    neighbours === 'replace' ? undefined : allocationLaws(event),
  'shuffled-gaussian': shuffledLaws,
  'repeat-and-select': () => undefined,
};

/** Laws of recent events: calibration and plans ask for the same ones again. */
const kept = new Map<string, EventLaws | undefined>();
const mostKept = 64;

/** With this gap between the bounds laws on a grid may be built in a sixth of the time. */
const [roughGap, roughPoints] = [2e-3, 600];

function roughLaws(event: BasicEvent, neighbours: Neighbours): EventLaws | undefined {
  if (event.kind !== 'balls-in-bins-gaussian' || neighbours === 'replace') return undefined;
  return allocationLaws(event, { points: roughPoints });
}

/** How far the bounds on epsilon may be apart, relative to it. */
export interface LawOptions {
  readonly relativeGap?: number | undefined;
}

/**
 * The laws of a basic event's privacy loss, or undefined where none is known under the relation.
 *
 * @example
 * ```ts
 * lawsOf({ kind: 'guarantee', epsilon: 1, delta: 0 }, 'replace').dominating.remove.highest; // 1
 * lawsOf({ kind: 'randomised-response', randomProbability: 0.5, buckets: 2 }, 'zero-out'); // undefined
 * ```
 */
export function lawsOf(
  event: BasicEvent,
  neighbours: Neighbours,
  { relativeGap = 0 }: LawOptions = {},
): EventLaws | undefined {
  const isRough = relativeGap >= roughGap && event.kind === 'balls-in-bins-gaussian';
  const key = `${isRough ? 'rough' : 'fine'} ${neighbours} ${JSON.stringify(event)}`;
  if (kept.has(key)) return kept.get(key);
  // oxlint-disable-next-line no-unsafe-type-assertion -- the maker was looked up by the event's own kind
  const maker = makers[event.kind] as LawMaker<BasicEvent>;
  const laws = isRough ? roughLaws(event, neighbours) : maker(event, neighbours);
  if (kept.size >= mostKept) kept.clear();
  kept.set(key, laws);
  return laws;
}
