import { big, sum, type Big } from './big.ts';

/** Where a function is integrated; it must vanish at both ends as far as anybody cares. */
export interface Range {
  readonly from: number;
  readonly to: number;
  /** A first spacing, to be halved. */
  readonly spacing: number;
}

/** Points of the first grid, then of each halving those that are new. */
export type Points<T> = (depth: number) => readonly T[] | undefined;

/** How far two spacings may differ, relative to the answer. */
export const agreement = 1e-16;

const mostPoints = 6000;
const deepest = 8;

/**
 * Points of a range as whatever they are needed as, each made once; undefined beyond 6000 points together.
 *
 * @example
 * ```ts
 * const points = gridPoints({ from: 0, to: 2, spacing: 1 }, x => x.toNumber());
 * [points(0), points(1), points(0)]; // [[0, 1, 2], [0.5, 1.5], [0, 1, 2]]
 * ```
 */
export function gridPoints<T>({ from, to, spacing }: Range, make: (x: Big) => T): Points<T> {
  const intervals = Math.ceil((to - from) / spacing);
  const known = new Map<number, readonly T[]>();
  return depth => {
    if ((intervals + 1) * 2 ** depth > mostPoints || depth > deepest) return undefined;
    const place = (index: number): Big =>
      big(from).plus(
        big(spacing)
          .times(index)
          .div(2 ** depth),
      );
    const indices = Array.from({ length: (intervals + 1) * 2 ** depth }, (_, index) => index).filter(
      index => (depth === 0 || index % 2 === 1) && index <= intervals * 2 ** depth,
    );
    const points = known.get(depth) ?? indices.map(index => make(place(index)));
    known.set(depth, points);
    return points;
  };
}

/**
 * The trapezoidal rule with halving until two answers agree, at least once; undefined where the points give out before.
 *
 * For an analytic function that decays at both ends every halving doubles the number of right digits.
 *
 * @example
 * ```ts
 * import { normalDensity } from 'accounting/referee/big.ts';
 * const range = { from: -14, to: 14, spacing: 1 };
 * integrate(gridPoints(range, normalDensity), { spacing: 1, value: x => x }).toNumber(); // ~1
 * ```
 */
export function integrate<T>(
  points: Points<T>,
  { spacing, value }: { spacing: number; value: (point: T) => Big },
): Big | undefined {
  let previous: Big | undefined;
  let total = big(0);
  for (let depth = 0; ; depth += 1) {
    const fresh = points(depth);
    if (fresh === undefined) return undefined;
    total = total.plus(sum(fresh.map(value)));
    const answer = total.times(spacing).div(2 ** depth);
    if (previous !== undefined && answer.minus(previous).abs().lte(answer.abs().times(agreement)))
      return answer;
    previous = answer;
  }
}
