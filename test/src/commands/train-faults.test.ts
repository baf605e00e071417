import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readLedger } from '../../../trainer/index.ts';
import { initialiseParameters, type Parameters } from '../../../trainer/model/gpt.ts';
import { byteTokenizerFiles } from '../../../trainer/model/tokenizer-export.ts';
import { changeJson, readJson, writeCheckpoint } from '../../support/checkpoints.ts';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl, type Outcome } from '../support.ts';

const folder = temporaryFolder();
const rows = sampleRows(24);
const table = writeJsonl(join(folder, 'table.jsonl'), rows);
const model = join(folder, 'model');
const plan = join(folder, 'plans', 'user-wise-k2.json');
const budget = [
  '--epsilon',
  '8',
  '--delta',
  '0.01',
  '--batch-size',
  '10',
  '--steps',
  '3',
  '--k',
  '2',
  '--held-out',
  '0',
];
let made = 0;

const freshFolder = (): string => join(folder, `run-${(made += 1)}`);

/** A plan for the 24 users of a table, each of whom takes part with a probability of its own. */
async function planFor(data: string, samplingProbability: number): Promise<string> {
  const out = freshFolder();
  await runJson('plan', data, ...budget, '--out', out);
  const path = join(out, 'user-wise-k2.json');
  const expectedBatchSize = 24 * samplingProbability;
  changeJson(path, { sampler: { kind: 'poisson', over: 'users', samplingProbability, expectedBatchSize } });
  return path;
}

function train(out: string, ...more: string[]): Promise<Outcome> {
  return runCli('train', plan, table, '--model', model, '--out', out, ...more);
}

/** A checkpoint of 257 tokens as Hugging Face has it, with its parameters changed. */
function checkpoint(change: (parameters: Parameters) => void, vocabularySize = 257): string {
  const out = freshFolder();
  const config = { vocabularySize, contextLength: 32, layers: 1, width: 16, heads: 2 };
  const spec = { config, lora: null };
  const parameters = initialiseParameters(spec, { seed: 1 });
  change(parameters);
  writeCheckpoint(out, { spec, parameters }, { config: { eos_token_id: vocabularySize - 1 } });
  for (const [name, text] of Object.entries(byteTokenizerFiles())) writeFileSync(join(out, name), text);
  return out;
}

/** Takes the last line off a ledger: the run was cut off just before its end. */
function cutOff(run: string): void {
  const path = join(run, 'ledger.jsonl');
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  writeFileSync(path, `${lines.slice(0, -1).join('\n')}\n`);
}

beforeAll(async () => {
  await runJson('plan', table, ...budget, '--out', join(folder, 'plans'));
  const tiny = ['--layers', '1', '--width', '16', '--heads', '2', '--context', '32'];
  await runJson('pretrain', table, '--steps', '1', '--batch-size', '4', ...tiny, '--out', model);
});

