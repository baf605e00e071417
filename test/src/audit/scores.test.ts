import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Field, Schema, Table, tableToIPC, vectorFromArray, makeTable, Utf8 } from 'apache-arrow';
import { afterAll, describe, expect, it } from 'vitest';
import { runCli } from '../support.ts';

const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-scores-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function write(text: string | Uint8Array, extension = 'csv'): string {
  files += 1;
  const path = join(folder, `scores-${files}.${extension}`);
  writeFileSync(path, text);
  return path;
}

/** 1001 canaries that scores tell apart without error; the coins are those of a fixed sequence. */
const rows = Array.from({ length: 1001 }, (_, index) => {
  const included = (index * 7919 + ((index * index) % 13)) % 1009 < 500;
  return { canary: `c${index}`, included, score: (included ? 1 : 0) + (index % 97) / 1000 };
});

function csv(header = '', columns = 'canary,included,score'): string {
  const lines = rows.map(({ canary, included, score }) => `${canary},${Number(included)},${score}`);
  return `${header}${columns}\n${lines.join('\n')}\n`;
}

const claim = ['--epsilon', '1', '--delta', '1e-6'];

async function audit(
  path: string,
  ...options: string[]
): Promise<{ code: number; json: Record<string, unknown>; stderr: string }> {
  const { code, stdout, stderr } = await runCli('audit', 'scores', path, ...options, '--json');
  const json: Record<string, unknown> = stdout === '' ? {} : JSON.parse(stdout);
  return { code, json, stderr };
}

describe('privacy-unit audit scores', () => {
  it('refutes, cannot tell, or does not refute, with the exit code of each', async () => {
    const path = write(csv());
    const refuted = await audit(path, ...claim);
    expect(refuted.code).toBe(3);
    expect(refuted.json).toMatchObject({
      verdict: 'refuted',
      method: 'one-run',
      side: 'lower',
      m: 1001,
      valid: true,
    });
    expect(refuted.json['epsilonLowerBound']).toBeGreaterThan(4);
    expect(refuted.json['evidence']).toMatchObject({ detectionLimit: refuted.json['detectionLimit'] });
    const open = await audit(path, '--epsilon', '8', '--delta', '1e-6');
    expect(open.code).toBe(4);
    expect(open.json['questions']).toEqual([expect.stringContaining('8932')]);
    const fine = await audit(path, '--epsilon', '5.2', '--delta', '1e-6');
    expect(fine.code).toBe(0);
    expect(fine.json['verdict']).toBe('consistent');
    const { stdout } = await runCli('audit', 'scores', path, '--epsilon', '5.2', '--delta', '1e-6');
    expect(stdout).toContain('not refuted by these scores');
  });

  it('takes a claim file, its unit and its own curve', async () => {
    const stated = write(
      [
        'schema: dp-claim/1',
        'subject: {name: model-x}',
        'guarantee: {epsilon: 4.4, delta: 1.0e-5}',
        'unit: {kind: example}',
        'adjacency: add_remove',
        'mechanisms: [{kind: gaussian, noise: {multiplier: 1.0, relative_to: clip}}]',
      ].join('\n'),
      'yaml',
    );
    const { code, json } = await audit(write(csv()), '--claim', stated, '--method', 'f-dp');
    expect(code).toBe(3);
    expect(json).toMatchObject({ subject: 'model-x', claimed: { epsilon: { upper: 4.45 }, delta: 1e-5 } });
    expect(json['files']).toHaveLength(2);
    const wrong = await audit(write(csv()), '--claim', stated, '--unit', 'user');
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('claimUnit') });
    const two = await audit(write(csv()), '--claim', stated, '--epsilon', '3');
    expect(two).toMatchObject({ code: 2, stderr: expect.stringContaining('2 claims') });
  });

  it('reads what the file says: CSV, JSON lines, Arrow', async () => {
    const header =
      '# preregistered: {"k_plus": 50, "k_minus": 40}\n# delta: 1e-6\n# alpha: 0.01\n# inclusion: bernoulli(1/2)\n';
    const registered = { code: 3, json: { r: 90, significance: 0.01, cuts: { rule: 'preregistered' } } };
    expect(await audit(write(csv(header)), '--epsilon', '1')).toMatchObject(registered);
    const noted = await audit(write(csv(header)), '--epsilon', '1');
    expect(JSON.stringify(noted.json['reasons'])).toContain('DPC-T12');
    const first = {
      preregistered: { k_plus: 50, k_minus: 40 },
      delta: 1e-6,
      alpha: 0.01,
      inclusion: 'coins',
    };
    const lines = [first, ...rows].map(row => JSON.stringify(row)).join('\n');
    expect(await audit(write(lines, 'jsonl'), '--epsilon', '1')).toMatchObject(registered);
    expect(await audit(write(arrow(), 'arrow'), '--epsilon', '1')).toMatchObject(registered);
  });

  it('reads quoted cells, aliases and tabs', async () => {
    const lines = rows.map(
      ({ canary, included, score }) => `"a ""${canary}""\tb"\t${included}\t${score}\tr${canary}`,
    );
    const text = `canary_id\tincluded\tscore\trun_id\n${lines.join('\r\n')}\n`;
    expect(await audit(write(text, 'tsv'), ...claim, '--method', 'rates')).toMatchObject({
      code: 3,
      json: { valid: true },
    });
  });

  it('takes a column unit for the kind of unit where every row names the same, and for names otherwise', async () => {
    const withUnit = (unit: (row: number) => string, name = 'unit'): string => {
      const [head, ...lines] = csv().trimEnd().split('\n');
      return write(
        `${[`${head},${name}`, ...lines.map((line, row) => `${line},${unit(row)}`)].join('\n')}\n`,
      );
    };
    const record = withUnit(() => 'record');
    expect(await audit(record, ...claim)).toMatchObject({ code: 3, json: { verdict: 'refuted' } });
    expect(await audit(record, ...claim, '--unit', 'user')).toMatchObject({ code: 2 });
    expect(
      await audit(
        withUnit(row => `u${row}`),
        ...claim,
      ),
    ).toMatchObject({ code: 3 });
    const mixed = await audit(
      withUnit(row => (row % 2 === 0 ? 'user' : 'record')),
      ...claim,
    );
    expect(mixed).toMatchObject({ code: 2, stderr: expect.stringContaining('Audit them apart') });
    expect(
      await audit(
        withUnit(() => 'user', 'unit_id'),
        ...claim,
      ),
    ).toMatchObject({ code: 2 });
  });

  it('takes a registration, a split or a grid, and only one of them', async () => {
    const path = write(csv());
    const cut = write('k_plus: 30\nk_minus: 30\nmethod: f-dp\n', 'yaml');
    expect(await audit(path, ...claim, '--preregistered', cut)).toMatchObject({
      code: 3,
      json: { r: 60, method: 'f-dp' },
    });
    expect(await audit(path, ...claim, '--split')).toMatchObject({
      code: 3,
      json: { cuts: { rule: 'split' } },
    });
    expect(await audit(path, ...claim, '--grid', '1,0.5')).toMatchObject({
      code: 3,
      json: { cuts: { tried: 2 } },
    });
    const thresholds = ['--method', 'rates', '--independent', '--grid', '0.5,0.7'];
    expect(await audit(path, ...claim, ...thresholds)).toMatchObject({
      code: 3,
      json: { cuts: { rule: 'grid' } },
    });
    for (const ways of [
      ['--split', '--grid', '1'],
      ['--split', '--preregistered', cut],
    ])
      expect(await audit(path, ...claim, ...ways)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('2 ways'),
      });
    const registered = write(csv('# preregistered: {k_plus: 9, k_minus: 9}\n'));
    expect((await audit(registered, ...claim, '--grid', '1')).code).toBe(2);
  });
});

