import type { Neighbours, ShuffledGaussianEvent } from '../event.ts';
import { logNormalTail, logSumExp } from '../numerics/special.ts';
import { discreteLaw, type Atom, type EventLaws, type LossLaw } from './law.ts';

/** The greatest of `steps` normal places, of which one has the mean `mean` and the others 0. */
interface Greatest {
  readonly steps: number;
  readonly noise: number;
  readonly mean: number;
}

/** Where the greatest place lies, in units of the noise. */
interface Slice {
  readonly from: number;
  readonly to: number;
}

/** A logarithm and what it may be off by. */
interface Inexact {
  readonly value: number;
  readonly error: number;
}

const sliceCount = 3000;
const logNegligible = -60;

/**
 * What two tables attain under Gaussian steps over a shuffled table: bounds from below only, since none from above is known.
 *
 * Chua et al. (arXiv 2403.17673): all other records pull towards -1, so that the record's step, unknown to the observer, stands out.
 * Zero-out: (1/T) Σ N(2e_t, σ²I) against (1/T) Σ N(e_t, σ²I). Of the outcome only the greatest coordinate is kept, and only in which
 * of 3,000 slices it lies; the masses of a slice are rounded down and its loss too, by more than their errors.
 *
 * @param event - one epoch for `reshuffled`, to be composed `shuffledEpochs` times; all epochs for `persistent`
 * @example
 * ```ts
 * const shuffled = { kind: 'shuffled-gaussian', noiseMultiplier: 0.5, stepsPerEpoch: 100, epochs: 1, order: 'persistent' } as const;
 * shuffledLaws(shuffled, 'zero-out').dominating; // undefined
 * shuffledLaws(shuffled, 'zero-out').attained.remove.infinite; // 0
 * ```
 */
export function shuffledLaws(event: ShuffledGaussianEvent, neighbours: Neighbours): EventLaws {
  const { stepsPerEpoch: steps, noiseMultiplier, epochs, order } = event;
  // A shuffle kept for all epochs can be averaged over them, which leaves one epoch with less noise.
  const noise = order === 'persistent' ? noiseMultiplier / Math.sqrt(epochs) : noiseMultiplier;
  const present = { steps, noise, mean: 2 };
  const absent = { steps, noise, mean: meanOfAbsent(neighbours) };
  const slices = slicesFor(present, absent);
  return {
    attained: {
      remove: slicedLaw(slices, { p: present, q: absent }),
      add: slicedLaw(slices, { p: absent, q: present }),
    },
  };
}

/**
 * Zero-out leaves 1 of the 2 by which the record's batch stands out. So does remove, if the table filled T batches: one batch is a
 * record short, and putting the batches of both tables into random order, which can only hide, gives the same pair.
 * A record replaced by one like all others leaves nothing.
 */
function meanOfAbsent(neighbours: Neighbours): number {
  return neighbours === 'replace' ? 0 : 1;
}

/**
 * How often the law of `shuffledLaws` is to be composed.
 *
 * @example
 * ```ts
 * const shuffled = { kind: 'shuffled-gaussian', noiseMultiplier: 0.5, stepsPerEpoch: 100, epochs: 4 } as const;
 * shuffledEpochs({ ...shuffled, order: 'persistent' }); // 1
 * shuffledEpochs({ ...shuffled, order: 'reshuffled' }); // 4
 * ```
 */
export function shuffledEpochs({ epochs, order }: ShuffledGaussianEvent): number {
  return order === 'reshuffled' ? epochs : 1;
}

/** Of equal width where there is mass; the first and the last take the tails. */
function slicesFor(present: Greatest, absent: Greatest): Slice[] {
  const reach = 12 + present.mean / present.noise;
  const massBelow = (to: number): number => logMassIn(absent, { from: -Infinity, to }).value;
  const massAbove = (from: number): number => logMassIn(present, { from, to: Infinity }).value;
  const first = crossing(-reach, reach, x => massBelow(x) > logNegligible);
  const last = crossing(-reach, reach, x => massAbove(x) < logNegligible);
  const width = (last - first) / (sliceCount - 2);
  const start = (index: number): number => (index === 0 ? -Infinity : first + width * (index - 1));
  return Array.from({ length: sliceCount }, (_, index) => ({
    from: start(index),
    to: index === sliceCount - 1 ? Infinity : start(index + 1),
  }));
}