describe('train refuses', () => {
  it('a checkpoint of another plan', async () => {
    const [out, other] = [freshFolder(), freshFolder()];
    expect((await train(out)).code).toBe(0);
    const rare = await planFor(table, 0.01);
    expect((await runCli('train', rare, table, '--model', model, '--out', other)).code).toBe(0);
    cutOff(out);
    cpSync(join(other, 'checkpoint.bin'), join(out, 'checkpoint.bin'));
    const { code, stderr } = await train(out);
    expect(code).toBe(3);
    expect(stderr).toMatch(/checkpoint\.bin: it is of a run of another plan \(hash \w{12}, not \w{12}\)\./);
  });

  it('to go on with a run of another plan, table or starting model', async () => {
    const out = freshFolder();
    expect((await train(out)).code).toBe(0);
    cutOff(out);
    const rare = await planFor(table, 0.01);
    const changed = rows.map((row, at) => (at === 0 ? { ...row, text: `${row.text}!` } : row));
    const otherTable = writeJsonl(join(folder, 'changed.jsonl'), changed);
    const vouched = ['--trained-on', 'public'];
    const runs: [string, string[]][] = [
      ['plan', [rare, table, '--model', model]],
      ['table', [plan, otherTable, '--model', model]],
      ['starting model', [plan, table, '--model', checkpoint(() => {}), ...vouched]],
    ];
    for (const [name, argv] of runs) {
      const { code, stderr } = await runCli('train', ...argv, '--out', out);
      expect({ code, told: stderr.includes(`its ${name} has digest`) }).toEqual({ code: 3, told: true });
    }
    expect((await train(out)).code).toBe(0);
  });

  it('a tokenizer with tokens outside of the vocabulary', async () => {
    const small = checkpoint(() => {}, 250);
    const out = freshFolder();
    const start = ['--model', small, '--trained-on', 'public'];
    const { code, stderr } = await runCli('train', plan, table, ...start, '--out', out);
    expect(code).toBe(2);
    expect(stderr).toContain(
      'has 257 tokens, the model 250. Give the tokenizer that the model was trained with.',
    );
    expect(existsSync(out)).toBe(false);
  });

  it('weights that were cut short, and weights that are no numbers', async () => {
    const cut = freshFolder();
    cpSync(model, cut, { recursive: true });
    const weights = join(cut, 'model.safetensors');
    writeFileSync(weights, readFileSync(weights).subarray(0, -100));
    const short = await runCli('train', plan, table, '--model', cut, '--out', freshFolder());
    expect(short.code).toBe(2);
    expect(short.stderr).toMatch(/claims the bytes \d+ to \d+, of \d+\. Give a whole safetensors file\.\n$/);

    const odd = checkpoint(parameters => (parameters.get('transformer.ln_f.bias')![3] = NaN));
    const start = ['--model', odd, '--trained-on', 'public'];
    const broken = await runCli('train', plan, table, ...start, '--out', freshFolder());
    expect(broken.code).toBe(2);
    expect(broken.stderr).toContain('value 3 of transformer.ln_f.bias is NaN.');
  });

  it('a learning rate that drives parameters to infinity, and goes on with a lower one', async () => {
    const out = freshFolder();
    const { code, stderr } = await train(out, '--learning-rate', '1e300');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^Cannot train: after step 3 \d+ of \d+ parameters are no longer finite/);
    expect(existsSync(join(out, 'model'))).toBe(false);
    const lower = await runCli('train', plan, table, '--model', model, '--out', out, '--json');
    expect(lower.code).toBe(0);
    const { stepsCounted }: { stepsCounted: number } = JSON.parse(lower.stdout);
    // The first step was the same release; the second met other parameters.
    expect(stepsCounted).toBe(5);
  });

  it('tables of nobody, and of other users than were planned for', async () => {
    const start = ['--model', model, '--out', freshFolder()];
    const nobody = writeJsonl(join(folder, 'empty.jsonl'), []);
    const empty = await runCli('train', plan, nobody, ...start);
    expect({ code: empty.code, told: empty.stderr.includes('it is empty') }).toEqual({ code: 2, told: true });
    const single = writeJsonl(join(folder, 'single.jsonl'), rows.slice(0, 1));
    const { code, stderr } = await runCli('train', plan, single, ...start);
    expect({ code, told: stderr.includes('the table has 1 with 1. Plan again') }).toEqual({
      code: 2,
      told: true,
    });
  });

  it('an output that is a file', async () => {
    const out = freshFolder();
    writeFileSync(out, '');
    const { code, stderr } = await train(out);
    expect({ code, told: stderr.includes('is a file. Give a folder.') }).toEqual({ code: 2, told: true });
  });
});

describe('two runs in one folder', () => {
  it('end with 5 for the second, and leave the first as it is', async () => {
    const out = freshFolder();
    const first = train(out);
    while (!existsSync(join(out, 'ledger.jsonl'))) await new Promise(resolve => setImmediate(resolve));
    const second = await train(out, '--break-lock');
    expect(second.code).toBe(5);
    expect(second.stderr).toContain(`a run of process ${process.pid} on `);
    expect((await first).code).toBe(0);
    expect(readLedger(join(out, 'ledger.jsonl')).filter(entry => entry.kind === 'noised')).toHaveLength(3);
  });

  it('are told apart from a lock that another machine left, which --break-lock takes away aloud', async () => {
    const out = freshFolder();
    mkdirSync(out);
    const lock = JSON.stringify({ host: 'elsewhere', process: 7, started: '1' });
    writeFileSync(join(out, 'run.lock'), lock);
    for (const more of [[], ['--force']]) {
      const { code, stderr } = await train(out, ...more);
      expect(code).toBe(5);
      expect(stderr).toContain('only elsewhere can tell whether process 7 still runs');
      expect(stderr).toContain('--break-lock');
    }
    expect(readFileSync(join(out, 'run.lock'), 'utf8')).toBe(lock);
    const { code, stderr } = await train(out, '--break-lock');
    expect(code).toBe(0);
    expect(stderr).toContain('--break-lock: takes the folder from process 7 on elsewhere.');
    expect(existsSync(join(out, 'run.lock'))).toBe(false);
  });
});

