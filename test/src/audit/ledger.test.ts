import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl, type Outcome } from '../support.ts';

const folder = temporaryFolder();
const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(40));
const model = join(folder, 'model');
const run = join(folder, 'run');
const ledger = join(run, 'ledger.jsonl');
const plan = join(folder, 'plans', 'user-wise-k2.json');
const key = join(run, 'secret.key');

interface LedgerAnswer {
  readonly verdict: string;
  readonly detail: string;
  readonly chain: { holds: boolean; lines: number; broken: { line: number; fault: string } | null };
  readonly epsilon: { lower: number; upper: number | string };
  readonly reasons: { code: string; text: string }[];
  readonly replay: {
    drawsConfirmed: number;
    sumsConfirmed: number;
    modelsConfirmed: number;
    random: { seed: string; steps: { sum: boolean | null; noise: boolean | null }[] } | null;
  } | null;
}

beforeAll(async () => {
  const tiny = ['--layers', '1', '--width', '16', '--heads', '2', '--context', '32'];
  const budget = ['--epsilon', '8', '--batch-size', '10', '--steps', '5', '--k', '2', '--held-out', '0.2'];
  await runJson('plan', table, ...budget, '--out', join(folder, 'plans'));
  await runJson('pretrain', table, '--steps', '3', '--batch-size', '4', ...tiny, '--out', model);
  await runJson(
    'train',
    plan,
    table,
    '--model',
    model,
    '--out',
    run,
    '--keep-key',
    '--keep-checkpoints',
    '--checkpoint-every',
    '2',
  );
});

async function audit(...argv: string[]): Promise<Outcome & { answer: LedgerAnswer }> {
  const outcome = await runCli('audit', 'ledger', ...argv, '--json');
  return { ...outcome, answer: outcome.stdout === '' ? undefined : JSON.parse(outcome.stdout) };
}

function altered(name: string, change: (text: string) => string): string {
  const path = join(folder, name);
  writeFileSync(path, change(readFileSync(ledger, 'utf8')));
  return path;
}

