import type { Interval } from '../accountant.ts';
import type { Claim } from './claim.ts';
import { judgedPoints } from './claim-judge.ts';
import { bestChoices } from './claim-open.ts';
import { roundedClaim, type MovedSetting, type RoundingEnd } from './claim-rounding.ts';
import { settle, type Settings } from './claim-settings.ts';
import { deltaWords } from './claim-statement.ts';
import { inWords, type FindingContext, type FindingRule } from './findings-context.ts';
import type { Reason } from './verdict.ts';

const code = 'DPC-R2-settings-rounded';

/** Settings at one end of their rounding, with those whose digits matter; undefined where none does. */
interface RoundedSettings {
  readonly settings: Settings;
  readonly moved: readonly MovedSetting[];
}

function roundedSettings(
  { claim, judgement }: FindingContext,
  end: RoundingEnd,
): RoundedSettings | undefined {
  const { claim: rounded, moved } = roundedClaim(claim, end);
  const settings = settle(rounded, { choices: bestChoices(judgement.open), fill: {} });
  const coarse = coarseOf(moved);
  return settings === undefined || coarse.length === 0 ? undefined : { settings, moved: coarse };
}

/** Numbers known better than this move epsilon in no printed digit. */
const negligible = 1e-5;

function coarseOf(moved: readonly MovedSetting[]): MovedSetting[] {
  return moved.filter(({ slack }) => slack > negligible).toSorted((a, b) => b.slack - a.slack);
}

function movedWords(moved: readonly MovedSetting[]): string {
  const words = moved.map(
    ({ name, value, printed }) => `${name} ${Number(value.toPrecision(6))} (printed ${printed})`,
  );
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

function rounded(text: string, found: Pick<Reason, 'level' | 'epsilon' | 'field'>): Reason {
  return { code, text, source: 'auditing decision table: printed numbers are intervals', ...found };
}

/** The accusation stands with the settings as printed, and falls with others that print the same. */
const accused: FindingRule = context => {
  const { judgement, claimed, epsilon } = context;
  const { best, others, detail } = judgement;
  if (best === undefined || claimed === null || detail !== 'borderline') return [];
  const limit = claimed.stands.upper;
  const found = roundedSettings(context, 'best');
  if (found === undefined || ![best, ...others].every(world => world.epsilon.lower > limit)) return [];
  const least = epsilon(found.settings);
  const end = least.upper <= limit ? 'and the claim holds' : 'which does not contradict the claim';
  return [
    rounded(
      `Exactly as printed the settings give epsilon ${inWords(best.epsilon)}, more than the ${claimed.text} that is claimed. Printed numbers are rounded: with ${movedWords(found.moved)} epsilon is ${inWords(least)}, ${end}. Ask for more digits.`,
      { level: 'warning', epsilon: least, field: found.moved[0]!.field },
    ),
  ];
};

const points: FindingRule = context => {
  const { claim, judgement, epsilon } = context;
  const found = roundedSettings(context, 'best');
  if (found === undefined || claim.guarantee.profile === null) return [];
  return judgedPoints(claim, { ...judgement, epsilon }).flatMap(({ point, isBeyond, isProved }, index) =>
    isBeyond && !isProved
      ? [
          rounded(
            `The point at delta ${deltaWords(point.delta)} does not hold exactly as printed. Printed numbers are rounded: with ${movedWords(found.moved)} it does. Ask for more digits.`,
            { level: 'warning', epsilon: null, field: `/guarantee/profile/${index}` },
          ),
        ]
      : [],
  );
};

/** By what epsilon may grow at that end, roughly: who is farther from the limit is not asked for more. */
function reach(moved: readonly MovedSetting[]): number {
  return 1 + 8 * moved.reduce((sum, { slack }) => sum + slack, 0);
}

/** Nobody is accused for the other end of the rounding; whoever relies on the number may want to know. */
const relied: FindingRule = context => {
  const { judgement, claimed, epsilon } = context;
  if (claimed === null || judgement.detail !== 'consistent' || judgement.best === undefined) return [];
  const found = roundedSettings(context, 'worst');
  const limit = claimed.stands.upper;
  if (found === undefined || judgement.best.epsilon.upper * reach(found.moved) <= limit) return [];
  const most: Interval = epsilon(found.settings);
  if (most.lower <= limit) return [];
  return [
    rounded(
      `The claim holds for the settings exactly as printed. With ${movedWords(found.moved)}, which would be printed the same, epsilon is ${inWords(most)}, more than the ${claimed.text} that is claimed.`,
      { level: 'note', epsilon: most, field: found.moved[0]!.field },
    ),
  ];
};

/** What the rounding of printed settings leaves open. */
export const roundingRules: readonly FindingRule[] = [accused, points, relied];

/** The digits to ask for, where the verdict hangs on them. */
export function roundingQuestions(claim: Claim, reasons: readonly Reason[]): string[] {
  const hangs = reasons.some(reason => reason.code === code && reason.level === 'warning');
  if (!hangs) return [];
  return coarseOf(roundedClaim(claim, 'best').moved).map(({ question }) => question);
}
