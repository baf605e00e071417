import { DpError } from '../../check.ts';
import { type VerdictDetail, verdictFor } from '../verdict.ts';
import { verb } from './arguments.ts';
import { examine } from './examine.ts';
import { asideOf, type Finding, isGuessing } from './methods.ts';
import { type ScoreOptions, type SettledOptions, settledOptions } from './options.ts';
import { reasonsFor, statementFor } from './reasons.ts';
import type { Evidence, ScoresAudit } from './result.ts';
import { type CanaryColumns, type CanaryScore, columnsOfRows } from './columns.ts';
import { checkCoins, type ScoreColumns, scoreColumns } from './rows.ts';
import { type Tradeoff, tradeoffOfPromise } from './tradeoff.ts';

/**
 * Holds the scores of canaries against a claim.
 *
 * An audit can refute a claim and never confirm it. Only a proved lower bound above the claim refutes: one of one run with fair coins
 * (`one-run`, `f-dp`), or one of independent trainings (`rates`, and `one-shot` with a threshold). Estimates never do.
 *
 * @param scores - one row a canary and run, or their columns
 * @param options - epsilon: claimed, in nats; delta: claimed, in [0, 1); significance: default 0.05
 * @returns the verdict, with the detection limit beside the bound
 * @throws DpError `INVALID_ARGUMENT`; `INVALID_DATA` and `DUPLICATE_RECORD` for scores that no test is valid for
 * @example
 * ```ts
 * const coins = (canary: number): boolean => (canary * 7919) % 1000 < 490;
 * const rows = Array.from({ length: 1000 }, (_, canary) => ({
 *   canary: String(canary),
 *   included: coins(canary),
 *   score: coins(canary) ? 1 + canary / 1e4 : canary / 1e4,
 * }));
 * const audit = auditScores(rows, { epsilon: 1, delta: 1e-6 });
 * audit.verdict; // 'refuted'
 * audit.epsilonLowerBound; // ~4.5771848
 * auditScores(rows, { epsilon: 8, delta: 1e-6 }).verdict; // 'unverifiable'
 * ```
 */
export function auditScores(
  scores: readonly CanaryScore[] | CanaryColumns,
  options: ScoreOptions,
): ScoresAudit {
  const settled = settledOptions(options);
  const given = 'score' in scores ? scores : columnsOfRows(scores);
  const columns = scoreColumns(given, { oneRowAUnit: settled.unit === 'user' });
  if (isGuessing(settled.method)) checkCoins(columns, settled.inclusion);
  const claimed = groupClaim(settled, columns);
  const curve = testedCurve(settled, claimed);
  const asked = { epsilon: claimed.epsilon.upper, delta: claimed.delta, curve };
  const examination = examine(columns, settled, asked);
  return report({ columns, claimed, options: settled, examination, asked });
}

/** Promise for the group of all copies: (kε, δ (e^kε - 1) / (e^ε - 1)). */
function groupClaim(options: SettledOptions, { repeats }: ScoreColumns): ScoresAudit['claimed'] {
  const { claimed: epsilon, delta, group } = options;
  if (repeats === 1) return { epsilon, delta };
  if (group !== true) {
    throw new DpError(
      'INVALID_DATA',
      `Cannot ${verb}: every canary was put in ${repeats} times. Put it in once, or hold it against the epsilon of a group.`,
    );
  }
  const { lower, upper } = epsilon;
  const factor = upper === 0 ? repeats : Math.expm1(repeats * upper) / Math.expm1(upper);
  const groupDelta = delta === 0 ? 0 : delta * factor;
  if (groupDelta < 1)
    return { epsilon: { lower: repeats * lower, upper: repeats * upper }, delta: groupDelta };
  throw new DpError(
    'INVALID_DATA',
    `Cannot ${verb}: ${repeats} copies of a canary have no promise left, their delta is ${groupDelta}. Put fewer in.`,
  );
}

/** The claim's own curve and its printed point: both were promised, and the point is the weaker of them. */
function testedCurve(
  { curve, method, group }: SettledOptions,
  { epsilon, delta }: ScoresAudit['claimed'],
): Tradeoff | undefined {
  if (curve === undefined || method !== 'f-dp' || group === true) return undefined;
  const point = tradeoffOfPromise({ epsilon: epsilon.upper, delta });
  return rate => Math.max(curve(rate), point(rate));
}

function isIndependent({ runCount, scores }: ScoreColumns, options: SettledOptions): boolean {
  return options.independentTrials === true || runCount === scores.length;
}

/** Whether the answer is a bound whose conditions hold. */
function isProved({ answer }: Finding, { columns, options }: Evidence): boolean {
  if (answer.side === 'estimate') return false;
  return answer.trials === 'fair-coins' || isIndependent(columns, options);
}

function detailOf(evidence: Evidence): VerdictDetail {
  const { findings } = evidence.examination;
  const most = evidence.claimed.epsilon.upper;
  const proved = findings.filter(finding => isProved(finding, evidence));
  const isRefuting = ({ answer, curve }: Finding): boolean =>
    curve === null ? answer.epsilon > most : curve.isRejected;
  if (proved.some(isRefuting)) return 'refuted';
  const couldRefute = ({ answer, curve }: Finding): boolean =>
    curve === null ? answer.side === 'lower' && answer.detectionLimit > most : curve.couldBe;
  return proved.some(couldRefute) ? 'consistent' : 'unverifiable';
}

function limitOf(evidence: Evidence): number {
  const limits = evidence.examination.findings.map(finding =>
    finding.answer.side === 'lower' && isProved(finding, evidence) ? finding.answer.detectionLimit : 0,
  );
  return limits.reduce((most, limit) => Math.max(most, limit), 0);
}

function report(evidence: Evidence): ScoresAudit {
  const { claimed, options, examination } = evidence;
  const { best, findings, level } = examination;
  const { pValue, gaussian } = asideOf(options.method, best, { ...evidence.asked, level });
  const [valid, detail] = [isProved(best, evidence), detailOf(evidence)];
  const { canaries: m, guesses: r, correct: v } = best.guesses;
  const found = {
    detail,
    claimed,
    method: options.method,
    side: valid ? ('lower' as const) : ('estimate' as const),
    epsilonLowerBound: valid ? best.answer.epsilon : 0,
    detectionLimit: limitOf(evidence),
    estimate: valid ? null : best.answer.epsilon,
    gaussian: gaussian && { mu: gaussian.mu, epsilon: gaussian.epsilon },
    pValue,
    counts: best.counts,
    m,
    r,
    v,
    delta: claimed.delta,
    significance: options.significance,
    cuts: { rule: options.cuts.rule, tried: findings.length, shown: best.cut },
    valid,
  };
  return {
    verdict: verdictFor(detail),
    ...found,
    statement: statementFor(found, evidence),
    reasons: reasonsFor(found, evidence),
  };
}