function crossing(from: number, to: number, isBeyond: (x: number) => boolean): number {
  let [low, high] = [from, to];
  for (let round = 0; round < 40; round += 1) {
    const middle = (low + high) / 2;
    if (isBeyond(middle)) high = middle;
    else low = middle;
  }
  return high;
}

function slicedLaw(slices: readonly Slice[], { p, q }: { p: Greatest; q: Greatest }): LossLaw {
  const atoms = slices.map((slice): Atom => {
    const [inP, inQ] = [logMassIn(p, slice), logMassIn(q, slice)];
    const rounding = 4e-16 * (Math.abs(inP.value) + Math.abs(inQ.value));
    return {
      loss: inP.value - inQ.value - (inP.error + inQ.error + rounding),
      logMass: inP.value - inP.error - rounding,
    };
  });
  // A slice whose error can't be told is left out, as if its loss were -Infinity.
  return discreteLaw(atoms.filter(({ loss, logMass }) => Number.isFinite(loss) && Number.isFinite(logMass)));
}

/**
 * The law of the greatest is a product: the mass of a slice is the growth of one factor times the other, plus the reverse, so
 * nothing cancels, however far out.
 */
function logMassIn({ steps, noise, mean }: Greatest, { from, to }: Slice): Inexact {
  const shift = mean / noise;
  const moved = logNormalIn({ from: from - shift, to: to - shift }, shift);
  if (steps === 1) return moved;
  const before = logNormalBelow(from - shift, shift);
  const rest = logNormalBelow(to, 0);
  const growth = logPowerGrowth({ from, to }, steps - 1);
  const powerError = (steps - 1) * rest.error;
  return {
    value: logSumExp([moved.value + (steps - 1) * rest.value, before.value + growth.value]),
    error: Math.max(moved.error, before.error + growth.error) + powerError + 2e-15,
  };
}

/** log(Φ(to)^power - Φ(from)^power), but for the error of Φ(to)^power itself. */
function logPowerGrowth({ from, to }: Slice, power: number): Inexact {
  const inside = logNormalIn({ from, to }, 0);
  const before = logNormalBelow(from, 0);
  const logRatio = inside.value - before.value;
  const logGap = Math.log(power) + (logRatio < -37 ? logRatio : Math.log(Math.log1p(Math.exp(logRatio))));
  const logGrown = logGap < -37 ? logGap : Math.log(-Math.expm1(-Math.exp(logGap)));
  return {
    value: power * logNormalBelow(to, 0).value + logGrown,
    error: inside.error + before.error + 2e-14,
  };
}

/** log Pr[from < N(0, 1) < to], taken in the tail that is the smaller one. */
function logNormalIn({ from, to }: Slice, shift: number): Inexact {
  return from + to > 0
    ? logDifference(logNormalBelow(-from, shift), logNormalBelow(-to, shift))
    : logDifference(logNormalBelow(to, shift), logNormalBelow(from, shift));
}

/** log Φ(y), where y was rounded after a shift: its own error, and what that of y does to it. */
function logNormalBelow(y: number, shift: number): Inexact {
  const value = logNormalTail(-y);
  if (!Number.isFinite(y)) return { value, error: 0 };
  const moved = 1e-15 * (Math.abs(y) + 1) * (Math.abs(y) + shift);
  return { value, error: 1e-14 * Math.abs(value) + moved * Math.min(1, Math.abs(value)) };
}

/** log(e^a - e^b) for a > b. */
function logDifference(a: Inexact, b: Inexact): Inexact {
  const gap = a.value - b.value;
  const share = (a.error + b.error) / gap;
  // Errors of a share of the gap move the logarithm of the difference by little more than that share.
  const error = share < 0.01 ? a.error + 1.02 * share + 1e-15 : Infinity;
  return { value: a.value + Math.log(-Math.expm1(-gap)), error };
}
