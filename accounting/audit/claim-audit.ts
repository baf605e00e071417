import type { Interval } from '../accountant.ts';
import { checkDelta, checkNonNegative } from '../check.ts';
import type { Claim, ClaimAudit } from './claim.ts';
import { settingsEpsilon, type EpsilonOfSettings, type KnownEpsilons } from './claim-bounds.ts';
import {
  asPoisson,
  impliedEpsilon,
  isUnlikePoisson,
  judge,
  judgedPoints,
  type Judgement,
} from './claim-judge.ts';
import { givesPrint, readPrinted, type PrintedNumber } from './claim-printed.ts';
import { evidenceStands } from './claim-rounding.ts';
import { statementOf } from './claim-statement.ts';
import { conventionTexts, rhoEpsilons } from './conventions.ts';
import { explain, isStatedMatch, type Explanation } from './explain.ts';
import { findingsOf } from './findings.ts';
import { roundingQuestions } from './findings-rounding.ts';
import { strongestVerdict, verdictFor, type Reason, type VerdictDetail } from './verdict.ts';

/**
 * Audits a claim on paper: recomputes epsilon from the stated settings, searches for the reading that gives the printed number,
 * and checks the claim against the catalogue of known mistakes.
 *
 * Only a proved lower bound above everything that the printed digits stand for leads to `refuted` or `privacy_overstated`. What is not
 * stated is never assumed: it leads to `unverifiable`, with the range of epsilon over all that was left open and the questions to ask.
 *
 * @param claim - checked by whoever read it; {@link claimOf} makes one of the stated facts
 * @throws DpError `INVALID_ARGUMENT` for a printed number, delta or multiplier that is none
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * const claim = claimOf({
 *   guarantee: { epsilon: '3.0', delta: 1e-5 },
 *   adjacency: 'add_remove',
 *   mechanisms: [{
 *     kind: 'dp_sgd', n_units: 60000, steps: 1160,
 *     sampler: { kind: 'poisson', batch_size: 2048 }, noise: { multiplier: 2.15 },
 *   }],
 * });
 * const audit = auditClaim(claim);
 * audit.verdict; // 'consistent'
 * audit.recomputed.exact.upper; // ~2.3761
 * audit.readings[0].convention; // 'rdp classic'
 * ```
 */
export function auditClaim(claim: Claim): ClaimAudit {
  checkNumbers(claim);
  const { guarantee } = claim;
  const claimed = guarantee.epsilon === null ? null : readPrinted(guarantee.epsilon, guarantee.relation);
  const known: KnownEpsilons = new Map();
  const epsilon = settingsEpsilon({ known });
  const roughly = settingsEpsilon({ relativeGap: 2e-3, finer: known });
  const judgement = judge(claim, { claimed, epsilon, roughly });
  const records = claim.unit.max_records_per_unit;
  const explanation =
    judgement.best === undefined
      ? undefined
      : explain(judgement.best.settings, { claimed, records, epsilon: roughly });
  const implied = explainImplied(claim, { claimed, judgement });
  const reasons = findingsOf({ claim, claimed, judgement, explanation, epsilon: roughly });
  const isImplied = implied !== null;
  const judged = detailOf(claim, { claimed, judgement, explanation, isImplied, epsilon: roughly });
  const detail = unlessBroken(judged, reasons);
  return {
    verdict: verdictFor(detail),
    detail,
    subject: claim.subject.name ?? 'the claim',
    statement: statementOf(claim, judgement),
    claimed: { epsilon: claimed?.stands ?? null, delta: guarantee.delta },
    reasons,
    recomputed: recomputedOf(claim, { judgement, explanation, epsilon: roughly }),
    readings: explanation?.readings.slice(0, mostReadings) ?? [],
    explanation: explanation?.text ?? implied,
    questions: [...questionsOf(claim, judgement), ...roundingQuestions(claim, reasons)],
    needs: judgement.needs,
    range: judgement.range,
  };
}

const mostReadings = 12;
const verb = 'audit the claim';

function checkNumbers({ guarantee, mechanisms }: Claim): void {
  // At 0 it is a promise of pure differential privacy.
  if (guarantee.delta !== null && guarantee.delta !== 0)
    checkDelta(guarantee.delta, { verb, name: 'guarantee.delta' });
  mechanisms.forEach(({ noise }, index) => {
    if (noise.multiplier === null) return;
    checkNonNegative(noise.multiplier, { verb, name: `mechanisms[${index}].noise.multiplier` });
  });
}

interface Parts {
  readonly claimed: PrintedNumber | null;
  readonly judgement: Judgement;
  readonly explanation: Explanation | undefined;
}

