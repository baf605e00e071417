import type { CountedEvent, Neighbours } from '../event.ts';
import { big, one, sum, zero, type Big } from './big.ts';
import { atomProfile, atomsOf, combine, nothing, type AtomLaw } from './lattice.ts';
import { singleProfile, type Direction, type Profile } from './single.ts';
import { stepOf, type LaplaceStep, type NormalStep } from './steps.ts';
import { twoStepProfile } from './two-steps.ts';

/** What is known exactly of a composition: a profile for each direction, or why there is none. */
export type Exact = (Accuracy & { readonly profiles: readonly Profile[] }) | { readonly reason: string };

/** How δ is got and how far off it may be. */
export interface Accuracy {
  readonly how: string;
  readonly relativeError: number;
  /** Masses left out; 0 where there are none. */
  readonly absoluteError: number;
}

interface Ingredients {
  readonly atoms: AtomLaw;
  readonly discrete: boolean;
  readonly steps: readonly (NormalStep | LaplaceStep)[];
}

const atomsBesideNoise = 500;
const closedForm: Accuracy = { how: 'closed form', relativeError: 1e-25, absoluteError: 0 };
const exactSum: Accuracy = { how: 'exact sum', relativeError: 1e-25, absoluteError: 1e-110 };
const quadrature: Accuracy = {
  how: 'quadrature over one of two steps',
  relativeError: 1e-15,
  absoluteError: 1e-42,
};

/**
 * The exact privacy profile of a small composition.
 *
 * All bare Gaussians are one; discrete losses are one law of atoms. Beside them there may be one subsampled or mixed step in closed
 * form, or two Gaussian ones by quadrature (all bare Gaussians together count as one).
 *
 * @example
 * ```ts
 * const parts = [{ event: { kind: 'gaussian', noiseMultiplier: 1 }, count: 3 }] as const;
 * exactProfiles(parts, 'replace').how; // 'closed form'
 * ```
 */
export function exactProfiles(parts: readonly CountedEvent[], neighbours: Neighbours): Exact {
  const found = ingredientsOf(parts, neighbours);
  if ('reason' in found) return found;
  const { atoms, discrete, steps } = found;
  const [first, second] = steps;
  if (first === undefined) return { profiles: [atomProfile(atoms)], ...exactSum };
  const directions: readonly Direction[] = neighbours === 'replace' ? ['replace'] : ['remove', 'add'];
  if (second !== undefined) return twoSteps(found, directions);
  if (atoms.atoms.length > atomsBesideNoise)
    return { reason: `${atoms.atoms.length} atoms beside noise are too many` };
  const profiles = directions.map(direction => beside(atoms, singleProfile(first, direction)));
  return discrete ? { profiles, ...exactSum, how: 'closed form and exact sum' } : { profiles, ...closedForm };
}

function twoSteps({ discrete, steps }: Ingredients, directions: readonly Direction[]): Exact {
  const [first, second] = steps;
  if (discrete || first?.kind !== 'normal' || second?.kind !== 'normal')
    return { reason: 'two noisy steps are only composed where both are Gaussian and nothing else is there' };
  const profiles = directions.map(direction => twoStepProfile({ first, second }, direction));
  return { profiles, ...quadrature };
}

function beside({ atoms, infinite }: AtomLaw, profile: Profile): Profile {
  const isTrivial = atoms.length === 1 && atoms[0]!.ratio.eq(one) && infinite.isZero();
  if (isTrivial) return profile;
  return ratio => infinite.plus(sum(atoms.map(atom => atom.mass.times(profile(ratio.div(atom.ratio))))));
}

function ingredientsOf(
  parts: readonly CountedEvent[],
  neighbours: Neighbours,
): Ingredients | { reason: string } {
  let atoms = nothing;
  let discrete = false;
  let bareSquared = zero;
  const steps: (NormalStep | LaplaceStep)[] = [];
  for (const { event, count } of parts) {
    const law = atomsOf(event, { count, neighbours });
    const step = stepUnder(event, neighbours);
    if (law !== undefined) {
      const both = combine(atoms, law);
      if (both === undefined) return { reason: 'different discrete losses have too many sums' };
      atoms = both;
      discrete = true;
    } else if (step === undefined) {
      return { reason: `no exact law of ${event.kind} under ${neighbours} is at hand` };
    } else if (isBare(step)) {
      bareSquared = bareSquared.plus(step.moved[0]!.shift.div(step.deviation).pow(2).times(count));
    } else {
      if (count > 2) return { reason: `${count} steps of ${event.kind} are more than 2` };
      steps.push(...Array.from({ length: count }, () => step));
    }
  }
  if (bareSquared.gt(0)) steps.push(bareStep(bareSquared));
  return steps.length > 2
    ? { reason: `${steps.length} different noisy steps are more than 2` }
    : { atoms, discrete, steps };
}

/** Under replace only one record's pairs are proven, and fixed batches and subsampled Laplace noise have none. */
function stepUnder(
  event: CountedEvent['event'],
  neighbours: Neighbours,
): NormalStep | LaplaceStep | undefined {
  const { kind } = event;
  if (neighbours === 'zero-out' && kind === 'fixed-size-gaussian') return undefined;
  if (neighbours !== 'replace') return stepOf(event);
  const isProven = kind === 'gaussian' || kind === 'poisson-subsampled-gaussian' || kind === 'laplace';
  return isProven ? stepOf(event) : undefined;
}

function isBare(step: NormalStep | LaplaceStep): step is NormalStep {
  return step.kind === 'normal' && step.moved.length === 1 && step.idle.isZero();
}

function bareStep(squared: Big): NormalStep {
  const moved = [{ shift: squared.sqrt(), weight: one }];
  return { kind: 'normal', deviation: big(1), idle: zero, moved };
}
