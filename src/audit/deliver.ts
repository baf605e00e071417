import { resolve } from 'node:path';
import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import { verdictDetails, verdictFor, type VerdictDetail } from '../../accounting/audit/index.ts';
import { choices } from '../arguments.ts';
import { breathe, checkTarget, writeTogether } from '../files.ts';
import type { Answer } from '../output.ts';
import type { AuditReport } from './report.ts';
import { reportText } from './report-text.ts';
import { renderSarif } from './sarif.ts';
import { renderVerdict, reportObject } from './verdict-file.ts';
import { claimedWords, verdictWords } from './words.ts';

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

/** Refuses, before any work, files that cannot be written and one name for two files. */
export function checkReportTargets(options: ReportOptions): void {
  const targets = targetsOf(options);
  for (const path of targets) checkTarget(path, { verb: 'write the audit', force: options.force === true });
  const places = targets.map(path => resolve(path));
  const twice = targets.find((_, at) => places.indexOf(places[at]!) !== at);
  if (twice !== undefined) throw refused(`${twice} is given for two files`);
}

function refused(reason: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot write the audit: ${reason}. Give each a name of its own.`);
}

/** Nothing that was read is overwritten, forced or not. */
function checkInputs({ files }: AuditReport, options: ReportOptions): void {
  const inputs = new Set(files.map(({ path }) => resolve(path)));
  const both = targetsOf(options).find(path => inputs.has(resolve(path)));
  if (both !== undefined) throw refused(`${both} is a file that was read`);
}

/** The files that were asked for, whole. */
async function renderedFiles(
  report: AuditReport,
  { verdict, sarif, html }: ReportOptions,
): Promise<[string, string][]> {
  const files: [string, string][] = [];
  if (verdict !== undefined) files.push([verdict, renderVerdict(report)]);
  if (sarif !== undefined) files.push([sarif, renderSarif(report)]);
  // Plots take long to load.
  if (html !== undefined) files.push([html, (await import('./page.ts')).renderAuditPage(report)]);
  return files;
}

/**
 * Writes the files that were asked for, all of them or none.
 *
 * @param signal - an interrupt that came while the audit was at work ends it here
 */
export async function writeReports(
  report: AuditReport,
  options: ReportOptions,
  signal: AbortSignal,
): Promise<void> {
  const files = await renderedFiles(report, options);
  await breathe(signal);
  checkReportTargets(options);
  checkInputs(report, options);
  writeTogether(files);
}

function isFailing(detail: VerdictDetail, { failOn }: ReportOptions): boolean {
  if (failOn === undefined) return !passing.includes(detail);
  return failOn.includes(detail) || failOn.includes(verdictFor(detail));
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
