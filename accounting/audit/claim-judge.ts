import type { Interval } from '../accountant.ts';
import type { Claim, ProfilePoint } from './claim.ts';
import type { EpsilonOfSettings } from './claim-bounds.ts';
import { standingOf } from './claim-guard.ts';
import { bestChoices, missingFacts, openChoices, type MissingFact, type OpenChoice } from './claim-open.ts';
import { readPrinted, type PrintedNumber } from './claim-printed.ts';
import { bestFill, needsOf, rangeOf } from './claim-range.ts';
import { deltaStands, printedDigits, roundedClaim } from './claim-rounding.ts';
import { settle, type Choices, type RunSettings, type Settings } from './claim-settings.ts';
import { rhoEpsilons } from './conventions.ts';
import { isNeverPure } from './pure.ts';
import type { VerdictDetail } from './verdict.ts';

/** The claim read in one way. */
export interface World {
  /** What is taken for granted beside what is stated; empty for the reading that is best for privacy. */
  readonly text: string;
  readonly field: string;
  readonly settings: Settings;
  readonly epsilon: Interval;
}

/** What the settings alone say about the claim. */
export interface Judgement {
  /** `consistent` is not yet told from `privacy_understated`. */
  readonly detail: VerdictDetail;
  /** The reading that is best for privacy; undefined where a number is missing. */
  readonly best: World | undefined;
  /** Each open word read in each other way. */
  readonly others: readonly World[];
  readonly open: readonly OpenChoice[];
  readonly missing: readonly MissingFact[];
  readonly needs: readonly string[];
  /** Epsilon over all that is open; null where nothing is. */
  readonly range: Interval | null;
}

/** What is claimed, and who is asked. */
export interface JudgeOptions {
  readonly claimed: PrintedNumber | null;
  readonly epsilon: EpsilonOfSettings;
  /** As `epsilon`, wider and faster; for readings beside the stated one. */
  readonly roughly?: EpsilonOfSettings;
}

/**
 * Judges a claim by its settings: recomputes every reading of what is open and compares with what the printed digits stand for.
 */
export function judge(claim: Claim, options: JudgeOptions): Judgement {
  const open = openChoices(claim);
  const best = bestChoices(open);
  const missing = missingFacts(claim, best);
  if (claim.mechanisms.length === 0) return judgeWithoutMechanism(claim, options);
  const question = { open, best, missing, ...options };
  return missing.length > 0 ? judgeRange(claim, question) : judgeWorlds(claim, question);
}

interface OpenQuestion extends JudgeOptions {
  readonly open: readonly OpenChoice[];
  readonly best: Choices;
  readonly missing: readonly MissingFact[];
}

function worstChoices(open: readonly OpenChoice[]): Choices {
  return Object.fromEntries(open.map(({ key, options }) => [key, options.at(-1)!.value]));
}

function judgeRange(claim: Claim, question: OpenQuestion): Judgement {
  const { open, best, missing, claimed, roughly: epsilon = question.epsilon } = question;
  // What is needed has to be enough however epochs were rounded.
  const choices = best['rounding'] === undefined ? best : { ...best, rounding: 'ceil' };
  const range = rangeOf(claim, { missing, epsilon, best, worst: worstChoices(open) });
  const needs =
    claimed === null ? [] : needsOf(claim, { missing, epsilon, choices, most: claimed.stands.upper });
  const isImpossible = claimed !== null && isImpossibleFor(claim, { ...question, claimed, range });
  const detail = isImpossible ? 'privacy_overstated' : 'unverifiable';
  return { detail, best: undefined, others: [], open, missing, needs, range };
}

/** Whether no value of what is missing would do. Any delta might; so may any cap, where noise grows with it. */
function isImpossibleFor(
  claim: Claim,
  question: OpenQuestion & { readonly claimed: PrintedNumber; readonly range: Interval },
): boolean {
  const { open, missing, claimed, range } = question;
  if (isNeverPure(claim)) return true;
  const limit = claimed.stands.upper;
  const isGrowing = open.some(({ key }) => key === 'scope') && missing.some(({ fact }) => fact === 'records');
  if (range.lower <= limit || isGrowing || missing.some(({ fact }) => fact === 'delta')) return false;
  return standingOf(claim, { ...question, fill: bestFill(claim), limit }) === 'proved';
}