describe('train says', () => {
  it('how many gradients were not finite; these add nothing and are written down', async () => {
    // Nobody expects token X, and whoever has it all the same has a gradient whose square overflows.
    const poisoned = checkpoint(parameters => {
      parameters.get('transformer.wte.weight')!.fill(0, 88 * 16, 89 * 16)[88 * 16] = 3e30;
      parameters.get('transformer.ln_f.bias')![0] = -10;
    });
    const marked = rows.map((row, at) => (at < 2 ? { ...row, text: `X ${row.text}` } : row));
    const data = writeJsonl(join(folder, 'marked.jsonl'), marked);
    const everybody = await planFor(data, 1);
    const out = freshFolder();
    const start = ['--model', poisoned, '--trained-on', 'public', '--lora-rank', '2', '--out', out];
    const { code, stdout } = await runCli('train', everybody, data, ...start);
    expect(code).toBe(0);
    expect(new Set([marked[0]!.user, marked[1]!.user]).size).toBe(2);
    expect(stdout).toContain('Warning: 6 of 72 gradients were not finite and added nothing (not private).');
    const noised = readLedger(join(out, 'ledger.jsonl')).filter(entry => entry.kind === 'noised');
    expect(noised.map(({ drawSize, notFinite }) => [drawSize, notFinite])).toEqual([
      [24, 2],
      [24, 2],
      [24, 2],
    ]);
  });

  it('what the context leaves out', async () => {
    const out = freshFolder();
    const { stdout } = await train(out);
    expect(stdout).toMatch(
      /\n\d+ of 42 records are longer than the model's context: \d+ of \d+ tokens were never read/,
    );
    expect(stdout).not.toContain('Warning: 0');
    expect(stdout).not.toContain('Steps that drew nobody');
    for (const entry of readLedger(join(out, 'ledger.jsonl'))) expect(entry).not.toHaveProperty('notFinite');
  });

  it('how many steps drew nobody; they are noised and counted', async () => {
    const never = await planFor(table, 1e-12);
    const out = freshFolder();
    const argv = ['train', never, table, '--model', model, '--out', out];
    const { code, stdout } = await runCli(...argv);
    expect(code).toBe(0);
    expect(stdout).toContain('Steps that drew nobody: 3 (not private).');
    const again = await runCli(...argv, '--force', '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({
      stepsCounted: 3,
      diagnostics: { unitsDrawn: 0, emptySteps: 3 },
    });
  });

  it('that nothing is proved from above where batches are shuffled, in everything that it writes', async () => {
    const plans = freshFolder();
    const noise = [
      '--noise-multiplier',
      '1',
      '--delta',
      '0.01',
      '--batch-size',
      '10',
      '--steps',
      '3',
      '--k',
      '2',
    ];
    await runJson('plan', table, ...noise, '--sampler', 'shuffled', '--out', plans);
    const out = freshFolder();
    const argv = ['train', join(plans, 'user-wise-k2.json'), table, '--model', model, '--out', out];
    const { code, stdout } = await runCli(...argv);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Guarantee +epsilon at least [\d.]+ at delta 0\.01; no proved upper bound\n/);
    const said = expect.stringContaining('No upper bound on epsilon is proved');
    const least = expect.closeTo(Number(/at least ([\d.]+)/.exec(stdout)![1]), 2);
    const guarantee = { epsilonUpper: null, epsilonLower: least, note: said, sampling: 'shuffled' };
    expect(readJson(join(out, 'model', 'provenance.json'))).toMatchObject({
      trainedOn: 'private',
      guarantee,
    });
    const steps = readLedger(join(out, 'ledger.jsonl')).filter(entry => entry.kind === 'noised');
    expect(steps.at(-1)!.soFar).toEqual({ steps: 3, epsilonUpper: null, epsilonLower: least });
    rmSync(join(out, 'model', 'provenance.json'));
    expect(readFileSync(join(out, 'statement.txt'), 'utf8')).toContain('no proved upper bound');
    expect(readJson(join(out, 'model', 'config.json'))['privacy_unit']).toMatchObject({ guarantee });
  });
});