describe('audit ledger', () => {
  it('confirms a run from its ledger alone, with the agreed keys', async () => {
    const { code, answer } = await audit(ledger);
    const statement: { epsilon: object } = JSON.parse(readFileSync(join(run, 'statement.json'), 'utf8'));
    expect(code).toBe(0);
    expect(answer).toMatchObject({
      verdict: 'consistent',
      chain: { holds: true, broken: null },
      epsilon: statement.epsilon,
      reasons: [],
    });
  });

  it('holds the statement of the run, an epsilon and a claim file against it', async () => {
    expect((await audit(ledger, '--claim', join(run, 'statement.json'))).code).toBe(0);
    expect((await audit(ledger, '--epsilon', '8')).code).toBe(0);
    const small = await audit(ledger, '--epsilon', '2');
    expect({ code: small.code, verdict: small.answer.verdict }).toEqual({
      code: 3,
      verdict: 'privacy_overstated',
    });
    const claim = join(folder, 'claim.yaml');
    writeFileSync(
      claim,
      'schema: dp-claim/1\nguarantee: {epsilon: 8.0, delta: null, relation: "<="}\nmechanisms: [{kind: dp_sgd, steps: 9}]\n',
    );
    const stated = await audit(ledger, '--claim', claim);
    expect(stated.stderr).toBe('');
    expect(stated).toMatchObject({ code: 0, answer: { verdict: 'consistent' } });
    expect(stated.answer.reasons.map(({ code }) => code)).toContain('DPL-other-setting');
  });

  it('draws again with the key, and repeats the run with model and table', async () => {
    const drawn = await audit(ledger, '--key', key);
    expect(drawn).toMatchObject({ code: 0, answer: { replay: { drawsConfirmed: 5, sumsConfirmed: 0 } } });
    const again = ['--key', key, '--table', table, '--model', model, '--checkpoint-every', '2'];
    const repeated = await audit(ledger, ...again, '--same-arithmetic');
    // Checkpoints of steps 2, 4 and 5, and the final model.
    expect(repeated).toMatchObject({
      code: 0,
      answer: { verdict: 'consistent', replay: { drawsConfirmed: 5, sumsConfirmed: 5, modelsConfirmed: 4 } },
    });
    const some = await audit(ledger, ...again, '--replay-steps', '3');
    expect(some).toMatchObject({ code: 0, answer: { replay: { sumsConfirmed: 3, modelsConfirmed: 1 } } });
  });

  it('repeats random steps from the checkpoints that were kept, and prints the seed', async () => {
    const again = ['--key', key, '--table', table, '--model', model, '--checkpoint-every', '2'];
    const kept = ['--random-steps', '2', '--checkpoints', join(run, 'checkpoints'), '--same-arithmetic'];
    const first = await audit(ledger, ...again, ...kept);
    expect(first).toMatchObject({
      code: 0,
      answer: { verdict: 'consistent', replay: { random: { of: 5 } } },
    });
    const { seed, steps } = first.answer.replay!.random!;
    expect(seed).toMatch(/^[0-9a-f]{16}$/);
    expect(first.answer.reasons[0]!.text).toContain(`at random by the seed "${seed}"`);
    expect(steps.map(({ sum, noise }) => [sum, noise])).toEqual([[true, true], [true, true]]); // prettier-ignore
    const second = await audit(ledger, ...again, ...kept, '--random-seed', seed);
    expect(second.answer.replay).toEqual(first.answer.replay);
  });

  it('accuses nobody where settings or table are not those of the run', async () => {
    const again = ['--key', key, '--table', table, '--model', model, '--learning-rate', '0.5'];
    const open = await audit(ledger, ...again, '--same-arithmetic');
    expect(open).toMatchObject({
      code: 4,
      answer: { verdict: 'unverifiable', replay: { sumsConfirmed: 0 } },
    });
    expect(open.answer.reasons[0]).toMatchObject({
      code: 'DPL-other-inputs',
      text: expect.stringMatching(
        /^The run was made with adamw at a learning rate of .* are adamw at a learning rate of 0\.5,/,
      ),
    });
    const other = writeJsonl(
      join(folder, 'other.jsonl'),
      sampleRows(40).map(row => ({ ...row, text: `${row.text}!` })),
    );
    const stray = await audit(ledger, '--key', key, '--table', other, '--model', model);
    expect(stray).toMatchObject({ code: 4 });
    expect(stray.answer.reasons[0]!.code).toBe('DPL-other-inputs');
  });

  it.each<[string, string, number, (text: string) => string]>([
    ['a changed byte', 'changed', 3, text => text.replace('"step":1,', '"step":2,')],
    ['lines in another order', 'moved', 2, text => text.replace(/(.*\n)(.*\n)(.*\n)/, '$1$3$2')],
    ['a missing line', 'missing', 3, text => text.split('\n').toSpliced(2, 1).join('\n')],
    ['a file cut short', 'cut-short', 3, text => text.slice(0, text.indexOf('"step":1,'))],
  ])('ends with 3 and the line for %s', async (_, fault, line, change) => {
    const { code, answer, stderr } = await audit(altered(`${fault}.jsonl`, change));
    expect({ code, broken: answer.chain.broken }).toMatchObject({ code: 3, broken: { line, fault } });
    expect(stderr).toContain(`Cannot trust the ledger: Line ${line} `);
  });

  it('ends with 4 where whole lines are missing at the end', async () => {
    const cut = altered('cut.jsonl', text => text.split('\n').slice(0, -2).join('\n') + '\n');
    const { code, answer } = await audit(cut);
    expect({ code, codes: answer.reasons.map(reason => reason.code) }).toEqual({
      code: 4,
      codes: ['DPL-unfinished'],
    });
  });

  it('concludes nothing from a repetition that began with another model', async () => {
    expect((await audit(ledger, '--key', key, '--table', table)).code).toBe(4);
  });

  it('ends with 2 for bad input', async () => {
    const cases: string[][] = [
      [join(folder, 'none.jsonl')],
      [table],
      [ledger, '--claim', join(run, 'statement.json'), '--epsilon', '3'],
      [ledger, '--delta', '1e-5'],
      [ledger, '--epsilon', '-1'],
      [ledger, '--key', table],
      [ledger, '--table', table],
      [ledger, '--significance', '2'],
      [ledger, '--key', key, '--random-steps', '2'],
      [ledger, '--key', key, '--table', table, '--checkpoints', run],
      [ledger, '--key', key, '--table', table, '--random-seed', 'a'],
      [ledger, '--key', key, '--table', table, '--random-steps', '2', '--replay-steps', '2'],
      [ledger, '--key', key, '--table', table, '--random-steps', '2', '--checkpoints', `${run}.gone`],
      [ledger, '--key', key, '--table', table, '--random-steps', '2', '--checkpoints', run],
    ];
    for (const argv of cases) expect((await audit(...argv)).code, argv.join(' ')).toBe(2);
  });

  it('writes the report in every form, and tells people what was not checked', async () => {
    const files = ['verdict', 'sarif', 'html'].map(name => join(folder, `audit.${name}`));
    const argv = files.flatMap(path => [`--${path.split('.').at(-1)}`, path]);
    const { code, stdout } = await runCli('audit', 'ledger', ledger, '--key', key, ...argv);
    expect(code).toBe(0);
    expect(stdout).toContain(
      'It did not check that the run told the truth about its clipped sums and its noise; and',
    );
    for (const path of files) expect(readFileSync(path, 'utf8').length).toBeGreaterThan(200);
  });
});

