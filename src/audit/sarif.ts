import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Artifact, Location, Log, PropertyBag, ReportingDescriptor, Result, Run } from 'sarif';
import type { Reason } from '../../accounting/audit/index.ts';
import { version } from '../version.ts';
import type { AuditedFile, AuditReport } from './report.ts';
import { epsilonWords, sourceAddress, verdictWords } from './words.ts';

const schemaAddress =
  'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';

/** A path as the URI reference that SARIF asks for. */
function uriOf(path: string): string {
  if (isAbsolute(path)) return pathToFileURL(path).href;
  return path.split(/[\\/]/).map(encodeURIComponent).join('/');
}

/** The line of the field, of the nearest one that holds it, or the first. */
function lineOf({ lines }: AuditReport, field: string | undefined): number {
  for (let pointer = field ?? ''; pointer !== ''; pointer = pointer.slice(0, pointer.lastIndexOf('/'))) {
    const line = lines?.get(pointer);
    if (line !== undefined) return line;
  }
  return 1;
}

/** `DPC-S1-shuffled-as-poisson` as "shuffled as poisson". */
function codeWords(code: string): string {
  return code.replace(/^[A-Z]+-(?:[A-Z]\d+-)?/, '').replaceAll(/[-_]/g, ' ');
}

function ruleOf({ code, level, source }: Reason): ReportingDescriptor {
  const helpUri = sourceAddress(source);
  return {
    id: code,
    name: code.replace(/(?:^|[-_])(\w)/g, (_, letter: string) => letter.toUpperCase()),
    shortDescription: { text: codeWords(code) },
    ...(source === undefined ? {} : { help: { text: `Source: ${source}` } }),
    ...(helpUri === undefined ? {} : { helpUri }),
    defaultConfiguration: { level },
  };
}

/** One rule a code, in the order in which the codes appear. */
function rulesOf(reasons: readonly Reason[]): Map<string, ReportingDescriptor> {
  const rules = new Map<string, ReportingDescriptor>();
  for (const reason of reasons) {
    if (!rules.has(reason.code)) rules.set(reason.code, ruleOf(reason));
  }
  return rules;
}

function locationOf(report: AuditReport, { path }: AuditedFile, field: string | undefined): Location {
  return {
    physicalLocation: {
      artifactLocation: { uri: uriOf(path), index: 0 },
      region: { startLine: lineOf(report, field) },
    },
  };
}

/** Infinities are no numbers of JSON. */
function bound(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

function resultOf(report: AuditReport, { reason, ruleIndex }: { reason: Reason; ruleIndex: number }): Result {
  const { code, level, text, epsilon, field } = reason;
  const [file] = report.files;
  const interval =
    epsilon === null ? {} : { epsilon: { lower: bound(epsilon.lower), upper: bound(epsilon.upper) } };
  return {
    ruleId: code,
    ruleIndex,
    level,
    message: { text: text + epsilonWords(reason) },
    ...(file === undefined ? {} : { locations: [locationOf(report, file, field)] }),
    properties: { ...interval, ...(field === undefined ? {} : { field }) },
  };
}

function artifactOf({ path, sha256 }: AuditedFile): Artifact {
  return { location: { uri: uriOf(path) }, hashes: { 'sha-256': sha256 } };
}

function propertiesOf(report: AuditReport): PropertyBag {
  const { verdict, detail, subject, statement, explanation, questions } = report;
  const meaning = `The claim ${verdictWords(report)}.`;
  return { verdict, detail, meaning, subject, statement, explanation, questions };
}

function runOf(report: AuditReport): Run {
  const { reasons, files } = report;
  const rules = rulesOf(reasons);
  const places = [...rules.keys()];
  return {
    tool: { driver: { name: 'privacy-unit', version, rules: [...rules.values()] } },
    artifacts: files.map(artifactOf),
    results: reasons.map(reason => resultOf(report, { reason, ruleIndex: places.indexOf(reason.code) })),
    properties: propertiesOf(report),
  };
}

/** The report as SARIF 2.1.0 (OASIS): one rule a code, one result a reason, the verdict among the run's properties. */
export function renderSarif(report: AuditReport): string {
  const log: Log = { $schema: schemaAddress, version: '2.1.0', runs: [runOf(report)] };
  return `${JSON.stringify(log, null, 2)}\n`;
}
