import { join } from 'node:path';
import type { Command } from 'commander';
import { auditScores } from '../accounting/audit/index.ts';
import { DpError } from '../accounting/check.ts';
import type { CanaryRequest, TrainingResult } from '../trainer/index.ts';
import { reportObject } from './audit/verdict-file.ts';
import { verdictWords } from './audit/words.ts';
import { testedClaim } from './audit/scores-claim.ts';
import { readScores } from './audit/scores-file.ts';
import { scoresReport } from './audit/scores-report.ts';
import { scoreOptions } from './audit/scores-settings.ts';
import type { AuditReport } from './audit/report.ts';
import { count, countOrNone, finite } from './arguments.ts';
import { upward } from './output.ts';

/** How many canaries to plant, as commander hands it over. */
export interface CanaryOptions {
  readonly canaries?: number;
  readonly canaryRecords?: number;
  readonly canaryKPlus?: number;
  readonly canaryKMinus?: number;
  readonly canaryThreshold?: number;
}

/** Adds the options that plant canaries. */
export function addCanaryOptions(command: Command): Command {
  return command
    .option(
      '--canaries <m>',
      'plant m made-up users by fair coins beside those of the table, and hold epsilon against how they score (default: none)',
      count('--canaries'),
    )
    .option(
      '--canary-records <k>',
      'records of each, up to the cap of the plan (default: 1, with Group Privacy the cap)',
      count('--canary-records'),
    )
    .option(
      '--canary-k-plus <n>',
      'register that the n highest scores will be taken for included (default: a quarter of the canaries)',
      countOrNone('--canary-k-plus'),
    )
    .option(
      '--canary-k-minus <n>',
      'register that the n lowest scores will be taken for left out (default: a quarter; 0 beside --canary-k-plus)',
      countOrNone('--canary-k-minus'),
    )
    .option(
      '--canary-threshold <score>',
      'register that every score from this one on, in nats, will be taken for included, instead of ranks (default: ranks)',
      finite('--canary-threshold'),
    );
}

/** The cut that is registered before training; undefined for the usual one. */
function cutOf({
  canaryKPlus,
  canaryKMinus,
  canaryThreshold: threshold,
}: CanaryOptions): CanaryRequest['cut'] {
  const isRanked = canaryKPlus !== undefined || canaryKMinus !== undefined;
  if (threshold === undefined)
    return isRanked ? { highest: canaryKPlus ?? 0, lowest: canaryKMinus ?? 0 } : undefined;
  if (!isRanked) return { threshold };
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot plant canaries: --canary-threshold ${threshold} is given beside ranks, 2 cuts. Register one of them.`,
  );
}

/** The canaries that the command line asks for. */
export function canaryRequest(options: CanaryOptions): CanaryRequest | undefined {
  const { canaries, canaryRecords, canaryKPlus, canaryKMinus, canaryThreshold } = options;
  if (canaries !== undefined)
    return { count: canaries, recordsPerCanary: canaryRecords, cut: cutOf(options) };
  const about = {
    records: canaryRecords,
    'k-plus': canaryKPlus,
    'k-minus': canaryKMinus,
    threshold: canaryThreshold,
  };
  const given = Object.entries(about).find(([, value]) => value !== undefined);
  if (given === undefined) return undefined;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot plant canaries: --canary-${given[0]} is ${given[1]} without --canaries. Give --canaries 200, or leave it out.`,
  );
}

/** What the scores of a run's canaries say of its own ε. */
export interface CanaryAudit {
  readonly json: Readonly<Record<string, unknown>>;
  readonly lines: readonly string[];
  /** Where they refute it. */
  readonly failure?: DpError | undefined;
}

/** Audits the scores that a run wrote, as `audit scores` does, against the ε that it states; undefined without canaries. */
export async function canaryAudit(
  result: Pick<TrainingResult, 'canaries' | 'epsilon' | 'delta'>,
  out: string,
): Promise<CanaryAudit | undefined> {
  if (result.canaries === null) return undefined;
  const { scores, recordsPerCanary } = result.canaries;
  const path = join(out, 'scores.csv');
  const planted = { count: scores.length, recordsPerCanary, scores: path };
  const records = recordsPerCanary === 1 ? '1 record' : `${recordsPerCanary} records`;
  const told = `Canaries: ${scores.length} made-up users with ${records} each, in or out by fair coins; scores are in ${path}.`;
  try {
    const report = await reportOn(path, result);
    const json = { ...reportObject(report), ...planted };
    return { json, lines: [told, ...reportLines(report)], failure: failureOf(report) };
  } catch (error) {
    // Scores that no test is valid for don't take the trained model away.
    if (!(error instanceof DpError)) throw error;
    const json = { verdict: 'unverifiable', reasons: [], error: error.message, ...planted };
    return { json, lines: [told, `They were not audited. ${error.message}`] };
  }
}

async function reportOn(
  path: string,
  { epsilon, delta }: Pick<TrainingResult, 'epsilon' | 'delta'>,
): Promise<AuditReport> {
  const claim = testedClaim({ epsilon: epsilon.upper, delta });
  const { scores, header, file } = await readScores(path, { signal: new AbortController().signal });
  const { options } = scoreOptions({}, { claim, header, canaries: scores.score.length });
  // The ledger commits to the cut before the first step.
  return scoresReport(auditScores(scores, options), {
    subject: path,
    files: [file],
    isRegisteredBeside: false,
  });
}

function reportLines(report: AuditReport): string[] {
  const { detail, statement, claimed, reasons } = report;
  const epsilon = claimed.epsilon === null ? 'epsilon' : `epsilon ${upward(claimed.epsilon.upper)}`;
  return [
    statement,
    `${epsilon} ${verdictWords(report)} (${detail}).`,
    ...reasons.map(({ level, code, text }) => `  - ${level} ${code}: ${text}`),
  ];
}

function failureOf({ detail, details }: AuditReport): DpError | undefined {
  if (detail !== 'refuted') return undefined;
  return new DpError(
    'CHECK_FAILED',
    `Cannot stand by the statement: the canaries prove an epsilon of at least ${String(details?.['epsilonLowerBound'])}. ` +
      'Do not release the model; audit its ledger with the revealed key.',
  );
}
