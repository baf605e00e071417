import { renderTable } from '../output.ts';
import type { AuditReport } from './report.ts';
import { reportRows, rowWords } from './rows.ts';
import { epsilonWords, verdictWords } from './words.ts';

function numbers(report: AuditReport): string {
  const rows = reportRows(report).map(row => [row.name, rowWords(row)]);
  return rows.length === 0 ? '' : renderTable([{ title: '' }, { title: 'epsilon' }], rows);
}

function list(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : [`${title}:`, ...lines.map(line => `  - ${line}`)].join('\n');
}

/** The report for people: verdict, statement, numbers, findings, questions. */
export function reportText(report: AuditReport): string {
  const { detail, subject, statement, explanation, reasons, questions } = report;
  const findings = reasons.map(
    reason => `${reason.level} ${reason.code}: ${reason.text}${epsilonWords(reason)}`,
  );
  return [
    `${subject}: ${detail}. The claim ${verdictWords(report)}.`,
    `As it should have read: ${statement}`,
    numbers(report),
    explanation ?? '',
    list('Findings', findings),
    list('Questions to the author', questions),
  ]
    .filter(part => part !== '')
    .join('\n\n');
}
