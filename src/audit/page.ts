import type { Reason } from '../../accounting/audit/index.ts';
import {
  escapeHtml,
  htmlFacts,
  htmlFigure,
  htmlLegend,
  htmlList,
  htmlPage,
  htmlTable,
} from '../report/html.ts';
import { deltaWords } from '../../accounting/audit/claim-statement.ts';
import { version } from '../version.ts';
import { intervalFigure, rowSorts } from './chart.ts';
import { meaningOf } from './meaning.ts';
import type { AuditReport } from './report.ts';
import { reportRows, rowWords, type ReportRow } from './rows.ts';
import { claimedWords, epsilonWords, sourceAddress, verdictWords } from './words.ts';

const kindWords = {
  claim: 'A claim',
  scores: 'Scores of canaries',
  ledger: 'The ledger of a training',
} as const;

function chartSection(report: AuditReport): string {
  const rows = reportRows(report);
  if (rows.length === 0) return '';
  const present = rowSorts.filter(({ sort }) => rows.some(row => row.sort === sort));
  const legend = htmlLegend(
    present.map(({ name }) => name),
    present.map(({ key }) => key),
  );
  const caption =
    'Every epsilon at the claimed delta; a smaller one promises more privacy. The band is what the printed digits stand for. An arrow has no upper end: only a lower bound is proved.';
  const drawings = (['broad', 'narrow'] as const).map(
    shape => `<div class="${shape}">${intervalFigure(report, shape)}</div>`,
  );
  return `${legend}\n${htmlFigure(drawings.join(''), caption)}`;
}

function tableSection(rows: readonly ReportRow[]): string {
  if (rows.length === 0) return '';
  const lines = rows.map(row => [row.name, rowWords(row)]);
  return `<h2>All numbers</h2>\n${htmlTable(['', 'epsilon'], lines)}`;
}

function sourceLine(source: string | undefined): string {
  if (source === undefined) return '';
  const address = sourceAddress(source);
  const text = escapeHtml(source);
  const link = address === undefined ? text : `<a href="${escapeHtml(address)}">${text}</a>`;
  return `<br><span class="soft">Source: ${link}</span>`;
}

function findingItem(reason: Reason): string {
  const { level, code, text, source } = reason;
  return `<li><strong>${escapeHtml(level)}</strong> <code>${escapeHtml(code)}</code><br>${escapeHtml(text + epsilonWords(reason))}${sourceLine(source)}</li>`;
}

function findingSection(reasons: readonly Reason[]): string {
  if (reasons.length === 0) return '';
  return `<h2>Findings</h2>\n<ul class="findings">${reasons.map(findingItem).join('\n')}</ul>`;
}

function questionSection(questions: readonly string[]): string {
  return questions.length === 0 ? '' : `<h2>Questions to the author</h2>\n${htmlList(questions)}`;
}

function factSection({ facts = [] }: AuditReport): string {
  return facts.length === 0 ? '' : `<h2>How it was tested</h2>\n${htmlFacts(facts)}`;
}

function meaningSection(report: AuditReport): string {
  const { says, saysNot } = meaningOf(report);
  const { epsilon, delta } = report.claimed;
  const at = delta === null ? '' : ` at delta ${deltaWords(delta)}`;
  const claimed = epsilon === null ? 'no epsilon' : `epsilon ${claimedWords(epsilon)}${at}`;
  return `<p><strong>What was claimed:</strong> ${escapeHtml(claimed)}.</p>
<p><strong>What the verdict means:</strong> ${escapeHtml(says)}</p>
<p><strong>What it does not say:</strong> ${escapeHtml(saysNot)}</p>`;
}

const lowerOnly =
  'An audit can refute a claim, never confirm it: what is stated may not be what was run, and a data set or an attack that leaks more may exist.';

function fileSection({ files }: AuditReport): string {
  if (files.length === 0) return '';
  return `<h2>What was read</h2>\n${htmlFacts(files.map(({ path, sha256 }) => [path, `sha256 ${sha256}`]))}`;
}

/** The whole audit as one HTML page without any script; every text of the claim is escaped. */
export function renderAuditPage(report: AuditReport): string {
  const { kind, subject, detail, statement, explanation, reasons, questions } = report;
  const because = explanation === null ? '' : `<p>${escapeHtml(explanation)}</p>`;
  return htmlPage(
    `Audit of ${subject}`,
    `<p class="soft">${kindWords[kind]}: ${escapeHtml(subject)}</p>
<h1>The claim ${escapeHtml(verdictWords(report))}</h1>
<div class="alert"><strong>As it should have read</strong><p>${escapeHtml(statement)}</p></div>
${meaningSection(report)}
${chartSection(report)}
${because}
${findingSection(reasons)}
${questionSection(questions)}
${factSection(report)}
${tableSection(reportRows(report))}
${fileSection(report)}
<p class="soft">${lowerOnly}</p>
<footer>privacy-unit ${escapeHtml(version)}, verdict ${escapeHtml(detail)}</footer>`,
  );
}
