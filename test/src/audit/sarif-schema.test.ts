import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { beforeAll, describe, expect, it } from 'vitest';
import { renderSarif } from '../../../src/audit/sarif.ts';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl } from '../support.ts';
import { sampleReport } from './sample-report.ts';

/** The schema of the standard, which is JSON Schema of draft 04: without the keywords that only name it, draft 07 reads it. */
function standardSchema(): object {
  const path = createRequire(import.meta.url).resolve(
    '@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json',
  );
  const {
    $schema: _draft,
    id: _id,
    ...schema
  }: Record<string, unknown> = JSON.parse(readFileSync(path, 'utf8'));
  return schema;
}

const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false });
ajv.addFormat('uri', text => URL.canParse(text));
ajv.addFormat('uri-reference', text => URL.canParse(text, 'file:///') && !/[ #]/.test(text));
ajv.addFormat('date-time', text => !Number.isNaN(Date.parse(text)));
const validate = ajv.compile(standardSchema());

function faultsOf(sarif: string): unknown {
  const log: unknown = JSON.parse(sarif);
  return validate(log) ? [] : validate.errors;
}

const folder = temporaryFolder();
const run = join(folder, 'run');

beforeAll(async () => {
  const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(40));
  const model = join(folder, 'model');
  const tiny = ['--layers', '1', '--width', '16', '--heads', '2', '--context', '32'];
  const budget = ['--epsilon', '8', '--batch-size', '10', '--steps', '5', '--k', '2', '--held-out', '0.2'];
  await runJson('plan', table, ...budget, '--out', join(folder, 'plans'));
  await runJson('pretrain', table, '--steps', '3', '--batch-size', '4', ...tiny, '--out', model);
  const plan = join(folder, 'plans', 'user-wise-k2.json');
  await runJson('train', plan, table, '--model', model, '--canaries', '24', '--out', run);
});

describe('SARIF 2.1.0 by the schema of the standard', () => {
  it('would notice what is not SARIF', () => {
    const log: { runs: { results: { level: string; message: object }[] }[] } = JSON.parse(
      renderSarif(sampleReport),
    );
    log.runs[0]!.results[0]!.level = 'fatal';
    log.runs[0]!.results[1]!.message = {};
    expect(validate(log)).toBe(false);
    const places = validate.errors!.map(({ instancePath }) => instancePath);
    expect(places).toContain('/runs/0/results/0/level');
    expect(places).toContain('/runs/0/results/1/message');
  });

  it.each([
    ['everything that a report may hold', sampleReport],
    ['no file', { ...sampleReport, files: [] }],
    ['no lines', { ...sampleReport, lines: new Map<string, number>() }],
    ['no findings', { ...sampleReport, reasons: [], questions: [], explanation: null }],
    ['an absolute path', { ...sampleReport, files: [{ path: '/tmp/a b#c.yaml', sha256: 'cd'.repeat(32) }] }],
    [
      'a path of Windows',
      { ...sampleReport, files: [{ path: 'claims\\ä 1.yaml', sha256: 'cd'.repeat(32) }] },
    ],
  ])('of %s', (_, report) => {
    expect(faultsOf(renderSarif(report))).toEqual([]);
  });

  const claim = join(folder, 'claim.yaml');
  const scores = join(folder, 'scores.csv');
  writeFileSync(claim, 'schema: dp-claim/1\nguarantee: {epsilon: 1.0, delta: 1.0e-5}\n');
  writeFileSync(
    scores,
    `canary,included,score\n${Array.from({ length: 99 }, (_, row) => `c${row},${row % 2},${row % 2}\n`).join('')}`,
  );

  it.each([
    ['claim', () => [claim]],
    ['ledger', () => [join(run, 'ledger.jsonl'), '--epsilon', '2']],
    ['ledger', () => [join(run, 'ledger.jsonl'), '--claim', join(run, 'statement.json')]],
    ['scores', () => [scores, '--claim', claim]],
    ['scores', () => [join(run, 'scores.csv'), '--epsilon', '3']],
  ])('of audit %s', async (command, inputs) => {
    const sarif = join(folder, 'audit.sarif');
    const { code, stderr } = await runCli(
      'audit',
      command,
      ...inputs(),
      '--sarif',
      sarif,
      '--force',
      '--json',
    );
    expect([0, 3, 4], stderr).toContain(code);
    expect(faultsOf(readFileSync(sarif, 'utf8'))).toEqual([]);
  });
});
