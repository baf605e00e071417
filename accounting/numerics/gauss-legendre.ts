/** Nodes in (-1, 1) and weights of a Gauss-Legendre rule. */
export interface QuadratureRule {
  readonly nodes: Float64Array;
  readonly weights: Float64Array;
}

/**
 * The Gauss-Legendre rule with `count` nodes: exact for polynomials of degree 2·count - 1 on [-1, 1].
 *
 * Newton's iteration on Legendre's recurrence; right to a few units of 2^-53.
 *
 * @param count - whole, 1 to 64
 * @example
 * ```ts
 * gaussLegendre(2).nodes[1]; // ~0.577350269189626
 * gaussLegendre(3).weights[1]; // ~0.888888888888889
 * ```
 */
export function gaussLegendre(count: number): QuadratureRule {
  const nodes = new Float64Array(count);
  const weights = new Float64Array(count);
  for (let index = 0; index < count; index += 1) {
    let x = -Math.cos((Math.PI * (index + 0.75)) / (count + 0.5));
    for (let round = 0; round < 8; round += 1) {
      const { value, slope } = legendre(count, x);
      x -= value / slope;
    }
    const { slope } = legendre(count, x);
    nodes[index] = x;
    weights[index] = 2 / ((1 - x * x) * slope * slope);
  }
  return { nodes, weights };
}

function legendre(degree: number, x: number): { value: number; slope: number } {
  let before = 1;
  let value = x;
  for (let k = 2; k <= degree; k += 1) {
    const next = ((2 * k - 1) * x * value - (k - 1) * before) / k;
    before = value;
    value = next;
  }
  return { value, slope: (degree * (x * value - before)) / (x * x - 1) };
}