/** The finer verdict: what the settings say, what others measured, and whether anything gives the printed number. */
function detailOf(
  claim: Claim,
  {
    claimed,
    judgement,
    explanation,
    isImplied,
    epsilon,
  }: Parts & {
    readonly isImplied: boolean;
    readonly epsilon: EpsilonOfSettings;
  },
): VerdictDetail {
  const details: VerdictDetail[] = [judgement.detail];
  if (claimed !== null && isRefutedByOthers(claim, claimed)) details.push('refuted');
  // A point is judged in the reading that is best for privacy, so one beyond it is beyond all.
  const points = judgedPoints(claim, { ...judgement, epsilon });
  if (points.some(({ isProved }) => isProved)) details.push('privacy_overstated');
  else if (points.some(({ isBeyond }) => isBeyond)) details.push('borderline');
  const found = strongestVerdict(details);
  if (found !== 'consistent') return found;
  const isGiven = isImplied || (explanation?.readings.some(isStatedMatch) ?? false);
  return isGiven ? 'consistent' : 'privacy_understated';
}

/**
 * A number that holds is no guarantee where something that the number does not see breaks it. A delta that is too large promises
 * little, but what it promises holds.
 */
function unlessBroken(detail: VerdictDetail, reasons: readonly Reason[]): VerdictDetail {
  const holds = detail === 'consistent' || detail === 'privacy_understated';
  const isBroken = reasons.some(({ level, field }) => level === 'error' && field !== '/guarantee/delta');
  return holds && isBroken ? 'conditional' : detail;
}

/** What is likelier than this to be chance refutes nothing. */
const leastConfidence = 0.9;

/**
 * A bound at a smaller delta, such as 0, says nothing about the claim's; one without a delta is taken to be at the claim's. It is printed
 * in few digits as well.
 */
function isRefutedByOthers(claim: Claim, { stands }: PrintedNumber): boolean {
  const { evidence, guarantee } = claim;
  if (evidence.kind !== 'lower_bound' || evidence.epsilon === null) return false;
  const isComparable = guarantee.delta === null || (evidence.delta ?? guarantee.delta) >= guarantee.delta;
  const isSure = (evidence.confidence ?? 1) >= leastConfidence;
  return isComparable && isSure && evidenceStands(claim).lower > stands.upper;
}

/** Which conversion of a claimed rho or mu gives the printed epsilon, where no mechanism is stated. */
function explainImplied(
  claim: Claim,
  { claimed, judgement }: Pick<Parts, 'claimed' | 'judgement'>,
): string | null {
  if (claimed === null || judgement.best !== undefined) return null;
  const found = conversionsOf(claim).find(([, value]) => givesPrint(value, claimed));
  if (found === undefined) return null;
  const [name, value] = found;
  const text = Object.entries(conventionTexts).find(([known]) => known === name)?.[1] ?? name;
  return `${claimed.text} is what comes out from the claimed rho or mu, by ${text} (${value.toPrecision(5)}).`;
}

function conversionsOf({ guarantee: { rho, mu, delta } }: Claim): [string, number][] {
  if (delta === null || (rho === null && mu === null)) return [];
  if (rho !== null) return Object.entries(rhoEpsilons(Number(rho), delta));
  return [['gaussian', rhoEpsilons(Number(mu) ** 2 / 2, delta).gaussian]];
}

function recomputedOf(
  claim: Claim,
  options: Pick<Parts, 'judgement' | 'explanation'> & { readonly epsilon: EpsilonOfSettings },
): Record<string, Interval> {
  const { judgement, explanation, epsilon } = options;
  const { best } = judgement;
  const numbers: readonly [string, number | undefined][] =
    best === undefined ? conversionsOf(claim) : Object.entries(explanation?.stated ?? {});
  const conventions = numbers.flatMap(([name, value]): [string, Interval][] =>
    value === undefined ? [] : [[nameOfConvention(name, best), { lower: value, upper: value }]],
  );
  const implied = best === undefined ? impliedEpsilon(claim) : undefined;
  const bound = claim.evidence.kind === 'lower_bound' ? claim.evidence.epsilon : null;
  return {
    ...(best !== undefined && { [nameOfBest(best)]: best.epsilon }),
    ...(best !== undefined &&
      best.settings.runs.some(isUnlikePoisson) && { 'if Poisson': epsilon(asPoisson(best.settings)) }),
    ...(implied !== undefined && { implied }),
    ...(bound !== null && { 'published lower bound': { lower: bound, upper: Infinity } }),
    ...Object.fromEntries(conventions),
  };
}

/** Conventions see one record, but for those that are about groups. */
function nameOfConvention(name: string, best: Judgement['best']): string {
  const isGroup = best?.settings.runs.some(({ groupSize }) => groupSize > 1) ?? false;
  return isGroup && !name.startsWith('group ') ? `${name}, one record` : name;
}

function nameOfBest({ epsilon, settings }: NonNullable<Judgement['best']>): string {
  if (epsilon.upper < Infinity) return 'exact';
  return settings.runs.some(isUnlikePoisson) ? 'sampler lower bound' : 'exact';
}

function questionsOf(claim: Claim, { missing, open }: Judgement): string[] {
  const { unit, guarantee, selection } = claim;
  return [
    ...(guarantee.epsilon === null ? ['Which epsilon is claimed?'] : []),
    ...missing.map(({ question }) => question),
    ...open.map(({ question }) => question),
    ...(unit.kind === null ? ['What is the unit of protection: one record, or all of one user?'] : []),
    ...(selection.runs === null ? ['How many runs were there, and how was the released one chosen?'] : []),
  ];
}
