import type { Interval } from './accountant.ts';
import { checkDelta } from './check.ts';
import { exactDeltas } from './contour/contour.ts';
import { epsilonOf, type QuestionOptions } from './epsilon.ts';
import type { DpEvent } from './event.ts';

/** One point of a privacy profile. */
export interface CurvePoint {
  readonly epsilon: number;
  /** δ at that ε, from both sides. */
  readonly delta: Interval;
}

/**
 * The privacy profile of an event: δ at each of several ε, or ε at each of several δ.
 *
 * @param options - epsilons: in nats, each >= 0, or deltas: each in (0, 1); neighbours; relativeGap of each point
 * @returns points in the order asked; for `deltas` the ε of a point is the upper bound, and its δ is at most the δ asked
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT`
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * const points = privacyCurve(event, { epsilons: [0, 1], neighbours: 'add-or-remove' });
 * points.map(({ delta }) => delta.upper.toFixed(4)); // ['0.3829', '0.1269']
 * ```
 */
export function privacyCurve(
  event: DpEvent,
  options: Pick<QuestionOptions, 'neighbours' | 'relativeGap'> &
    ({ readonly epsilons: readonly number[] } | { readonly deltas: readonly number[] }),
): CurvePoint[] {
  if ('epsilons' in options) {
    const bounds = exactDeltas(event, options);
    return bounds.map(({ lower, upper }, index) => ({
      epsilon: options.epsilons[index]!,
      delta: { lower, upper },
    }));
  }
  return options.deltas.map(delta => {
    checkDelta(delta, { verb: 'compute the privacy curve', name: 'delta' });
    const { upper } = epsilonOf(event, { ...options, delta }).epsilon;
    return { epsilon: upper, delta: { lower: 0, upper: delta } };
  });
}