function arrow(): Uint8Array {
  const table = makeTable({
    included: Uint8Array.from(rows, ({ included }) => Number(included)),
    score: Float64Array.from(rows, ({ score }) => score),
  });
  const names = vectorFromArray(
    rows.map(({ canary }) => canary),
    new Utf8(),
  );
  const fields = [new Field('canary', new Utf8()), ...table.schema.fields];
  const metadata = new Map([
    ['preregistered', '{"k_plus": 50, "k_minus": 40}'],
    ['delta', '1e-6'],
    ['alpha', '0.01'],
    ['inclusion', 'bernoulli(1/2)'],
    ['pandas', '{}'],
  ]);
  const columns = { canary: names, included: table.getChild('included')!, score: table.getChild('score')! };
  return tableToIPC(new Table(new Schema(fields, metadata), columns), 'file');
}

describe('bad input ends with exit code 2', () => {
  const changed = (from: string, to: string): string => csv().replace(from, to);

  it.each([
    ['no number', changed('c0,1,1\n', 'c0,1,x\n'), 'score of row 1 is NaN'],
    ['an empty score', changed('c0,1,1\n', 'c0,1,\n'), 'score of row 1 is NaN'],
    ['NaN', changed('c0,1,1\n', 'c0,1,nan\n'), 'score of row 1 is NaN'],
    ['one class only', csv().replaceAll(/^(c\d+),0/gm, '$1,1'), '1001 of 1001 canaries'],
    ['a canary twice', changed('c1,', 'c0,'), 'canary of row 2'],
    ['a fixed split', csv('# inclusion: fixed\n'), 'fixed rule'],
    ['a word for included', changed('c0,1,', 'c0,maybe,'), 'included of row 1'],
    ['an unknown column', csv('', 'canary,included,scores'), 'Did you mean score'],
    ['a missing column', 'canary,score\na,1\n', 'no column included'],
    ['a column twice', 'canary,canary_id,included,score\na,a,1,1\n', 'two columns hold the canary'],
    ['an unknown key', csv('# incusion: fixed\n'), 'Did you mean inclusion'],
    ['an unknown key of the cut', csv('# preregistered: {k_pluss: 3}\n'), 'Did you mean k_plus'],
    ['two cuts', csv('# preregistered: {k_plus: 3, threshold: 1}\n'), 'no cut, or two'],
    ['another delta', csv('# delta: 1e-5\n'), 'delta is'],
    ['another unit', csv('# unit: record\n'), 'unit is'],
    ['a header that is no YAML', csv('# {\n'), 'no YAML'],
    ['a short row', changed('c0,1,1\n', 'c0,1\n'), 'row 1 has 2 cells'],
    ['nothing', 'canary,included,score\n', '0 scores'],
  ])('%s', async (_, text, message) => {
    const { code, stderr } = await audit(write(text), ...claim, '--unit', 'user');
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it('a file that is not there, a registration without a cut, no claim, a grid of words', async () => {
    const path = write(csv());
    expect((await audit(join(folder, 'none.csv'), ...claim)).code).toBe(2);
    const empty = write('delta: 1e-6\n', 'yaml');
    expect(await audit(path, ...claim, '--preregistered', empty)).toMatchObject({ code: 2 });
    expect(await audit(path)).toMatchObject({ code: 2, stderr: expect.stringContaining('0 claims') });
    expect(await audit(path, '--epsilon', '1')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--delta'),
    });
    expect(await audit(path, ...claim, '--grid', 'x')).toMatchObject({ code: 2 });
    expect(await audit(write('{"a":', 'jsonl'), ...claim)).toMatchObject({ code: 2 });
  });
});
