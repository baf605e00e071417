import { gaussLegendre } from '../../../accounting/numerics/gauss-legendre.ts';
import type { LossCurve } from '../../../accounting/laws/loss-curve.ts';
import type { DirectedLaws, LossLaw } from '../../../accounting/laws/law.ts';

const rule = gaussLegendre(16);

function bisect(low: number, high: number, isBeyond: (x: number) => boolean): number {
  for (let round = 0; round < 80; round += 1) {
    const middle = (low + high) / 2;
    if (isBeyond(middle)) high = middle;
    else low = middle;
  }
  return high;
}

function integrate(
  curve: LossCurve,
  value: (loss: number) => number,
  { from, to, pieces }: { from: number; to: number; pieces: number },
): number {
  const half = (to - from) / (2 * pieces);
  let total = 0;
  for (let piece = 0; piece < pieces; piece += 1) {
    for (let node = 0; node < rule.nodes.length; node += 1) {
      const place = from + half * (2 * piece + 1 + rule.nodes[node]!);
      const loss = curve.loss(place);
      const density = Math.exp(curve.logDensity(place, loss)) / Math.sqrt(2 * Math.PI);
      total += density * value(loss) * half * rule.weights[node]!;
    }
  }
  return total;
}

/** Where the curve has mass that counts, also under Q. */
function reach(curve: LossCurve): { first: number; last: number } {
  const most = 45 + curve.steepest;
  const first = bisect(-most, most, x => curve.logBelow(x) > -600);
  const last = bisect(-most, most, x => curve.logAbove(x) < -600);
  return { first: Math.max(curve.from ?? first, first), last: Math.min(curve.to ?? last, last) };
}

/** E_P[value(loss)] over the losses above `epsilon`, without the infinite ones. */
export function expectation(
  law: LossLaw,
  value: (loss: number) => number,
  epsilon: number = -Infinity,
): number {
  const atoms = law.atoms
    .filter(({ loss }) => loss > epsilon)
    .reduce((sum, { loss, logMass }) => sum + Math.exp(logMass) * value(loss), 0);
  return law.curves.reduce((sum, curve) => {
    const { first, last } = reach(curve);
    if (last <= first || curve.loss(last) <= epsilon) return sum;
    const from = curve.loss(first) > epsilon ? first : bisect(first, last, x => curve.loss(x) > epsilon);
    return sum + integrate(curve, value, { from, to: last, pieces: 600 });
  }, atoms);
}

/** The laws of both directions. */
export function bothOf({ remove, add }: DirectedLaws): LossLaw[] {
  return [remove, add];
}

/** All of P that the law tells of. */
export function totalMass(law: LossLaw): number {
  return expectation(law, () => 1) + law.infinite;
}

/** E_P[exp(-loss)]: the mass under Q, without where P has none. */
export function massUnderQ(law: LossLaw): number {
  const curves = law.curves.map(curve => ({
    ...curve,
    logDensity: (place: number, loss: number): number => curve.logDensity(place, loss) - loss,
  }));
  const atoms = law.atoms.map(({ loss, logMass }) => ({ loss, logMass: logMass - loss }));
  return expectation({ ...law, curves, atoms }, () => 1);
}

/** δ(ε) by brute force. */
export function deltaOf(law: LossLaw, epsilon: number): number {
  return law.infinite + expectation(law, loss => -Math.expm1(epsilon - loss), epsilon);
}

/** The least ε with δ(ε) <= delta, at least 0. */
export function epsilonOf(law: LossLaw, delta: number): number {
  return bisect(0, 200, epsilon => deltaOf(law, epsilon) <= delta);
}

/** |integral of the density - what logBelow and logAbove say|, relative, at a place inside the curve. */
export function tailError(curve: LossCurve, place: number): number {
  const { first, last } = reach(curve);
  const one = (): number => 1;
  const below = integrate(curve, one, { from: first, to: place, pieces: 200 });
  const above = integrate(curve, one, { from: place, to: last, pieces: 200 });
  return Math.max(
    Math.abs(Math.exp(curve.logBelow(place)) / below - 1),
    Math.abs(Math.exp(curve.logAbove(place)) / above - 1),
  );
}
