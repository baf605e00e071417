import type { Accountant } from '../accountant.ts';
import { checkDelta, checkNonNegative, checkPositive, DpError } from '../check.ts';
import type { DpEvent, Neighbours } from '../event.ts';
import { compositionOf, type Composition } from '../laws/composition.ts';
import { gaussianDelta, invertDelta, singleStepDelta } from './single.ts';
import { composedDeltas, composedEpsilon, type CertifiedBound } from './search.ts';
import {
  lossCurve,
  largestShift,
  lossRange,
  tabulate,
  type Direction,
  type ShiftedNoise,
  type TabulatedLoss,
} from '../laws/loss-curve.ts';

/**
 * The privacy-loss-distribution accountant: certified intervals for add-or-remove neighbours.
 *
 * Gaussians alone and single steps are integrated exactly. Compositions are discretised by connecting the dots
 * (Doroshenko et al., arXiv 2207.04380) on a grid chosen for the wanted gap, tilted to the saddle point and composed by FFT;
 * the lower bound is argued in profile.ts. Discretisation, tails, wrap-around and rounding are all inside the interval.
 *
 * @example
 * ```ts
 * const step = { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 1, samplingProbability: 0.01 } as const;
 * const run = { kind: 'repeated', event: step, count: 10000 } as const;
 * const { lower, upper } = pldAccountant.epsilon(run, { delta: 1e-6, neighbours: 'add-or-remove' });
 * upper; // ~6.907
 * upper - lower < 1e-3 * upper; // true
 * ```
 */
export const pldAccountant: Accountant = { name: 'pld', unsupported, epsilon: pldEpsilon, delta: pldDelta };

/** What is asked of the accountant beside ε or δ itself. */
export interface PldOptions {
  readonly neighbours: Neighbours;
  /**
   * Wanted (upper - lower) / ε, > 0; where δ is asked, relative to δ. Left out: 1e-4 where it is cheap, else 1e-3, for δ 2e-3.
   * Whatever is wanted, the interval is valid; it is wider than wanted where the longest transform, 2^22, doesn't suffice.
   */
  readonly relativeGap?: number | undefined;
}

function unsupported(_event: DpEvent, neighbours: Neighbours): string | undefined {
  return neighbours === 'add-or-remove' ? undefined : `${neighbours} neighbours`;
}

/**
 * ε at δ, from both sides.
 *
 * @param options - delta: in (0, 1), at least 1e-290
 * @returns upper is Infinity only where no finite ε can be proven
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT` for other neighbours than add-or-remove
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * pldEpsilon(event, { delta: 1e-6, neighbours: 'add-or-remove' }).upper; // ~4.886554117462
 * ```
 */
