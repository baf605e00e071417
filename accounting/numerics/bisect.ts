/**
 * Halves an interval with `isBeyond(low)` false and `isBeyond(high)` true until it is as narrow as rounding deserves, or as asked.
 *
 * @param options - width: absolute width that is enough, default none
 * @returns inner: the last point found not beyond; outer: the last found beyond
 * @example
 * ```ts
 * bisect(0, 2, x => x * x > 2).inner; // ~1.414213562373
 * ```
 */
export function bisect(
  low: number,
  high: number,
  isBeyond: (at: number) => boolean,
  options: { readonly width?: number } = {},
): { inner: number; outer: number } {
  let [inner, outer] = [low, high];
  const { width = 0 } = options;
  for (let round = 0; round < 200 && outer - inner > Math.max(1e-13 * Math.abs(outer), width); round += 1) {
    const middle = (inner + outer) / 2;
    if (middle <= inner || middle >= outer) break;
    if (isBeyond(middle)) outer = middle;
    else inner = middle;
  }
  return { inner, outer };
}
