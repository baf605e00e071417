/**
 * Chebyshev coefficients of the polynomial through values at the Chebyshev nodes cos(π (j + 1/2) / size).
 *
 * @example
 * ```ts
 * chebyshevCoefficients(Float64Array.of(3, 3))[0]; // 3
 * ```
 */
export function chebyshevCoefficients(values: Float64Array): Float64Array {
  const size = values.length;
  return Float64Array.from({ length: size }, (_, k) => {
    const sum = values.reduce(
      (total, value, j) => total + value * Math.cos((Math.PI * k * (j + 0.5)) / size),
      0,
    );
    return (sum * (k === 0 ? 1 : 2)) / size;
  });
}

/**
 * From Chebyshev polynomials to powers; fast decaying coefficients keep their digits.
 *
 * @example
 * ```ts
 * powersOf(Float64Array.of(0, 0, 1)); // Float64Array.of(-1, 0, 2)
 * ```
 */
export function powersOf(chebyshev: Float64Array): Float64Array {
  const size = chebyshev.length;
  const powers = new Float64Array(size);
  let previous = new Float64Array(size);
  let current = new Float64Array(size);
  previous[0] = 1;
  current[1] = 1;
  powers[0] = chebyshev[0]!;
  for (let k = 1; k < size; k += 1) {
    const next = new Float64Array(size);
    for (let j = 0; j < size; j += 1) {
      powers[j] = powers[j]! + chebyshev[k]! * current[j]!;
      next[j] = (j > 0 ? 2 * current[j - 1]! : 0) - previous[j]!;
    }
    [previous, current] = [current, next];
  }
  return powers;
}