export function pldEpsilon(event: DpEvent, options: PldOptions & { readonly delta: number }): CertifiedBound {
  const delta = checkDelta(options.delta, { verb, name: 'delta' });
  if (delta < 1e-290) {
    const reason = `delta ${delta} is below 1e-290, where doubles end`;
    throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${reason}. Give a larger delta.`);
  }
  const composition = readComposition(event, options);
  if (isGaussian(composition))
    return { ...gaussianEpsilon(composition.gaussianRatio, delta), detail: closedForm };
  if (isTooWide(composition, Math.log(delta)))
    return { ...gaussianEpsilon(unsampledRatio(composition), delta), lower: 0, detail: unsampledForm };
  if (!isSingle(composition)) return composedEpsilon(composition, { ...options, delta });
  const tables = singleTables(composition, Math.log(delta) - 30);
  const ends = tables.map(table =>
    invertDelta(epsilon => singleStepDelta(table, epsilon), { delta, highest: highestLoss(table) }),
  );
  return larger(ends);
}

/**
 * δ at ε, from both sides.
 *
 * @param options - epsilon: in nats, >= 0
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT` for other neighbours than add-or-remove
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * pldDelta(event, { epsilon: 1, neighbours: 'add-or-remove' }).lower; // ~0.12693673750664
 * ```
 */
export function pldDelta(event: DpEvent, options: PldOptions & { readonly epsilon: number }): CertifiedBound {
  return pldDeltas(event, { ...options, epsilons: [options.epsilon] })[0]!;
}

/**
 * δ at several ε, from both sides: a privacy profile. Neighbouring ε share one discretisation where it is right enough for both.
 *
 * @param options - epsilons: each in nats, >= 0, in any order
 * @returns one bound for each ε, in their order
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT` for other neighbours than add-or-remove
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * pldDeltas(event, { epsilons: [0, 1], neighbours: 'add-or-remove' }).map(({ upper }) => upper.toFixed(4)); // ['0.3829', '0.1269']
 * ```
 */
export function pldDeltas(
  event: DpEvent,
  options: PldOptions & { readonly epsilons: readonly number[] },
): CertifiedBound[] {
  const epsilons = options.epsilons.map(epsilon => checkNonNegative(epsilon, { verb, name: 'epsilon' }));
  const composition = readComposition(event, options);
  if (isGaussian(composition))
    return epsilons.map(epsilon => ({
      ...gaussianDelta(composition.gaussianRatio, epsilon),
      detail: closedForm,
    }));
  if (isTooWide(composition, -100)) {
    const ratio = unsampledRatio(composition);
    return epsilons.map(epsilon => ({ ...gaussianDelta(ratio, epsilon), lower: 0, detail: unsampledForm }));
  }
  if (!isSingle(composition)) return composedDeltas(composition, { ...options, epsilons });
  return epsilons.map(epsilon => singleDelta(composition, epsilon));
}

/** The usual tables reach to 1e-43; only a δ near that needs those that reach further. */
function singleDelta(composition: Composition, epsilon: number): CertifiedBound {
  const at = (logTail: number): CertifiedBound =>
    larger(singleTables(composition, logTail).map(table => singleStepDelta(table, epsilon)));
  const usual = at(-100);
  return usual.upper > 1e-30 ? usual : at(-720);
}

const verb = 'account by PLD';
const closedForm = 'closed form of the Gaussian';
const unsampledForm = 'closed form with everybody in every step: the loss is too wide for a grid';

function readComposition(event: DpEvent, { neighbours, relativeGap }: PldOptions): Composition {
  const part = unsupported(event, neighbours);
  if (part !== undefined) {
    const message = `Cannot ${verb}: it does not support ${part}. Use add-or-remove neighbours.`;
    throw new DpError('UNSUPPORTED_EVENT', message);
  }
  if (relativeGap !== undefined) checkPositive(relativeGap, { verb, name: 'relativeGap' });
  return compositionOf(event);
}

function isGaussian({ steps }: Composition): boolean {
  return steps.length === 0;
}

/** Above this ratio the squares on the way would overflow, and nothing is protected. */
const largestRatio = 1e100;

function gaussianEpsilon(ratio: number, delta: number): { lower: number; upper: number } {
  if (!(ratio < largestRatio)) return { lower: 0, upper: Infinity };
  return invertDelta(epsilon => gaussianDelta(ratio, epsilon), { delta, highest: ratio * (ratio + 80) });
}

/**
 * A step whose loss spreads over this many nats protects nobody who takes part in it; tables for it would take minutes
 * and gigabytes, and nobody needs to know such an ε to three digits.
 */
const widestLoss = 1e5;

function isTooWide({ steps }: Composition, logDelta: number): boolean {
  const total = steps.reduce((sum, { count }) => sum + count, 1);
  const logTail = logDelta - Math.log(total) - 30;
  // Between such a shift and 0 there is nothing left to tabulate, and places near it have no room for digits.
  if (steps.some(({ noise }) => largestShift(noise) > 1e6)) return true;
  return steps.some(({ noise }) => lossRange(lossCurve(noise, 'remove'), logTail) > widestLoss);
}

/**
 * Sensitivity ÷ noise of all steps with everybody in each at the largest shift: above the truth, since the profile
 * of a mixture is at most the largest of its components' (joint convexity of the hockey-stick divergence).
 */
function unsampledRatio({ steps, gaussianRatio }: Composition): number {
  const square = steps.reduce(
    (sum, { noise, count }) => sum + count * largestShift(noise) ** 2,
    gaussianRatio ** 2,
  );
  return Math.sqrt(square) * (1 + 4e-15);
}

function isSingle({ steps, gaussianRatio }: Composition): boolean {
  return steps.length === 1 && steps[0]!.count === 1 && gaussianRatio === 0;
}

const directions: readonly Direction[] = ['remove', 'add'];

function singleTables({ steps }: Composition, logTail: number): TabulatedLoss[] {
  const noise: ShiftedNoise = steps[0]!.noise;
  return directions.map(direction => tabulate(lossCurve(noise, direction), logTail));
}

function highestLoss({ panels, curve }: TabulatedLoss): number {
  const { centre, radius } = panels.at(-1)!;
  return Math.max(0, curve.loss(centre + radius)) * (1 + 1e-9) + Number.MIN_VALUE;
}

function larger(ends: readonly { lower: number; upper: number }[]): CertifiedBound {
  return {
    lower: Math.max(...ends.map(({ lower }) => lower)),
    upper: Math.max(...ends.map(({ upper }) => upper)),
    detail: 'quadrature of a single step',
  };
}
