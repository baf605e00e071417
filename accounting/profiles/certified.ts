import { checkDelta, checkNonNegative, checkPositive, DpError } from '../check.ts';
import type { DpEvent, Neighbours } from '../event.ts';
import {
  compositionsOf,
  directionsOf,
  type Composition,
  type Compositions,
  type DirectedComposition,
} from '../laws/composition.ts';
import { lossRange, tabulate, type TabulatedLoss } from '../laws/table.ts';
import type { Profile } from './profile.ts';
import { composedDeltas, type ComposedDelta } from './search-delta.ts';
import type { CertifiedBound, Composer } from './composer.ts';
import { composedEpsilon, type ComposedEpsilon } from './search.ts';
import { gaussianDelta, invertDelta, singleStepDelta } from './single.ts';

/** What is asked of a numeric accountant beside ε or δ itself. */
export interface CertifiedOptions {
  readonly neighbours: Neighbours;
  /**
   * Wanted (upper - lower) / ε, > 0; where δ is asked, relative to δ.
   * Whatever is wanted, the interval is valid; it is wider than wanted where the accountant can't do better.
   */
  readonly relativeGap?: number | undefined;
}

/** The accountant that answers, for messages, and how it composes. */
export interface Answering<P extends Profile> {
  readonly verb: string;
  readonly composer: Composer<P>;
}

