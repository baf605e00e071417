/** Where a function is least and its value there. */
export interface Minimum {
  readonly at: number;
  readonly value: number;
}

/**
 * Least value of a function with a single minimum on the real line: doubling strides until it rises on both sides, then golden sections.
 *
 * Infinity is allowed; strides end where the function is flat or the argument leaves [-60, 60].
 * The value is that at `at`, so for a family of upper bounds it is one of them.
 *
 * @example
 * ```ts
 * minimise(x => (x - 3) ** 2).at; // ~3.000
 * ```
 */
export function minimise(evaluate: (x: number) => number): Minimum {
  const point = (at: number): Minimum => ({ at, value: evaluate(at) });
  let best = point(Math.LN2 * 3);
  let [lower, upper] = [point(best.at - stride), point(best.at + stride)];
  while ((lower.value < best.value || best.value === Infinity) && lower.at > -limit) {
    [upper, best, lower] = [best, lower, point(lower.at - stride)];
  }
  while (upper.value < best.value && upper.at < limit) {
    [lower, best, upper] = [best, upper, point(upper.at + stride)];
  }
  return goldenSection(point, [lower, best, upper]);
}

const stride = Math.LN2;
const limit = 60;
const golden = (3 - Math.sqrt(5)) / 2;

function goldenSection(
  point: (at: number) => Minimum,
  bracket: readonly [Minimum, Minimum, Minimum],
): Minimum {
  let [lower, best, upper] = bracket;
  while (upper.at - lower.at > 1e-5) {
    const wider = upper.at - best.at > best.at - lower.at ? upper : lower;
    const next = point(best.at + golden * (wider.at - best.at));
    const [inside, outside] = next.value < best.value ? [next, best] : [best, next];
    if (outside.at < inside.at) lower = outside;
    else upper = outside;
    best = inside;
  }
  return best;
}
