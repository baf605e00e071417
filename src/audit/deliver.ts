import type { Command } from 'commander';
import type { Interval } from '../../accounting/accountant.ts';
import { DpError } from '../../accounting/check.ts';
import { verdictDetails, verdictFor, type VerdictDetail } from '../../accounting/audit/index.ts';
import { choices } from '../arguments.ts';
import { checkAbsent, writeWhole } from '../files.ts';
import type { Answer } from '../output.ts';
import type { AuditReport } from './report.ts';
import { reportText } from './report-text.ts';
import { renderSarif } from './sarif.ts';
import { renderVerdict, reportObject } from './verdict-file.ts';
import { intervalWords, verdictWords } from './words.ts';

/** Verdicts that let a claim stand. */
const passing: readonly VerdictDetail[] = ['privacy_understated', 'consistent'];

/** What `--fail-on` takes. */
type FailChoice = VerdictDetail | 'none';

const failChoices: readonly FailChoice[] = [...verdictDetails, 'none'];

/** Where an audit is written to, and which verdicts fail. */
export interface ReportOptions {
  readonly verdict?: string;
  readonly sarif?: string;
  readonly html?: string;
  readonly force?: true;
  readonly failOn?: readonly FailChoice[];
}

/** Adds the options that every audit takes. */
export function addReportOptions(command: Command): Command {
  return command
    .optionsGroup('Report:')
    .option(
      '--verdict <file>',
      'write the verdict with digests of what was read, as canonical JSON (default: no)',
    )
    .option('--sarif <file>', 'write the findings as SARIF 2.1.0 (default: no)')
    .option('--html <file>', 'write a page without scripts (default: no)')
    .option('--force', 'overwrite those files (default: refuse)')
    .option(
      '--fail-on <verdicts>',
      `verdicts with exit code 3 or 4, separated by commas, of ${failChoices.join(', ')}; refuted and unverifiable stand for their finer ones too (default: all but ${passing.join(' and ')})`,
      choices('--fail-on', failChoices),
    );
}

function targetsOf({ verdict, sarif, html }: ReportOptions): string[] {
  return [verdict, sarif, html].filter(path => path !== undefined);
}

/** Refuses, before any work, files that exist and one name for two files. */
export function checkReportTargets(options: ReportOptions): void {
  const targets = targetsOf(options);
  for (const path of targets) checkAbsent(path, { verb: 'write the audit', force: options.force === true });
  const twice = targets.find((path, at) => targets.indexOf(path) !== at);
  if (twice === undefined) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot write the audit: ${twice} is given for two files. Give each a name of its own.`,
  );
}

/** Writes the files that were asked for, each whole or not at all. */
export async function writeReports(report: AuditReport, options: ReportOptions): Promise<void> {
  checkReportTargets(options);
  const { verdict, sarif, html } = options;
  if (verdict !== undefined) writeWhole(verdict, renderVerdict(report));
  if (sarif !== undefined) writeWhole(sarif, renderSarif(report));
  // Plots take long to load.
  if (html !== undefined) writeWhole(html, (await import('./page.ts')).renderAuditPage(report));
}

function isFailing(detail: VerdictDetail, { failOn }: ReportOptions): boolean {
  if (failOn === undefined) return !passing.includes(detail);
  return failOn.includes(detail) || failOn.includes(verdictFor(detail));
}

/** A limit by its upper end alone. */
function claimedWords(epsilon: Interval): string {
  return epsilon.lower === 0
    ? `of at most ${intervalWords({ ...epsilon, lower: epsilon.upper })}`
    : intervalWords(epsilon);
}

function failureOf(report: AuditReport, options: ReportOptions): DpError | undefined {
  const { detail, claimed } = report;
  if (!isFailing(detail, options)) return undefined;
  const isOpen = verdictFor(detail) === 'unverifiable';
  const what = claimed.epsilon === null ? 'the claim' : `epsilon ${claimedWords(claimed.epsilon)}`;
  const [meaning] = verdictWords(report).split(/[:;]/);
  return new DpError(
    isOpen ? 'INCONCLUSIVE' : 'CHECK_FAILED',
    `Cannot confirm ${what}: the claim ${meaning}. ${isOpen ? 'Ask the author what is listed, and audit again.' : 'Do not rely on the claim; see the reasons.'}`,
  );
}

/** The answer of every audit: the report as text and as JSON, and the failure that the verdict stands for. */
export function answerOf(report: AuditReport, options: ReportOptions): Answer {
  return { json: reportObject(report), text: reportText(report), failure: failureOf(report, options) };
}