/** ε at δ with the looks behind its upper end, if it took any. */
export function certifiedEpsilon<P extends Profile>(
  event: DpEvent,
  options: CertifiedOptions & { readonly delta: number },
  { verb, composer }: Answering<P>,
): ComposedEpsilon<P> {
  const delta = checkDelta(options.delta, { verb, name: 'delta' });
  if (delta < 1e-290) {
    const reason = `delta ${delta} is below 1e-290, where doubles end`;
    throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${reason}. Give a larger delta.`);
  }
  const { dominating, attained } = readCompositions(event, options, verb);
  const above =
    dominating === undefined ? undefined : epsilonWithin(dominating, { ...options, delta }, composer);
  if (above !== undefined && dominating === attained) return above;
  const { upper, detail } = above?.bound ?? { upper: Infinity, detail: noUpperBound };
  const below =
    attained === undefined ? 0 : epsilonWithin(attained, { ...options, delta }, composer).bound.lower;
  return { bound: { lower: Math.min(upper, below), upper, detail }, looks: [], isTight: false };
}

/** ε at δ for laws that are taken as they are. */
function epsilonWithin<P extends Profile>(
  composition: Composition,
  options: { readonly delta: number; readonly relativeGap?: number | undefined },
  composer: Composer<P>,
): ComposedEpsilon<P> {
  const { delta } = options;
  const settled = (bound: CertifiedBound): ComposedEpsilon<P> => ({ bound, looks: [], isTight: true });
  if (isNothing(composition)) return settled({ lower: 0, upper: 0, detail: 'nothing is revealed' });
  if (isGaussian(composition))
    return settled({ ...gaussianEpsilon(composition.gaussianRatio, delta), detail: closedForm });
  const directions = directionsOf(composition);
  if (directions.some(each => isTooWide(each, Math.log(delta)))) {
    const rough = { lower: 0, upper: roughEpsilon(directions, delta), detail: roughForm };
    return { bound: rough, looks: [], isTight: false };
  }
  if (!isSingle(composition)) return composedEpsilon(directions, options, composer);
  const tables = singleTables(directions, Math.log(delta) - 30);
  return settled(larger(tables.map(table => singleEpsilon(table, delta))));
}

function singleEpsilon(table: TabulatedLoss, delta: number): { lower: number; upper: number } {
  if (table.infinite >= delta) return { lower: Infinity, upper: Infinity };
  return invertDelta(epsilon => singleStepDelta(table, epsilon), { delta, highest: highestLoss(table) });
}

/** δ at each of several ε, from both sides, with the profiles behind them, if any. */
export function certifiedDeltas<P extends Profile>(
  event: DpEvent,
  options: CertifiedOptions & { readonly epsilons: readonly number[] },
  { verb, composer }: Answering<P>,
): ComposedDelta<P>[] {
  const epsilons = options.epsilons.map(epsilon => checkNonNegative(epsilon, { verb, name: 'epsilon' }));
  const question = { epsilons, relativeGap: options.relativeGap ?? usualDeltaGap };
  const { dominating, attained } = readCompositions(event, options, verb);
  const above = dominating && deltasWithin(dominating, question, composer);
  if (above !== undefined && dominating === attained) return above;
  const below = attained && deltasWithin(attained, question, composer);
  return epsilons.map((_, index) => {
    const { upper, detail } = above?.[index]?.bound ?? { upper: 1, detail: noUpperBound };
    const lower = Math.min(upper, below?.[index]?.bound.lower ?? 0);
    return { bound: { lower, upper, detail }, profiles: [], isTight: false };
  });
}

const usualDeltaGap = 2e-3;

function deltasWithin<P extends Profile>(
  composition: Composition,
  question: { readonly epsilons: readonly number[]; readonly relativeGap: number },
  composer: Composer<P>,
): ComposedDelta<P>[] {
  const directions = directionsOf(composition);
  const isSimple = isNothing(composition) || isGaussian(composition) || isSingle(composition);
  const isWide = !isSimple && directions.some(each => isTooWide(each, -100));
  if (!isSimple && !isWide) return composedDeltas(directions, question, composer);
  return question.epsilons.map(epsilon => ({
    bound: isWide
      ? { lower: 0, upper: roughDelta(directions, epsilon), detail: roughForm }
      : simpleDelta(composition, directions, epsilon),
    profiles: [],
    isTight: !isWide,
  }));
}

function simpleDelta(
  composition: Composition,
  directions: readonly DirectedComposition[],
  epsilon: number,
): CertifiedBound {
  if (isNothing(composition)) return { lower: 0, upper: 0, detail: 'nothing is revealed' };
  if (!isGaussian(composition)) return singleDelta(directions, epsilon);
  return { ...gaussianDelta(composition.gaussianRatio, epsilon), detail: closedForm };
}

/** The usual tables reach to 1e-43; only a δ near that needs those that reach further. */
function singleDelta(directions: readonly DirectedComposition[], epsilon: number): CertifiedBound {
  if (directions.some(each => isTooWide(each, -100)))
    return { lower: 0, upper: roughDelta(directions, epsilon), detail: roughForm };
  const at = (logTail: number): CertifiedBound =>
    larger(singleTables(directions, logTail).map(table => singleStepDelta(table, epsilon)));
  const usual = at(-100);
  return usual.upper > 1e-30 ? usual : at(-720);
}

const closedForm = 'closed form of the Gaussian';
const roughForm = 'too wide or too many: all losses added up';
const noUpperBound = 'no upper bound is known';

function readCompositions(
  event: DpEvent,
  { neighbours, relativeGap }: CertifiedOptions,
  verb: string,
): Compositions {
  if (relativeGap !== undefined) checkPositive(relativeGap, { verb, name: 'relativeGap' });
  return compositionsOf(event, { neighbours, verb, relativeGap });
}

function isNothing({ steps, gaussianRatio }: Composition): boolean {
  return steps.length === 0 && gaussianRatio === 0;
}

function isGaussian({ steps }: Composition): boolean {
  return steps.length === 0;
}

/** Above this ratio the squares on the way would overflow, and nothing is protected. */
const largestRatio = 1e100;

function gaussianEpsilon(ratio: number, delta: number): { lower: number; upper: number } {
  if (!(ratio < largestRatio)) return { lower: 0, upper: Infinity };
  return invertDelta(epsilon => gaussianDelta(ratio, epsilon), { delta, highest: ratio * (ratio + 80) });
}

/**
 * A step whose loss spreads over this many nats protects nobody who takes part in it; tables for it would take minutes
 * and gigabytes, and nobody needs to know such an ε to three digits.
 */
const widestLoss = 1e5;

/** So many steps that the rounding of one of them, all of them together, is as large as what they reveal. */
const mostSteps = 1e11;

/** Whether there is no room for tables of a law, or too many steps. */
export function isTooWide({ steps }: DirectedComposition, logDelta: number): boolean {
  const total = steps.reduce((sum, { count }) => sum + count, 1);
  if (total > mostSteps) return true;
  const logTail = logDelta - Math.log(total) - 30;
  // Between such a shift and 0 there is nothing left to tabulate, and places near it have no room for digits.
  const isSteep = steps.some(({ law }) => law.curves.some(({ steepest }) => steepest > 1e6));
  return isSteep || steps.some(({ law }) => lossRange(law, logTail) > widestLoss);
}

/**
 * What is certain without a grid: bounded losses add up, and unbounded ones are those of Gaussian mixtures, whose profile is at
 * most the largest of their components' (joint convexity of the hockey-stick divergence).
 */
function roughBounds({ steps, gaussianRatio }: DirectedComposition): {
  readonly ratio: number;
  readonly sum: number;
  readonly infinite: number;
} {
  let [square, sum, infinite] = [gaussianRatio ** 2, 0, 0];
  for (const { law, count } of steps) {
    infinite += count * law.infinite;
    if (law.highest < Infinity) sum += count * Math.max(0, law.highest);
    else square += count * Math.max(...law.curves.map(({ steepest }) => steepest)) ** 2;
  }
  return { ratio: Math.sqrt(square) * (1 + 4e-15), sum: sum * (1 + 1e-12), infinite };
}

function roughEpsilon(directions: readonly DirectedComposition[], delta: number): number {
  const ends = directions.map(roughBounds).map(({ ratio, sum, infinite }) => {
    if (infinite >= delta) return Infinity;
    return sum + (ratio > 0 ? gaussianEpsilon(ratio, (delta - infinite) * (1 - 1e-15)).upper : 0);
  });
  return Math.max(...ends);
}

function roughDelta(directions: readonly DirectedComposition[], epsilon: number): number {
  const ends = directions.map(roughBounds).map(({ ratio, sum, infinite }) => {
    if (epsilon < sum) return 1;
    const rest = (epsilon - sum) * (1 - 1e-15);
    return Math.min(1, infinite + (ratio > 0 ? gaussianDelta(ratio, rest).upper : 0));
  });
  return Math.max(...ends);
}

function isSingle({ steps, gaussianRatio }: Composition): boolean {
  return steps.length === 1 && steps[0]!.count === 1 && gaussianRatio === 0;
}

function singleTables(directions: readonly DirectedComposition[], logTail: number): TabulatedLoss[] {
  return directions.map(({ steps }) => tabulate(steps[0]!.law, logTail));
}

function highestLoss({ panels, highest }: TabulatedLoss): number {
  if (panels.length === 0) return Math.max(0, highest);
  const ends = panels.map(({ curve, centre, radius }) => curve.loss(centre + radius));
  const most = Math.max(0, ...ends);
  return (highest < Infinity ? Math.max(most, highest) : most) * (1 + 1e-9) + Number.MIN_VALUE;
}

function larger(ends: readonly { lower: number; upper: number }[]): CertifiedBound {
  return {
    lower: Math.max(...ends.map(({ lower }) => lower)),
    upper: Math.max(...ends.map(({ upper }) => upper)),
    detail: 'quadrature of a single step',
  };
}
