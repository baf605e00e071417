import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verdictDetails, verdictFor, type VerdictDetail } from '../../../accounting/audit/index.ts';
import { canonicalJson } from '../../../src/audit/canonical.ts';
import {
  addReportOptions,
  answerOf,
  checkReportTargets,
  writeReports,
  type ReportOptions,
} from '../../../src/audit/deliver.ts';
import { nearest } from '../../../src/audit/suggest.ts';
import { renderVerdict } from '../../../src/audit/verdict-file.ts';
import { sourceAddress } from '../../../src/audit/words.ts';
import { exitCodeOf } from '../../../src/exit-codes.ts';
import { version } from '../../../src/version.ts';
import { temporaryFolder } from '../support.ts';
import { sampleReport } from './sample-report.ts';

/** How a command that took these options would end with this verdict. */
function codeOf(detail: VerdictDetail, ...argv: string[]): number {
  const command = addReportOptions(new Command()).exitOverride();
  command.parse(argv, { from: 'user' });
  const options: ReportOptions = command.opts();
  const { failure } = answerOf({ ...sampleReport, detail, verdict: verdictFor(detail) }, options);
  return failure === undefined ? 0 : exitCodeOf(failure);
}

function codes(...argv: string[]): Record<string, number> {
  return Object.fromEntries(verdictDetails.map(detail => [detail, codeOf(detail, ...argv)]));
}

const naturalCodes = {
  refuted: 3,
  refuted_for_sampler: 3,
  privacy_overstated: 3,
  borderline: 4,
  unverifiable: 4,
  conditional: 4,
  privacy_understated: 0,
  consistent: 0,
};

const none = Object.fromEntries(verdictDetails.map(detail => [detail, 0]));

describe('answerOf()', () => {
  it('ends every verdict with its exit code', () => {
    expect(codes()).toEqual(naturalCodes);
  });

  it('fails what --fail-on names, and nothing else', () => {
    expect(codes('--fail-on', 'none')).toEqual(none);
    expect(codes('--fail-on', 'privacy_understated')).toEqual({ ...none, privacy_understated: 3 });
    expect(codes('--fail-on', 'refuted')).toEqual({ ...none, refuted: 3, refuted_for_sampler: 3 });
    expect(codes('--fail-on', 'unverifiable,consistent')).toEqual({
      ...none,
      unverifiable: 4,
      conditional: 4,
      borderline: 4,
      consistent: 3,
    });
    expect(codes('--fail-on', 'conditional')).toEqual({ ...none, conditional: 4 });
  });

  it('has the agreed keys and what the sort of audit adds, but not the lines', () => {
    const { json } = answerOf(sampleReport, {});
    expect(json).toMatchObject({
      verdict: 'refuted',
      detail: 'refuted_for_sampler',
      reasons: sampleReport.reasons,
      recomputed: sampleReport.recomputed,
      explanation: sampleReport.explanation,
      readings: [{ name: 'as stated', epsilon: 1.1921 }],
    });
    const { json: withFacts } = answerOf({ ...sampleReport, facts: [['Canaries', '99']] }, {});
    expect(Object.keys(withFacts)).not.toContain('facts');
    expect(Object.keys(json)).not.toContain('lines');
    expect(Object.keys(json)).not.toContain('details');
  });

  it('prints verdict, statement, numbers, findings and questions', () => {
    const { text } = answerOf(sampleReport, {});
    const [first, ...rest] = text.split('\n\n');
    expect(first).toBe(
      `${sampleReport.subject}: refuted_for_sampler. The claim is refuted for the sampler that was used: its proved lower bound lies above the claimed epsilon.`,
    );
    expect(rest[0]).toBe(`As it should have read: ${sampleReport.statement}`);
    expect(rest[1]).toContain('claimed              [1.185, 1.195]');
    expect(rest[1]).toContain('exact                [0.8643, 0.8645]');
    expect(rest[1]).toContain('rdp classic          1.192');
    expect(rest[1]).toContain('shuffle lower bound  at least 3.239');
    expect(rest[3]).toContain('error DPC-S1-shuffled-as-poisson: Batches were shuffled');
    expect(rest[4]).toBe(`Questions to the author:\n  - ${sampleReport.questions[0]!}`);
  });

  it('says what the verdict means for the sort of audit', () => {
    const text = (kind: 'scores' | 'ledger'): string =>
      answerOf({ ...sampleReport, kind, detail: 'consistent', verdict: 'consistent' }, {}).text;
    expect(text('scores')).toContain('The claim is not refuted by these scores.');
    expect(text('ledger')).toContain('The claim is consistent with the ledger.');
  });
});