function judgeWorlds(claim: Claim, question: OpenQuestion): Judgement {
  const { open, best: choices, missing, epsilon, claimed } = question;
  const settings = settle(claim, { choices, fill: {} })!;
  const best = { text: '', field: '/mechanisms', settings, epsilon: epsilon(settings) };
  const others = otherWorlds(claim, question);
  const all = [best.epsilon, ...others.map(world => world.epsilon)];
  const lower = Math.min(...all.map(each => each.lower));
  const widest = open.length === 0 ? best.epsilon.upper : worstUpper(claim, question, all);
  const compared =
    claimed === null ? 'unverifiable' : detailOf(all, { claimed, settings, open, upper: widest });
  const detail = corrected(compared, { claim, question, settings });
  const range = open.length === 0 && claimed !== null ? null : { lower, upper: widest };
  return { detail, best, others, open, missing, needs: [], range };
}

/** Batches that nothing covers may have been meant to be Poisson sampled; an accusation has to hold in every reading. */
function corrected(
  detail: VerdictDetail,
  options: { readonly claim: Claim; readonly question: OpenQuestion; readonly settings: Settings },
): VerdictDetail {
  const { claim, question, settings } = options;
  if (detail === 'borderline') return holdsIfPoisson(settings, question) ? 'conditional' : detail;
  if (detail !== 'privacy_overstated' && detail !== 'refuted_for_sampler') return detail;
  const standing = standingOf(claim, { ...question, limit: question.claimed!.stands.upper });
  return standing === 'proved' ? detail : standing === 'as-printed' ? 'borderline' : 'unverifiable';
}

/** Nothing proved covers the batches as they were formed, but the claim would hold had they been Poisson sampled. */
function holdsIfPoisson(settings: Settings, question: OpenQuestion): boolean {
  const { claimed, roughly = question.epsilon } = question;
  const isOther = settings.runs.some(run => isUnlikePoisson(run) || run.physicalCap !== null);
  if (!isOther || claimed === null) return false;
  const limit = claimed.stands.upper;
  return roughly(asPoisson(settings), { side: 'upper', limit }).upper <= limit;
}

/** One word changed at a time. A reading that misses a number stands for all its values. */
function otherWorlds(claim: Claim, question: OpenQuestion): World[] {
  const { open, best, roughly: epsilon = question.epsilon } = question;
  return open.flatMap(({ key, field, options }) =>
    options.slice(1).map(({ value, text }) => {
      const choices = { ...best, [key]: value };
      const settings = settle(claim, { choices, fill: {} });
      if (settings !== undefined) return { text, field, settings, epsilon: epsilon(settings) };
      const one = settle(claim, { choices, fill: { records: 1 } })!;
      // Where noise may have grown with the cap, a large one is the best.
      const lower = open.some(choice => choice.key === 'scope') ? 0 : epsilon(one).lower;
      return { text, field, settings: one, epsilon: { lower, upper: Infinity } };
    }),
  );
}

function worstUpper(claim: Claim, question: OpenQuestion, all: readonly Interval[]): number {
  const { open, roughly: epsilon = question.epsilon } = question;
  const settings = settle(claim, { choices: worstChoices(open), fill: {} });
  const corner = settings === undefined ? Infinity : epsilon(settings).upper;
  return Math.max(corner, ...all.map(each => each.upper));
}

interface Comparison {
  readonly claimed: PrintedNumber;
  readonly settings: Settings;
  readonly open: readonly OpenChoice[];
  readonly upper: number;
}

/** Section by section of the table of verdicts: false in every reading, true in every reading, or between. */
function detailOf(all: readonly Interval[], { claimed, settings, open, upper }: Comparison): VerdictDetail {
  const limit = claimed.stands.upper;
  if (all.every(({ lower }) => lower > limit))
    return open.length === 0 && settings.delta > 0 && settings.runs.some(isUnlikePoisson)
      ? 'refuted_for_sampler'
      : 'privacy_overstated';
  if (upper <= limit) return 'consistent';
  if (all.some(epsilon => epsilon.upper <= limit)) return 'conditional';
  return 'borderline';
}

/**
 * Whether batches were formed in a way that accountants for Poisson sampling don't cover.
 *
 * @example
 * ```ts
 * isUnlikePoisson({ sampling: 'fixed_order' }); // true
 * ```
 */
