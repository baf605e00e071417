import { gaussLegendre } from '../numerics/gauss-legendre.ts';
import type { Panel, TabulatedLoss } from '../laws/table.ts';
import { panelLoss } from '../laws/cumulants.ts';
import { bisect } from '../numerics/bisect.ts';
import type { DeltaBounds } from './profile.ts';
import { erfcx } from '../numerics/special.ts';

/**
 * δ of a Gaussian mechanism, by its closed form.
 *
 * Balle and Wang (arXiv 1805.06394), Theorem 8, written with erfcx so that neither term can overflow or underflow early.
 *
 * @param ratio - sensitivity ÷ noise, of all steps together: the root of the sum of squares
 * @returns both sides rounded outward; where the two terms nearly cancel (ratio below 1e-6) the interval shows it
 */
export function gaussianDelta(ratio: number, epsilon: number): DeltaBounds {
  if (ratio === 0) return { lower: 0, upper: 0 };
  const near = (epsilon / ratio - ratio / 2) * Math.SQRT1_2;
  const far = (epsilon / ratio + ratio / 2) * Math.SQRT1_2;
  const exponential = Math.exp(-near * near) / 2;
  if (near < -5) return roundOutward(1 - exponential * (erfcx(-near) + erfcx(far)), 1e-15);
  const difference = exponential * (erfcx(near) - erfcx(far));
  const cancelled = 4e-15 * exponential * (erfcx(near) + erfcx(far));
  return roundOutward(difference, cancelled + Math.abs(difference) * (1 + Math.abs(near) * far) * 2e-15);
}

function roundOutward(value: number, error: number): DeltaBounds {
  // Below the normal numbers a relative error means nothing.
  const least = 1e-305;
  return { lower: Math.max(0, value - error - least), upper: Math.min(1, value + error + least) };
}

const rule = gaussLegendre(10);
const quadratureError = 2e-13;
const lossError = 4e-15;

/**
 * δ of a single step, by quadrature of the positive integrand (1 - exp(ε - loss)) dP over the losses above ε.
 */
export function singleStepDelta(table: TabulatedLoss, epsilon: number): DeltaBounds {
  const { outside, infinite } = table;
  const { delta, error } = sum(panelDelta(table, epsilon), atomDelta(table, epsilon));
  const lower = Math.max(0, delta - error);
  return { lower: lower + infinite * (1 - 1e-15), upper: Math.min(1, delta + error + outside + infinite) };
}

interface Share {
  readonly delta: number;
  readonly error: number;
}

function sum(a: Share, b: Share): Share {
  return { delta: a.delta + b.delta, error: a.error + b.error };
}

function atomDelta({ atoms }: TabulatedLoss, epsilon: number): Share {
  let [delta, misplaced] = [0, 0];
  for (const { loss, logMass } of atoms) {
    if (loss <= epsilon) continue;
    const mass = Math.exp(logMass);
    const share = -mass * Math.expm1(epsilon - loss);
    delta += share;
    misplaced += mass * Math.abs(loss) + share * Math.abs(logMass);
  }
  return { delta, error: delta * 1e-14 + misplaced * lossError };
}

function panelDelta({ panels }: TabulatedLoss, epsilon: number): Share {
  let delta = 0;
  let misplaced = 0;
  for (const panel of panels) {
    if (panelLoss(panel, 1) <= epsilon) continue;
    const from =
      panelLoss(panel, -1) >= epsilon
        ? -1
        : bisect(-1, 1, s => panelLoss(panel, s) >= epsilon, { width: 1e-17 }).inner;
    const half = (1 - from) / 2;
    let mass = 0;
    for (let node = 0; node < rule.nodes.length; node += 1) {
      const s = from + half * (1 + rule.nodes[node]!);
      const loss = panelLoss(panel, s);
      const place = panel.centre + panel.radius * s;
      const weight =
        Math.exp(panel.curve.logDensity(place, loss)) * half * panel.radius * rule.weights[node]!;
      mass += weight;
      delta -= weight * Math.expm1(epsilon - loss);
    }
    misplaced += mass * lossSize(panel);
  }
  const scale = 1 / Math.sqrt(2 * Math.PI);
  return {
    delta: delta * scale,
    error: scale * (delta * quadratureError + misplaced * lossError) + 1e-305,
  };
}

function lossSize({ centre, radius, coefficients }: Panel): number {
  return Math.abs(coefficients[0]!) + Math.abs(coefficients[1]!) * (2 + (1 + Math.abs(centre)) / radius);
}

/** ε at which a pair of bounds on δ meets `delta`, both ends; `highest` is an ε that is certainly enough. */
export function invertDelta(
  bounds: (epsilon: number) => DeltaBounds,
  { delta, highest }: { delta: number; highest: number },
): DeltaBounds {
  if (bounds(0).upper <= delta) return { lower: 0, upper: 0 };
  const upper = bisect(0, highest, epsilon => bounds(epsilon).upper <= delta).outer;
  if (bounds(0).lower <= delta) return { lower: 0, upper };
  // Both ends are usually close together, which spares half of the halvings.
  const near = upper * (1 - 1e-9);
  const from = bounds(near).lower > delta ? near : 0;
  return { lower: bisect(from, upper, epsilon => bounds(epsilon).lower <= delta).inner, upper };
}
