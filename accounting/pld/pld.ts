import type { Accountant } from '../accountant.ts';
import type { DpEvent } from '../event.ts';
import { partWithoutLaws } from '../laws/composition.ts';
import type { RepeatedLoss, Saddle } from '../laws/cumulants.ts';
import { certifiedDeltas, certifiedEpsilon, type CertifiedOptions } from '../profiles/certified.ts';
import type { CertifiedBound, Composer } from '../profiles/composer.ts';
import { composeOnGrid, type DiscreteProfile } from './compose.ts';
import { chooseWindow } from './window.ts';

/** A transform up to this length is cheap enough for the finer of the two default gaps. */
const cheapSize = 2 ** 18;
const largestSize = 2 ** 22;
const [fineGap, usualGap] = [1e-4, 8e-4];

/** Laws on a grid of losses, composed by FFT. */
export const gridComposer: Composer<DiscreteProfile> = {
  compose: (parts, request) => composeOnGrid(parts, { ...request, largestSize }),
  describe: ({ window: { isLattice, spacing, size } }) =>
    `${isLattice ? 'exact loss lattice' : 'loss grid'} ${spacing.toExponential(2)} x ${size}`,
  isFinest: ({ window }) => window.isLattice || window.size === largestSize,
  usualGap: affordableGap,
  acceptedGap: usualGap,
};

/** The finer default gap where a cheap transform gives it, else the usual one. */
function affordableGap(parts: readonly RepeatedLoss[], saddle: Saddle): number {
  const gap = fineGap * Math.max(saddle.epsilon, Number.MIN_VALUE);
  const { size } = chooseWindow(parts, { ...saddle, gap, largestSize });
  return size <= cheapSize ? fineGap : usualGap;
}

const answering = { verb: 'account by PLD', composer: gridComposer };

/**
 * The privacy-loss-distribution accountant: certified intervals.
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
export const pldAccountant: Accountant = {
  name: 'pld',
  unsupported: partWithoutLaws,
  epsilon: pldEpsilon,
  delta: pldDelta,
};

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
export function pldEpsilon(
  event: DpEvent,
  options: CertifiedOptions & { readonly delta: number },
): CertifiedBound {
  return certifiedEpsilon(event, options, answering).bound;
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
export function pldDelta(
  event: DpEvent,
  options: CertifiedOptions & { readonly epsilon: number },
): CertifiedBound {
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
  options: CertifiedOptions & { readonly epsilons: readonly number[] },
): CertifiedBound[] {
  return certifiedDeltas(event, options, answering).map(({ bound }) => bound);
}