export function isUnlikePoisson({ sampling }: Pick<RunSettings, 'sampling'>): boolean {
  return sampling !== 'none' && sampling !== 'poisson';
}

/**
 * Settings with all batches Poisson sampled, as accountants usually assume.
 *
 * @example
 * ```ts
 * const run = { sampling: 'fixed_order', physicalCap: 8 };
 * asPoisson({ runs: [run] }).runs[0].sampling; // 'poisson'
 * ```
 */
export function asPoisson(settings: Settings): Settings {
  const runs = settings.runs.map(run => ({
    ...run,
    physicalCap: null,
    sampling: isUnlikePoisson(run) ? ('poisson' as const) : run.sampling,
  }));
  return { ...settings, runs };
}

/** A point of a claimed profile with what was recomputed at its delta. */
export interface JudgedPoint {
  readonly point: ProfilePoint;
  readonly found: Interval;
  /** Whether it is certainly more than what the digits of the point stand for, with the settings as they were printed. */
  readonly isBeyond: boolean;
  /** Whether it is so with every number that rounds to them. */
  readonly isProved: boolean;
}

/** Points of a claimed profile; none where the mechanism is not known, or words are open of which no reading is the best. */
export function judgedPoints(
  claim: Claim,
  { best, open, epsilon }: Pick<Judgement, 'best' | 'open'> & { readonly epsilon: EpsilonOfSettings },
): JudgedPoint[] {
  const { profile, relation } = claim.guarantee;
  const isOpen = open.some(({ key }) => key === 'sampler' || key === 'adjacency' || key === 'relative');
  if (best === undefined || profile === null || isOpen) return [];
  const rounded = settle(roundedClaim(claim, 'best').claim, { choices: bestChoices(open), fill: {} })!;
  return profile.map((point, index) => {
    const at = `/guarantee/profile/${index}`;
    const found = epsilon({ ...best.settings, delta: point.delta });
    const text = printedDigits(claim, { field: `${at}/epsilon`, value: point.epsilon });
    const limit = readPrinted(text, relation).stands.upper;
    const isBeyond = found.lower > limit;
    const delta = deltaStands(claim, { field: `${at}/delta`, value: point.delta }).upper;
    return { point, found, isBeyond, isProved: isBeyond && epsilon({ ...rounded, delta }).lower > limit };
  });
}

/** Only rho or mu: what they imply is judged. */
function judgeWithoutMechanism(claim: Claim, { claimed }: JudgeOptions): Judgement {
  const implied = impliedEpsilon(claim);
  const missing: MissingFact[] = [
    {
      fact: 'noise',
      field: '/mechanisms',
      question: 'Which mechanism was run: noise multiplier, sampling, batch size, table size, steps?',
    },
    ...(claim.guarantee.delta === null
      ? [{ fact: 'delta', field: '/guarantee/delta', question: 'At which delta does epsilon hold?' } as const]
      : []),
  ];
  const nothing = { best: undefined, others: [], open: [], needs: [] };
  if (implied === undefined || claimed === null)
    return { detail: 'unverifiable', ...nothing, missing, range: implied ?? { lower: 0, upper: Infinity } };
  const limit = claimed.stands.upper;
  // rho and mu are bounds themselves, so a smaller epsilon may have a proof of its own.
  if (implied.lower > limit) return { detail: 'unverifiable', ...nothing, missing, range: implied };
  const detail = implied.upper <= limit ? 'consistent' : 'borderline';
  return { detail, ...nothing, missing: [], range: implied };
}

/**
 * What the claimed rho or mu implies: not below the Gaussian mechanism that attains it, not above the best conversion.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * impliedEpsilon(claimOf({ guarantee: { rho: 7.7, delta: 1e-10 } })).upper; // ~33.2874
 * ```
 */
export function impliedEpsilon({ guarantee }: Claim): Interval | undefined {
  const { rho, mu, delta } = guarantee;
  if (delta === null || (rho === null && mu === null)) return undefined;
  if (mu !== null) {
    const { gaussian } = rhoEpsilons(Number(mu) ** 2 / 2, delta);
    return { lower: gaussian, upper: gaussian };
  }
  const found = rhoEpsilons(Number(rho), delta);
  return { lower: found.gaussian, upper: found['zcdp modern'] };
}