describe('evidence, then verify', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const [secret, open] = [join(folder, 'key.pem'), join(folder, 'key.pub.pem')];
  const evidence = join(run, 'evidence.json');
  writeFileSync(secret, privateKey);
  writeFileSync(open, publicKey);

  it('signs a run once and refuses to overwrite', async () => {
    const argv = ['evidence', run, '--sign-with', secret];
    expect(await runJson(...argv)).toEqual({ evidence });
    expect((await runCli(...argv)).code).toBe(5);
    expect((await runCli(...argv, '--force')).code).toBe(0);
    expect((await runCli('evidence', run)).stderr).toContain('--sign-with is missing');
    expect((await runCli('evidence', run, '--sign-with', open, '--force')).code).toBe(2);
  });

  it('confirms it with the public key, leaves it open without, and fails where a file changed', async () => {
    const argv = ['verify', evidence, '--public-key', open];
    const { holds, checks } = await runJson(...argv);
    expect({ holds, failed: checks }).toEqual({ holds: true, failed: expect.any(Array) });
    expect((await runCli('verify', evidence)).code).toBe(4);
    const model = join(run, 'model', 'config.json');
    const before = readFileSync(model, 'utf8');
    writeFileSync(model, `${before} `);
    const { code, stdout, stderr } = await runCli(...argv);
    writeFileSync(model, before);
    expect({ code, told: /FAILED +model\/config\.json/.test(stdout) }).toEqual({ code: 3, told: true });
    expect(stderr).toContain('(model/config.json)');
    expect((await runCli('verify', table, '--public-key', open)).code).toBe(2);
    expect((await runCli('verify', evidence, '--public-key', `${open}.gone`)).code).toBe(2);
  });

  it('is written by train where it is asked to sign, and a bad key is refused before training', async () => {
    const out = join(folder, 'signed');
    const argv = ['train', plan, table, '--model', model, '--out', out, '--sign-with'];
    const bad = await runCli(...argv, open);
    expect({ code: bad.code, started: existsSync(out) }).toEqual({ code: 2, started: false });
    await runJson(...argv, secret);
    expect((await runJson('verify', join(out, 'evidence.json'), '--public-key', open))['holds']).toBe(true);
  });
});