describe('writeReports()', () => {
  const { signal } = new AbortController();
  const folder = temporaryFolder();
  const options = {
    verdict: join(folder, 'new', 'verdict.json'),
    sarif: join(folder, 'new', 'audit.sarif'),
    html: join(folder, 'new', 'audit.html'),
  };

  it('writes whole files under their names alone', async () => {
    await writeReports(sampleReport, options, signal);
    expect(readdirSync(join(folder, 'new')).sort()).toEqual(['audit.html', 'audit.sarif', 'verdict.json']);
    expect(readFileSync(options.verdict, 'utf8')).toBe(renderVerdict(sampleReport));
  });

  it('refuses to overwrite, writes nothing then, and overwrites when forced', async () => {
    const other = join(folder, 'other.sarif');
    await expect(writeReports(sampleReport, { ...options, sarif: other }, signal)).rejects.toThrow(
      `Cannot write the audit: ${options.verdict} exists.`,
    );
    expect(existsSync(other)).toBe(false);
    writeFileSync(options.html, 'old');
    await writeReports(sampleReport, { ...options, force: true }, signal);
    expect(readFileSync(options.html, 'utf8')).toContain('<!doctype html>');
  });

  it('refuses one name for two files, however it is spelt', () => {
    expect(() => checkReportTargets({ sarif: 'a', html: './b/../a' })).toThrow(
      'b/../a is given for two files',
    );
  });

  it('writes all files or none', async () => {
    const place = join(folder, 'none');
    const tooLong = join(place, 'x'.repeat(300));
    await expect(
      writeReports(sampleReport, { sarif: join(place, 'a.sarif'), html: tooLong }, signal),
    ).rejects.toThrow('ENAMETOOLONG');
    expect(readdirSync(place)).toEqual([]);
  });

  it('refuses a folder, a device, and a place below a file, forced or not', () => {
    const file = join(folder, 'a file');
    writeFileSync(file, '');
    const refusal =
      (sarif: string): (() => void) =>
      () =>
        checkReportTargets({ sarif, force: true });
    expect(refusal(folder)).toThrow(`${folder} is a folder. Name a file in it.`);
    expect(refusal('/dev/null')).toThrow('no regular file');
    expect(refusal('')).toThrow('0 letters');
    expect(refusal(join(file, 'below', 'a.sarif'))).toThrow(`${file} is no folder`);
    expect(refusal(folder)).toThrow(expect.objectContaining({ code: 'OUTPUT_FAILED' }));
    expect(refusal(file)).not.toThrow();
  });

  it('does not overwrite what was read, forced or not', async () => {
    const path = join(folder, 'claim.yaml');
    writeFileSync(path, 'a claim');
    const report = { ...sampleReport, files: [{ path, sha256: '' }] };
    await expect(writeReports(report, { html: path, force: true }, signal)).rejects.toThrow('that was read');
    expect(readFileSync(path, 'utf8')).toBe('a claim');
  });

  it('writes nothing once it is interrupted', async () => {
    const html = join(folder, 'interrupted', 'audit.html');
    await expect(writeReports(sampleReport, { html }, AbortSignal.abort())).rejects.toThrow(
      expect.objectContaining({ code: 'INTERRUPTED' }),
    );
    expect(existsSync(join(folder, 'interrupted'))).toBe(false);
  });
});

describe('renderVerdict()', () => {
  const text = renderVerdict(sampleReport);
  const parsed: Record<string, unknown> = JSON.parse(text);

  it('has digests of what was read and the version of the tool', () => {
    expect(parsed).toMatchObject({
      schema: 'dp-verdict/1',
      tool: { name: 'privacy-unit', version },
      files: sampleReport.files,
      evidence: sampleReport.evidence,
    });
    expect(text).not.toContain('"lines"');
  });

  it('is its own canonical form', () => {
    expect(text).toBe(`${canonicalJson(parsed)}\n`);
  });
});

describe('canonicalJson()', () => {
  it('sorts by UTF-16 units, at every depth, as the example of RFC 8785 does', () => {
    const value = { '€': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, ö: 7 };
    const text = '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"\u{1f600}":5,"\ufb33":3}';
    expect(canonicalJson([value])).toBe(`[${text}]`);
  });

  it('writes numbers as ECMAScript does, and what JSON lacks as text', () => {
    expect(canonicalJson([1e-7, 333333333.3333333, 1e21, -0, 4.5, Infinity, undefined])).toBe(
      '[1e-7,333333333.3333333,1e+21,0,4.5,"Infinity",null]',
    );
    expect(canonicalJson({ b: undefined, a: null })).toBe('{"a":null}');
  });

  it('is one text for one value, and says the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        const parsed: unknown = JSON.parse(canonicalJson(value));
        expect(canonicalJson(parsed)).toBe(canonicalJson(value));
        expect(parsed).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe('sourceAddress()', () => {
  it.each([
    ['arXiv:2403.17673, section 4', 'https://arxiv.org/abs/2403.17673'],
    ['arXiv 1908.10530', 'https://arxiv.org/abs/1908.10530'],
    ['Chua et al. (2403.17673)', 'https://arxiv.org/abs/2403.17673'],
    ['NIST SP 800-226, doi 10.6028/NIST.SP.800-226', 'https://doi.org/10.6028/NIST.SP.800-226'],
    ['see https://example.org/a#b for more', 'https://example.org/a#b'],
    ['NIST SP 800-226', undefined],
    ['javascript:alert(1)', undefined],
    [undefined, undefined],
  ])('%s', (source, expected) => {
    expect(sourceAddress(source)).toBe(expected);
  });
});

describe('nearest()', () => {
  const words = ['epsilon', 'delta', 'relation', 'rho'];

  it.each([
    ['epsilom', 'epsilon'],
    ['Epsilon', 'epsilon'],
    ['dleta', 'delta'],
    ['relations', 'relation'],
    ['sigma', undefined],
    ['', undefined],
  ])('%s is %s', (word, expected) => {
    expect(nearest(word, words)).toBe(expected);
  });

  it('finds nothing among nothing', () => {
    expect(nearest('epsilon', [])).toBeUndefined();
  });
});
