import { version } from '../version.ts';
import { canonicalJson } from './canonical.ts';
import type { AuditReport } from './report.ts';

/** Name and version of the form of `verdict.json`. */
export const verdictSchema = 'dp-verdict/1';

/** What a program reads of an audit: the report with what its own sort adds, without what is for people alone. */
export function reportObject(report: AuditReport): Readonly<Record<string, unknown>> {
  const { lines: _lines, facts: _facts, details, ...common } = report;
  return { ...common, ...details };
}

/** `verdict.json`: the report with the digests of what was read and the version of this tool, as canonical JSON. */
export function renderVerdict(report: AuditReport): string {
  const tool = { name: 'privacy-unit', version };
  return `${canonicalJson({ schema: verdictSchema, tool, ...reportObject(report) })}\n`;
}
