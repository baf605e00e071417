/** A mean over runs with its 95 % interval. */
export interface Estimate {
  readonly mean: number;
  /** By Student's t; null where there is one run alone. */
  readonly interval: { readonly lower: number; readonly upper: number } | null;
  readonly values: readonly number[];
}

/** 97.5 % points of Student's t for 1 to 30 degrees of freedom, rounded up; beyond them the last is a little wide. */
const tPoints: readonly number[] = [
  12.7063, 4.3027, 3.1825, 2.7765, 2.5706, 2.447, 2.3647, 2.3061, 2.2622, 2.2282, 2.201, 2.1789, 2.1604,
  2.1448, 2.1315, 2.12, 2.1099, 2.101, 2.0931, 2.086, 2.0797, 2.0739, 2.0687, 2.0639, 2.0596, 2.0556, 2.0519,
  2.0485, 2.0453, 2.0423,
];

/** The 97.5 % point of Student's t; `degrees` is at least 1. */
export function studentPoint(degrees: number): number {
  return tPoints[Math.min(degrees, tPoints.length) - 1]!;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Mean and 95 % t interval; there is at least one value. */
export function estimateOf(values: readonly number[]): Estimate {
  const mean = sum(values) / values.length;
  if (values.length < 2) return { mean, interval: null, values };
  const variance = sum(values.map(value => (value - mean) ** 2)) / (values.length - 1);
  const half = studentPoint(values.length - 1) * (variance / values.length) ** 0.5;
  return { mean, interval: { lower: mean - half, upper: mean + half }, values };
}

/** Where a line through two points meets zero; undefined where it does not between them. */
export function crossing(
  from: { readonly x: number; readonly y: number },
  to: { readonly x: number; readonly y: number },
): number | undefined {
  if (from.y < 0 === to.y < 0 || from.y === to.y) return undefined;
  return from.x + ((to.x - from.x) * from.y) / (from.y - to.y);
}
