import type { DirectedComposition } from '../laws/composition.ts';
import { cumulantAt, saddleForEpsilon, type RepeatedLoss } from '../laws/cumulants.ts';
import { peel, single, type PeeledProfile } from './peel.ts';
import { deltaLower, deltaUpper, smoothingsOf, type Profile } from './profile.ts';
import { highestWeight, leftOut, type CertifiedBound, type Composer } from './composer.ts';
import { detailOf, larger, lossCeiling, partsOf, steepestTilt } from './search.ts';

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
    let last: PeeledProfile<P> | undefined;
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
  readonly profile?: PeeledProfile<P> | undefined;
}

/** δ, and the profiles of all directions that it was read from. */
export interface ComposedDelta<P extends Profile> {
  readonly bound: CertifiedBound;
  readonly profiles: readonly PeeledProfile<P>[];
  readonly isTight: boolean;
}

function deltaBound<P extends Profile>(
  profile: PeeledProfile<P>,
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
  const answer = deltaAt(composition, { epsilon, relativeGap, logDelta }, composer);
  return isDrowned(answer, epsilon, relativeGap)
    ? better(answer, deltaBySum(composition, { epsilon, relativeGap }, { answer, composer }))
    : answer;
}

interface DeltaLook {
  readonly epsilon: number;
  readonly relativeGap: number;
  readonly logDelta: number;
}

function deltaAt<P extends Profile>(
  composition: DirectedComposition,
  { epsilon, relativeGap, logDelta }: DeltaLook,
  composer: Composer<P>,
): DirectedDelta<P> {
  const parts = partsOf(composition, logDelta);
  const found = saddleForEpsilon(parts, epsilon);
  const saddle = { ...found, tilt: Math.min(found.tilt, steepestTilt(parts, lossCeiling(composition))) };
  if (saddle.logDelta < leastLogDelta) return { answer: momentBound(parts, saddle.tilt, epsilon) };
  const gap = relativeGap / (saddle.tilt + 1e-3);
  const profile = single(composer.compose(parts, { ...saddle, epsilon, gap }));
  return { answer: deltaBound(profile, { direction: composition.direction, epsilon }, composer), profile };
}

/** Again as a sum of profiles, with tails that are a share of δ, which is known better now. */
function deltaBySum<P extends Profile>(
  composition: DirectedComposition,
  { epsilon, relativeGap }: Omit<DeltaLook, 'logDelta'>,
  { answer, composer }: { readonly answer: DirectedDelta<P>; readonly composer: Composer<P> },
): DirectedDelta<P> {
  let best = answer;
  for (let round = 0; round < 2; round += 1) {
    const logDelta = Math.max(leastLogDelta, Math.log(best.answer.upper));
    const parts = partsOf(composition, logDelta);
    const tilt = saddleForEpsilon(parts, epsilon).tilt;
    const request = { epsilon, gap: relativeGap / (tilt + 1e-3), logDelta, doubt: Infinity };
    const profile = peel(parts, request, composer);
    if (profile === undefined) return best;
    const next = deltaBound(profile, { direction: composition.direction, epsilon }, composer);
    best = better(best, { answer: next, profile });
  }
  return best;
}

/** Whether δ is not much more than what the profile may be wrong by. */
function isDrowned<P extends Profile>(
  { profile }: DirectedDelta<P>,
  epsilon: number,
  relativeGap: number,
): boolean {
  return profile !== undefined && profile.errorAt(epsilon) > 0.2 * relativeGap * profile.valueAt(epsilon);
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
