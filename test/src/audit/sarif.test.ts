import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { renderSarif } from '../../../src/audit/sarif.ts';
import { version } from '../../../src/version.ts';
import { sampleReport } from './sample-report.ts';

interface Location {
  physicalLocation: { artifactLocation: { uri: string; index: number }; region: { startLine: number } };
}

interface Result {
  ruleId: string;
  ruleIndex: number;
  level: string;
  message: { text: string };
  locations?: Location[];
  properties: Record<string, unknown>;
}

interface Rule {
  id: string;
  name: string;
  shortDescription: { text: string };
  helpUri?: string;
  defaultConfiguration: { level: string };
}

interface Log {
  $schema: string;
  version: string;
  runs: [
    {
      tool: { driver: { name: string; version: string; rules: Rule[] } };
      artifacts: { location: { uri: string }; hashes: Record<string, string> }[];
      results: Result[];
      properties: Record<string, unknown>;
    },
  ];
}

function logOf(report = sampleReport): Log {
  const log: Log = JSON.parse(renderSarif(report));
  return log;
}

describe('renderSarif()', () => {
  const log = logOf();
  const [run] = log.runs;

  it('is SARIF 2.1.0 with what section 3 of the standard requires', () => {
    expect(log.version).toBe('2.1.0');
    expect(log.$schema).toMatch(/^https:\/\/.+sarif-schema-2\.1\.0\.json$/);
    expect(log.runs).toHaveLength(1);
    expect(run.tool.driver).toMatchObject({ name: 'privacy-unit', version });
    for (const { level, message } of run.results) {
      expect(['error', 'warning', 'note']).toContain(level);
      expect(message.text).not.toBe('');
    }
    for (const { helpUri, shortDescription } of run.tool.driver.rules) {
      expect(shortDescription.text).not.toBe('');
      expect(helpUri === undefined || URL.canParse(helpUri)).toBe(true);
    }
  });

  it('has one rule a code, and every result points at its own', () => {
    const { rules } = run.tool.driver;
    expect(rules.map(({ id }) => id)).toEqual(['DPC-S1-shuffled-as-poisson', 'DPC-R1-classic-conversion']);
    expect(rules.map(({ name }) => name)).toEqual(['DPCS1ShuffledAsPoisson', 'DPCR1ClassicConversion']);
    expect(rules.map(({ shortDescription }) => shortDescription.text)).toEqual([
      'shuffled as poisson',
      'classic conversion',
    ]);
    expect(rules.map(({ helpUri }) => helpUri)).toEqual(['https://arxiv.org/abs/2403.17673', undefined]);
    expect(run.results.map(({ ruleIndex }) => ruleIndex)).toEqual([0, 1, 0]);
    for (const { ruleId, ruleIndex } of run.results) expect(rules[ruleIndex]!.id).toBe(ruleId);
  });

  it('places results at the line of their field, of what holds it, or at the first', () => {
    const lines = run.results.map(({ locations }) => locations![0]!.physicalLocation.region.startLine);
    expect(lines).toEqual([10, 1, 6]);
  });

  it('names the file as a URI with its digest', () => {
    const uri = 'claims/my%20claim%20%231.yaml';
    expect(run.artifacts).toEqual([{ location: { uri }, hashes: { 'sha-256': 'ab'.repeat(32) } }]);
    expect(run.results[0]!.locations![0]!.physicalLocation.artifactLocation).toEqual({ uri, index: 0 });
    const path = '/tmp/a b.yaml';
    const [elsewhere] = logOf({ ...sampleReport, files: [{ path, sha256: '' }] }).runs;
    expect(elsewhere.artifacts[0]!.location.uri).toBe(pathToFileURL(path).href);
  });

  it('has the verdict among the properties of the run, and numbers that JSON has', () => {
    expect(run.properties).toMatchObject({
      verdict: 'refuted',
      detail: 'refuted_for_sampler',
      subject: sampleReport.subject,
      statement: sampleReport.statement,
      questions: sampleReport.questions,
    });
    expect(run.results[0]!.properties).toEqual({
      epsilon: { lower: 3.2394, upper: 'Infinity' },
      field: '/mechanisms/0/sampler/kind',
    });
    expect(run.results[2]!.properties).toEqual({ field: '/mechanisms/1/noise/multiplier' });
  });

  it('has no places where no file was read', () => {
    const [run] = logOf({ ...sampleReport, files: [] }).runs;
    expect(run.artifacts).toEqual([]);
    expect(run.results.every(({ locations }) => locations === undefined)).toBe(true);
  });
});
