import { big, one, two, zero, type Big } from './big.ts';
import type { Profile } from './single.ts';

const most = big(1e6);

/**
 * The least ε >= 0 at which a profile is at most `delta`, to `width` of itself; Infinity above 1e6.
 *
 * Secants of log δ inside a bracket, which every fourth step halves.
 *
 * @param profile - does not increase
 * @param options - delta: in (0, 1); width: relative, such as 1e-24; near: where to look first
 * @example
 * ```ts
 * import { atomProfile, atomsOf } from 'accounting/referee/lattice.ts';
 * import { big } from 'accounting/referee/big.ts';
 * const law = atomsOf({ kind: 'guarantee', epsilon: 1, delta: 0 }, { count: 1, neighbours: 'replace' });
 * solve(atomProfile(law), { delta: big(1e-6), width: 1e-24 }).toNumber(); // ~0.99999863
 * ```
 */
export function solve(
  profile: Profile,
  { delta, width, near }: { delta: Big; width: number; near?: { lower: Big; upper: Big } | undefined },
): Big {
  const logDelta = delta.ln();
  const above = (epsilon: Big): Big => {
    const value = profile(epsilon.exp());
    // A δ of 0 is as good as any that is far too small: the bracket is halved then.
    return value.lte(0) ? big(-1e9) : value.ln().minus(logDelta);
  };
  if (near?.lower.gt(0) && near.upper.isFinite() && above(near.lower).gt(0) && above(near.upper).lte(0))
    return root(above, { low: near.lower, high: near.upper, width });
  if (above(zero).lte(0)) return zero;
  let high = one;
  while (above(high).gt(0)) {
    if (high.gt(most)) return big(Infinity);
    high = high.times(two);
  }
  return root(above, { low: high.eq(one) ? zero : high.div(two), high, width });
}

interface Bracket {
  readonly low: Big;
  readonly high: Big;
  readonly width: number;
}

interface Point {
  readonly x: Big;
  readonly value: Big;
}

function root(f: (x: Big) => Big, bracket: Bracket): Big {
  let { low, high } = bracket;
  let nearest = closest([
    { x: low, value: f(low) },
    { x: high, value: f(high) },
  ]);
  for (let tries = 1; tries < 1000; tries += 1) {
    if (high.minus(low).lte(high.times(bracket.width))) break;
    const x =
      tries % 4 === 0 ? low.plus(high).div(two) : secant(nearest, { low, high, width: bracket.width });
    const point = { x, value: f(x) };
    if (point.value.gt(0)) low = x;
    else high = x;
    nearest = closest([...nearest, point]);
  }
  return high;
}

/** The two points whose values are nearest to 0. */
function closest(points: readonly Point[]): readonly Point[] {
  return points.toSorted((a, b) => a.value.abs().cmp(b.value.abs())).slice(0, 2);
}

/** Where the line through two points is 0, a little inside the bracket, so that a point beyond the root closes it in the end. */
function secant([a, b]: readonly Point[], { low, high, width }: Bracket): Big {
  const rise = b!.value.minus(a!.value);
  const guess = rise.isZero() ? low : a!.x.minus(a!.value.times(b!.x.minus(a!.x)).div(rise));
  const least = high.times(width).div(3);
  if (guess.lt(low) || guess.gt(high)) return low.plus(high).div(two);
  if (guess.minus(low).lt(least)) return low.plus(least);
  return high.minus(guess).lt(least) ? high.minus(least) : guess;
}
