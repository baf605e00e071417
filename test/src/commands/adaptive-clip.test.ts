import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parsePlan } from '../../../accounting/plan.ts';
import { readLedger } from '../../../trainer/ledger.ts';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl } from '../support.ts';

const folder = temporaryFolder();
const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(24));
const budget = ['--epsilon', '8', '--batch-size', '6', '--steps', '4', '--k', '1', '--held-out', '0.2'];
const readPlan = (plans: string): ReturnType<typeof parsePlan> =>
  parsePlan(JSON.parse(readFileSync(join(plans, 'user-wise-k1.json'), 'utf8')));

describe('an adaptive clip on the command line', () => {
  it('goes from the plan into training, ledger and statement, at the noise multiplier of a fixed one', async () => {
    const [plans, fixed, out] = ['plans', 'fixed', 'run'].map(name => join(folder, name));
    const clip = ['--clip-norm', '0.5', '--adaptive-clip', '0.4', '--clip-learning-rate', '0.3'];
    await runJson('plan', table, ...budget, '--clip-norm', '0.5', '--out', fixed!);
    await runJson('plan', table, ...budget, ...clip, '--count-noise', '9', '--out', plans!);
    const plan = readPlan(plans!);
    expect(plan).toEqual({
      ...readPlan(fixed!),
      clipping: {
        kind: 'adaptive',
        targetQuantile: 0.4,
        learningRate: 0.3,
        countNoise: 9,
        minimum: 0.0005,
        maximum: 500,
      },
    });
    const tiny = ['--layers', '1', '--width', '16', '--heads', '2', '--context', '32', '--lora-rank', '2'];
    const path = join(plans!, 'user-wise-k1.json');
    const answer = await runJson('train', path, table, ...tiny, '--out', out!);
    const steps = readLedger(join(out!, 'ledger.jsonl')).filter(entry => entry.kind === 'noised');
    expect(new Set(steps.map(step => step.clipNorm)).size).toBe(4);
    expect(answer).toMatchObject({ stepsCounted: 4, statement: { clipping: plan.clipping } });
    expect(answer).not.toMatchObject({ clipNorm: 0.5 });
    const statement = readFileSync(join(out!, 'statement.txt'), 'utf8');
    expect(statement).toContain('the clip follows quantile 0.4 of the gradient norms at rate 0.3');
    expect((await runCli('train', path, table, ...tiny, '--out', join(folder, 'again'))).stdout).toMatch(
      /The adaptive clip stands at [\d.]+\./,
    );
  });

  it('is planned into every private run of a study', async () => {
    const grid = ['--epsilon', '8', '--k', '1', '--seeds', '1', '--mechanism', 'user-wise', '--steps', '3'];
    const small = ['--batch-size', '6', '--held-out', '0.2', '--pretraining-steps', '2', '--lora-rank', '2'];
    const model = ['--layers', '1', '--width', '16', '--heads', '2', '--context', '16'];
    const out = join(folder, 'study');
    const argv = ['study', table, ...grid, ...small, ...model, '--out', out];
    expect((await runCli(...argv, '--adaptive-clip', '0.6')).code).toBe(0);
    const run = join(out, 'runs', 'user-wise-epsilon8-k1-random-run1');
    const steps = readLedger(join(run, 'ledger.jsonl')).filter(entry => entry.kind === 'noised');
    expect(new Set(steps.map(step => step.clipNorm)).size).toBe(3);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('the clip follows quantile 0.6');
    expect((await runCli(...argv)).stderr).toContain(
      '--adaptive-clip was {"targetQuantile":0.6} and is absent now',
    );
    const refused = await runCli(...argv, '--adaptive-clip', '0.6', '--count-noise', '1e-3', '--dry-run');
    expect(refused.stderr).toContain('clipping.countNoise is 0.001');
    expect(refused.code).toBe(2);
  }, 240_000);

  it.each([
    ['--adaptive-clip 1', '--adaptive-clip is 1. Give a share below 1'],
    ['--adaptive-clip 0', '--adaptive-clip is 0'],
    ['--count-noise 5', '--count-noise is 5 with a fixed clip. Leave it out, or give --adaptive-clip 0.5'],
    ['--clip-learning-rate 0.1', '--clip-learning-rate is 0.1 with a fixed clip'],
    ['--adaptive-clip 0.5 --count-noise 0', '--count-noise is 0'],
    ['--adaptive-clip 0.5 --count-noise 1e-3', 'clipping.countNoise is 0.001 with noiseMultiplier'],
    ['--adaptive-clip 0.5 --clip-learning-rate -1', '--clip-learning-rate is -1'],
  ])('refuses %s and says what to give', async (line, shown) => {
    const { code, stderr } = await runCli('plan', table, ...budget, ...line.split(' '));
    expect(stderr).toContain(shown);
    expect(code).toBe(2);
  });
});
