import type { ClaimMechanism } from './claim.ts';
import { treeSensitivity, type SensitivityBounds } from './tree-sensitivity.ts';

/** Bounds of recent trees: a search asks for the same ones again and again. */
const kept = new Map<string, SensitivityBounds>();
const mostKept = 64;

/**
 * Bounds on the sensitivity of a tree aggregation in units of the clip norm; undefined where its steps, its restarts or the
 * participations of a unit are not stated, and for other mechanisms.
 *
 * Nodes lie closest where a separation is the distance of two steps; as the number of steps between them it is one more.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * const sampler = { kind: 'min_separation', min_separation: 313, max_participations: 6 };
 * const claim = claimOf({ mechanisms: [{ kind: 'dp_ftrl_tree', steps: 2000, restarts: 0, sampler }] });
 * treeBounds(claim.mechanisms[0]).upper ** 2; // ~79
 * ```
 */
export function treeBounds(mechanism: ClaimMechanism): SensitivityBounds | undefined {
  const { kind, restarts } = mechanism;
  const steps = stepsOf(mechanism);
  const participation = steps === undefined ? undefined : participationOf(mechanism, steps);
  if (kind !== 'dp_ftrl_tree' || restarts === null || steps === undefined || participation === undefined)
    return undefined;
  const { most, least, closest, farthest } = participation;
  const shared = { steps, restarts: Math.min(restarts, steps - 1) };
  const { upper } = bounds({ ...shared, maxParticipations: most, separation: closest });
  const { lower } = bounds({ ...shared, maxParticipations: least, separation: farthest });
  return { lower: Math.min(lower, upper), upper };
}

function bounds(run: Parameters<typeof treeSensitivity>[0]): SensitivityBounds {
  const key = JSON.stringify(run);
  const found = kept.get(key) ?? treeSensitivity(run);
  if (kept.size >= mostKept) kept.clear();
  kept.set(key, found);
  return found;
}

/** Stated steps, or those of epochs of a whole number of batches. */
function stepsOf(mechanism: ClaimMechanism): number | undefined {
  const { steps, epochs } = mechanism;
  const perEpoch = perEpochOf(mechanism);
  if (steps !== null) return steps;
  if (epochs === null || !Number.isInteger(perEpoch * epochs)) return undefined;
  return perEpoch * epochs;
}

function perEpochOf({ n_units: units, sampler }: ClaimMechanism): number {
  return units === null || sampler.batch_size === null ? Number.NaN : units / sampler.batch_size;
}

interface Participation {
  /** Participations that are possible, and those that are sure to be. */
  readonly most: number;
  readonly least: number;
  /** Steps from one to the next, the fewest that are possible and the fewest that are sure to be. */
  readonly closest: number;
  readonly farthest: number;
}

const oneEachEpoch: ReadonlySet<string | null> = new Set([
  'fixed_order',
  'shuffle_each_epoch',
  'shuffle_once',
]);

function participationOf(mechanism: ClaimMechanism, steps: number): Participation | undefined {
  const { sampler, epochs } = mechanism;
  const { min_separation: separation, max_participations: stated, kind } = sampler;
  const passes = epochs !== null && oneEachEpoch.has(kind) ? Math.ceil(epochs) : null;
  if (separation !== null) {
    const most = stated ?? passes ?? steps;
    return { most, least: most, closest: separation, farthest: separation + 1 };
  }
  const most = stated ?? passes;
  if (most === null) return undefined;
  const perEpoch = Math.floor(perEpochOf(mechanism));
  const isCyclic = (kind === 'fixed_order' || kind === 'shuffle_once') && perEpoch >= 1;
  if (isCyclic) return { most, least: most, closest: perEpoch, farthest: perEpoch + 1 };
  return { most, least: 1, closest: 1, farthest: 1 };
}
