import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { auditClaim, type Claim, type ClaimAudit } from '../accounting/audit/index.ts';
import { readClaimFile } from '../src/audit/claim-file.ts';
import { intervalWords } from '../src/audit/words.ts';

const folder = new URL('claims/', import.meta.url);

/** The document that holds the table. */
export const tableFile: URL = new URL('README.md', import.meta.url);

const begin = '<!-- claims: written by `npm run claims:table` -->';
const end = '<!-- end of claims -->';

/** Names of the claim files, sorted. */
export function claimNames(): string[] {
  return readdirSync(folder)
    .filter(name => name.endsWith('.yaml'))
    .sort((one, other) => (one < other ? -1 : 1));
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function subjectCell({ subject }: Claim): string {
  const name = cell(subject.name ?? '');
  return subject.source?.startsWith('https://') === true ? `[${name}](${subject.source})` : name;
}

function printedCell({ guarantee: { epsilon, relation, delta } }: Claim): string {
  const sign = relation === '<=' ? '≤ ' : '';
  const at = delta === null ? 'not stated' : Number(delta.toPrecision(3)).toExponential();
  return `${sign}${epsilon ?? '–'} at δ ${at}`;
}

function recomputedCell({ recomputed, range, needs }: ClaimAudit): string {
  const [first] = Object.entries(recomputed);
  if (first !== undefined) return `${intervalWords(first[1])} (${first[0]})`;
  const open = range === null ? 'unknown' : intervalWords(range);
  return needs.length === 0 ? open : `${open}; needs ${needs.join('; ')}`;
}

/** Where the printed number comes from, else that nothing gives it, else what is missing. */
function sourceCell({ explanation, reasons }: ClaimAudit): string {
  const drift = reasons.find(({ code }) => code.startsWith('DPC-G1'));
  return cell(explanation ?? (drift ?? reasons[0])?.text ?? '');
}

/** One row of the table. */
export function claimRow(name: string): string {
  const { claim } = readClaimFile(fileURLToPath(new URL(name, folder)));
  const audit = auditClaim(claim);
  const cells = [
    subjectCell(claim),
    printedCell(claim),
    cell(recomputedCell(audit)),
    audit.detail,
    sourceCell(audit),
  ];
  return `| ${cells.join(' | ')} |`;
}

const head = [
  '| claim | printed ε | recomputed ε | verdict | what gives the printed number, or is missing |',
  '| --- | --- | --- | --- | --- |',
] as const;

/** The document with the table in the place of the old one. */
export function withTable(document: string, rows: readonly string[]): string {
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from < 0 || to < from)
    throw new Error(`Cannot write the table: ${begin} and ${end} are missing. Add them.`);
  const table = [begin, '', ...head, ...rows, '', end].join('\n');
  return document.slice(0, from) + table + document.slice(to + end.length);
}

/** The document as it is. */
export function readDocument(): string {
  return readFileSync(tableFile, 'utf8');
}
