import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  const score = (cell: string): string => changed('c0,1,1\n', `c0,1,${cell}\n`);
  const included = (cell: string): string => changed('c0,1,', `c0,${cell},`);

  it.each([
    ['a word', score('x'), 'line 2, column score: a word stands where a number should'],
    ['about a number', score('~3'), 'no sign such as ~'],
    ['a decimal comma', score('"1,5"'), 'with a point'],
    ['a number of another base', score('0x10'), 'line 2, column score: a word'],
    ['an empty score', score(''), 'line 2, column score: there is no score'],
    ['white space for a score', score('  '), 'line 2, column score: there is no score'],
    ['NaN', score('nan'), 'line 2, column score: the score is NaN'],
    ['NA', score('N/A'), 'line 2, column score: the score is NaN'],
    ['an infinity', score('-inf'), 'line 2, column score: the score is infinite'],
    ['too large a number', score('1e999'), 'line 2, column score: the score is infinite'],
    ['a word below others', changed('\nc998,', '\n"c\n998",x,'), 'line 1000, 4 cells'],
    ['a word below a cell of two lines', `${csv()}"a\nb",0,1\nc,maybe,1\n`, 'line 1005, column included'],
    ['one class only', csv().replaceAll(/^(c\d+),0/gm, '$1,1'), '1001 of 1001 canaries'],
    ['a canary twice', changed('c1,', 'c0,'), 'rows 1 and 2 are of the same canary'],
    ['a fixed split', csv('# inclusion: fixed\n'), 'fixed rule'],
    ['a word for included', included('maybe'), 'line 2, column included: included is neither 0 nor 1'],
    ['twice included', included('2'), 'belongs in a column repeats'],
    ['no name', changed('c0,', ','), 'line 2, column canary: there is no name'],
    [
      'half a copy',
      csv('', 'included,repeats,score').replaceAll(/^c\d+,(.*)$/gm, '1,$1'),
      'no column canary',
    ],
    ['an unknown column', csv('', 'canary,included,scores'), 'Did you mean score'],
    ['a name of another tool', csv('', 'canary,is_member,score'), 'Did you mean included'],
    ['a loss', csv('', 'canary,included,loss'), 'with its sign turned'],
    ['no names of columns', csv('', 'c7,1,0.5'), 'none of its 3 columns'],
    ['cells apart by semicolons', csv().replaceAll(',', ';'), 'separated by \\";\\"'],
    ['a missing column', 'canary,score\na,1\n', 'no column included'],
    ['a column twice', 'canary,canary_id,included,score\na,a,1,1\n', 'two columns hold the canary'],
    ['an unknown key', csv('# incusion: fixed\n'), 'Did you mean inclusion'],
    ['an unknown key of the cut', csv('# preregistered: {k_pluss: 3}\n'), 'Did you mean k_plus'],
    ['two cuts', csv('# preregistered: {k_plus: 3, threshold: 1}\n'), 'no cut, or two'],
    ['another delta', csv('# delta: 1e-5\n'), 'delta is'],
    ['another unit', csv('# unit: record\n'), 'unit is'],
    ['a header that is no YAML', csv('# {\n'), 'no YAML'],
    ['a short row', changed('c0,1,1\n', 'c0,1\n'), 'line 2, 2 cells stand where the header has 3'],
    ['a quote inside a cell', changed('c0,1,', 'c"0,1,'), 'line 2, a quote stands inside'],
    ['a quote that is not closed', changed('c998,', '"c998,'), 'never closed'],
    ['no scores', 'canary,included,score\n', '0 scores below'],
    ['nothing', '', 'the file is empty'],
    ['notes alone', '# delta: 1e-6\n', 'the file is empty'],
  ])('%s', async (_, text, message) => {
    const { code, stderr } = await audit(write(text), ...claim, '--unit', 'user');
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it.each([
    [
      'repeats of one and a half',
      (row: number) => (row === 0 ? '1.5' : '1'),
      'column repeats: there is no whole number',
    ],
    ['repeats of no copies', () => '0', 'column repeats: there is no whole number'],
    ['repeats that differ', (row: number) => (row === 5 ? '2' : '1'), 'row 6 has 2'],
    ['several copies of each', () => '3', 'put in 3 times'],
  ])('%s', async (_, repeats, message) => {
    const [head, ...lines] = csv().trimEnd().split('\n');
    const text = [`${head},repeats`, ...lines.map((line, row) => `${line},${repeats(row)}`)].join('\n');
    expect(await audit(write(text), ...claim)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(message),
    });
  });

  it('exactly half of the canaries, unless fair coins are stated', async () => {
    const half = `canary,included,score\n${rows
      .slice(0, 1000)
      .map(({ canary, score: value }, row) => `${canary},${row % 2},${value}`)
      .join('\n')}\n`;
    expect(await audit(write(half), ...claim)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('exactly half'),
    });
    const stated = await audit(write(`# inclusion: bernoulli(1/2)\n${half}`), ...claim);
    expect(stated.code).not.toBe(2);
    expect(JSON.stringify(stated.json)).toContain('DPC-T8-exact-half');
  });

  it.each([
    ['no JSON', '{"a":', 'line 1 is no JSON object'],
    ['a list', '{"canary":"a","included":1,"score":1}\n[1]', 'line 2 is no JSON object'],
    ['a word', '{"canary":"a","included":1,"score":"high"}', 'line 1, key score: a word'],
    ['null', '\n{"canary":"a","included":1,"score":null}', 'line 2, key score: there is no score'],
    ['a boolean score', '{"canary":"a","included":1,"score":true}', 'line 1, key score: a word'],
    [
      'another key',
      '{"canary":"a","included":1,"score":1}\n{"canary":"b","included":1}',
      'line 2, key score',
    ],
    [
      'one key more',
      '{"canary":"a","included":1,"score":1}\n{"canary":"b","included":1,"score":1,"x":1}',
      'line 2 has 4 keys',
    ],
    ['a header alone', '{"delta":1e-6}\n', '0 scores'],
    ['nothing', '', '0 scores'],
  ])('JSON lines: %s', async (_, text, message) => {
    const { code, stderr } = await audit(write(text, 'jsonl'), ...claim);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it('never says what stands in a cell', async () => {
    for (const text of [score('secret'), included('secret'), csv('', 'secret,1,0.5')])
      expect((await audit(write(text), ...claim)).stderr).not.toContain('secret');
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

describe('audit scores --html', () => {
  it('says with which cuts it was tested', async () => {
    const html = join(folder, 'audit.html');
    const shown = async (...cut: string[]): Promise<string> => {
      await audit(write(csv()), ...claim, ...cut, '--html', html, '--force');
      return readFileSync(html, 'utf8');
    };
    expect(await shown()).toContain('the best of 8 fixed beforehand');
    expect(await shown('--split')).toContain('chosen on one half');
    const cut = write('threshold: 0.5\n', 'yaml');
    expect(await shown('--preregistered', cut)).toContain('included from a score of 0.5 on');
  });
});
