import type { DirectedComposition } from '../laws/composition.ts';
import { cumulantAt, saddleForEpsilon, type RepeatedLoss } from '../laws/cumulants.ts';
import { deltaLower, deltaUpper, smoothingsOf, type Profile } from './profile.ts';
import {
  detailOf,
  heaviestTails,
  highestWeight,
  larger,
  leftOut,
  lightTails,
  lossCeiling,
  partsOf,
  steepestTilt,
  type CertifiedBound,
  type Composer,
} from './search.ts';

/** δ at each ε of a composition; the gap wanted is relative to δ. One profile serves as many neighbouring ε as it can. */
export function composedDeltas<P extends Profile>(
  directions: readonly DirectedComposition[],
  question: { readonly epsilons: readonly number[]; readonly relativeGap: number },
  composer: Composer<P>,
): ComposedDelta<P>[] {
  const { epsilons, relativeGap } = question;
  const order = epsilons.map((_, index) => index).sort((a, b) => epsilons[a]! - epsilons[b]!);
  const byDirection = directions.map(composition => {
    const answers: DirectedDelta<P>[] = [];
    let last: P | undefined;
    for (const index of order) {
      const epsilon = epsilons[index]!;
      const at = { direction: composition.direction, epsilon };
      const again = last === undefined ? undefined : deltaBound(last, at, composer);
      const serves = again !== undefined && again.upper - again.lower <= 1.5 * relativeGap * again.upper;
      const looked = serves
        ? { answer: again, profile: last }
        : deltaLook(composition, { epsilon, relativeGap }, composer);
      answers[index] = looked;
      last = looked.profile;
    }
    return answers;
  });
  return epsilons.map((_, index) => {
    const looked = byDirection.map(answers => answers[index]!);
    return {
      bound: larger(looked.map(({ answer }) => answer)),
      profiles: looked.flatMap(({ profile }) => (profile === undefined ? [] : [profile])),
      isTight: true,
    };
  });
}

/** δ in one direction, and the profile that it was read from, if any. */
interface DirectedDelta<P extends Profile> {
  readonly answer: CertifiedBound;
  readonly profile?: P | undefined;
}

/** δ, and the profiles of all directions that it was read from. */
export interface ComposedDelta<P extends Profile> {
  readonly bound: CertifiedBound;
  readonly profiles: readonly P[];
  readonly isTight: boolean;
}

function deltaBound<P extends Profile>(
  profile: P,
  { direction, epsilon }: Pick<DirectedComposition, 'direction'> & { readonly epsilon: number },
  composer: Composer<P>,
): CertifiedBound {
  return {
    lower: deltaLower(profile, epsilon, smoothingsOf(profile)),
    upper: deltaUpper(profile, epsilon),
    detail: detailOf({ direction, profile }, composer),
  };
}

/** Below this logarithm δ is bounded by its moments alone: doubles end at 1e-308. */
const leastLogDelta = -660;

function deltaLook<P extends Profile>(
  composition: DirectedComposition,
  { epsilon, relativeGap }: { readonly epsilon: number; readonly relativeGap: number },
  composer: Composer<P>,
): DirectedDelta<P> {
  const usual = partsOf(composition, -60);
  if (epsilon >= lossCeiling(composition)) {
    const { infinite } = leftOut(usual);
    return { answer: { lower: infinite * (1 - 1e-15), upper: infinite, detail: 'bounded loss' } };
  }
  const guess = saddleForEpsilon(usual, epsilon);
  const logDelta = Math.max(leastLogDelta, Math.min(0, guess.logDelta)) - 5;
  let answer = deltaAt(composition, { epsilon, relativeGap, logDelta, logTails: lightTails }, composer);
  for (const logTails of [-12, heaviestTails]) {
    if (!isDrowned(answer, epsilon, relativeGap)) break;
    // Tails are a share of δ, which is known better now.
    const known = Math.max(leastLogDelta, Math.log(answer.answer.upper));
    answer = better(
      answer,
      deltaAt(composition, { epsilon, relativeGap, logDelta: known, logTails }, composer),
    );
  }
  return answer;
}

interface DeltaLook {
  readonly epsilon: number;
  readonly relativeGap: number;
  readonly logDelta: number;
  readonly logTails: number;
}

function deltaAt<P extends Profile>(
  composition: DirectedComposition,
  { epsilon, relativeGap, logDelta, logTails }: DeltaLook,
  composer: Composer<P>,
): DirectedDelta<P> {
  const parts = partsOf(composition, logDelta, logTails);
  const found = saddleForEpsilon(parts, epsilon);
  const saddle = { ...found, tilt: Math.min(found.tilt, steepestTilt(parts, lossCeiling(composition))) };
  if (saddle.logDelta < leastLogDelta) return { answer: momentBound(parts, saddle.tilt, epsilon) };
  const profile = composer.compose(parts, { ...saddle, epsilon, gap: relativeGap / (saddle.tilt + 1e-3) });
  return { answer: deltaBound(profile, { direction: composition.direction, epsilon }, composer), profile };
}

/** Whether δ is not much more than what the profile may be wrong by. */
function isDrowned<P extends Profile>(
  { profile }: DirectedDelta<P>,
  epsilon: number,
  relativeGap: number,
): boolean {
  return profile !== undefined && profile.absoluteError > 0.2 * relativeGap * profile.valueAt(epsilon);
}

function better<P extends Profile>(one: DirectedDelta<P>, other: DirectedDelta<P>): DirectedDelta<P> {
  const lower = Math.max(one.answer.lower, other.answer.lower);
  const upper = Math.min(one.answer.upper, other.answer.upper);
  return { ...other, answer: { ...other.answer, lower, upper } };
}

/** Chernoff's bound: (1 - exp(ε - loss))+ is at most highestWeight(tilt) × exp(tilt (loss - ε)). */
function momentBound(parts: readonly RepeatedLoss[], tilt: number, epsilon: number): CertifiedBound {
  const { outside, infinite } = leftOut(parts);
  const moment = Math.exp(cumulantAt(parts, tilt).value - tilt * epsilon) * highestWeight(tilt);
  return {
    lower: infinite * (1 - 1e-15),
    upper: Math.min(1, moment * (1 + 1e-6) + outside + infinite + 1e-305),
    detail: `moment bound, tilt ${tilt.toPrecision(3)}`,
  };
}
