import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { root } from '../../support/sources.ts';
import { runCli, temporaryFolder } from '../support.ts';
import { answerOf, asked, expectWithin, run, words } from './asking.ts';

const folder = temporaryFolder();

interface Bound {
  lower?: number;
  upper: number | string;
  value?: number | string;
  detail: string;
}

interface EpsilonAnswer {
  delta: number;
  epsilon: { lower: number; upper: number | string };
  byAccountant: Record<string, Bound>;
  byConversion?: Record<string, Bound>;
  event: object;
  check?: { method: string; agrees: boolean; digits: string; detail: string };
  statement: string;
}

function epsilonOf(line: string): Promise<EpsilonAnswer> {
  return answerOf<EpsilonAnswer>(`epsilon ${line}`);
}

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const gaussian = file('gaussian.json', { kind: 'gaussian', noiseMultiplier: 1 });

describe('epsilon asks accountants', () => {
  const line = `--noise-multiplier 1 --sampling-probability 0.01 --steps 10000 ${asked}`;

  it('all of which stand beside each other, with the value of the exact one', async () => {
    const { epsilon, byAccountant, event, statement } = await epsilonOf(line);
    expect(Object.keys(byAccountant)).toEqual(['rdp', 'pld', 'exact']);
    expect(Number(byAccountant['exact']!.value).toFixed(9)).toBe('6.907384495');
    expectWithin(epsilon, 6.907384495);
    expect(event).toEqual({
      kind: 'repeated',
      event: { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 1, samplingProbability: 0.01 },
      count: 10_000,
    });
    expect(statement).toMatch(/^Guarantee +epsilon in \[6\.907, 6\.908\] at delta 0\.000001\n/);
    expect(statement).toContain('Accountant   rdp: at most 7.414 (');
    expect(statement).toMatch(/\n +exact: interval \[6\.907, 6\.908\], value 6\.907384495 \(/);
    expect(statement).not.toContain('Conversion');
  });

  it.each(['rdp', 'pld', 'exact'])('%s alone where it is named', async name => {
    const { byAccountant } = await epsilonOf(`${run} ${asked} --accountant ${name}`);
    expect(Object.keys(byAccountant)).toEqual([name]);
  });

  it('gdp alone is called an estimate and bounds nothing', async () => {
    const { epsilon, byAccountant, statement } = await epsilonOf(`${run} ${asked} --accountant gdp`);
    expect(epsilon).toEqual({ lower: 0, upper: 'Infinity' });
    expect(Number(byAccountant['gdp']!.value).toFixed(4)).toBe('0.5302');
    expect(statement).toContain('epsilon at delta 0.000001: estimate 0.5302, not a bound\n');
    expect(statement).toContain('gdp: estimate 0.5302, not a bound (');
  });

  it('no wider than --gap asks', async () => {
    const { epsilon } = await epsilonOf(`${run} ${asked} --accountant exact --gap 0.01`);
    const narrow = await epsilonOf(`${run} ${asked} --accountant exact --gap 1e-5`);
    const width = ({ lower, upper }: EpsilonAnswer['epsilon']): number => Number(upper) / lower - 1;
    expect(width(epsilon)).toBeLessThanOrEqual(0.0101);
    expect(width(epsilon)).toBeGreaterThan(1e-4);
    expect(width(narrow.epsilon)).toBeLessThanOrEqual(1.01e-5);
  });

  it('gdp bounds a group no better than the conversions do', async () => {
    const { epsilon, statement, byConversion } = await epsilonOf(
      `${run} ${asked} --group-size 2 --accountant gdp`,
    );
    expect(epsilon.upper).toBe(byConversion!['rdp']!.upper);
    expect(statement).toMatch(/^Guarantee +epsilon in \[0, /);
    expect(statement).toContain('gdp: estimate ');
  });

  it('says that replace doubles the sensitivity', async () => {
    const { epsilon, statement } = await epsilonOf(
      '--sampling none --noise-multiplier 2 --steps 1 --delta 1e-6 --neighbours replace',
    );
    expectWithin(epsilon, 4.886554117462212);
    expect(statement).toContain('per clip norm, and the sensitivity is twice the clip norm');
  });

  it('shows only conversions where no accountant knows the group', async () => {
    const { statement, byAccountant } = await epsilonOf(
      `${run} --group-size 3 --delta 1e-6 --neighbours replace`,
    );
    expect(byAccountant).toEqual({});
    expect(statement).not.toContain('Accountant');
    expect(statement).toMatch(/\nUnit +a group of up to 3 records/);
    expect(statement).toMatch(/\nConversion +lemma: at most /);
  });
});

describe('epsilon samples', () => {
  it('none: the Gaussian mechanism in closed form', async () => {
    const { epsilon, event, statement } = await epsilonOf(
      `--sampling none --noise-multiplier 1 --steps 1 ${asked}`,
    );
    expectWithin(epsilon, 4.886554117462212);
    expect(event).toEqual({ kind: 'gaussian', noiseMultiplier: 1 });
    expect(statement).toMatch(/\nSampling +none, everybody/);
  });

  it('poisson when asked by name as when not', async () => {
    expect(await epsilonOf(`--sampling poisson ${run} ${asked}`)).toEqual(await epsilonOf(`${run} ${asked}`));
  });

  it('fixed-size batches, and groups in them', async () => {
    const line = `--sampling fixed-size --noise-multiplier 1 --dataset-size 1000 --batch-size 20 --steps 100 ${asked}`;
    const one = await epsilonOf(line);
    const step = { kind: 'fixed-size-gaussian', noiseMultiplier: 1, datasetSize: 1000, batchSize: 20 };
    expect(one.event).toEqual({ kind: 'repeated', event: { ...step, groupSize: 1 }, count: 100 });
    expectWithin(one.epsilon, 11.557669943);
    expect(one.statement).toContain('batches of exactly 20 of 1000, drawn without replacement');
    const two = await epsilonOf(`${line} --group-size 2 --accountant rdp`);
    expect(two.event).toEqual({ kind: 'repeated', event: { ...step, groupSize: 2 }, count: 100 });
    expect(two.statement).toMatch(/\nUnit +a group of up to 2 of the table's records/);
  });

  it('truncated Poisson batches', async () => {
    const { event, epsilon, statement } = await epsilonOf(
      `--sampling truncated-poisson --noise-multiplier 1 --sampling-probability 0.02 --dataset-size 1000 --max-batch 30 --steps 100 ${asked}`,
    );
    expect(event).toEqual({
      kind: 'repeated',
      event: {
        kind: 'truncated-poisson-gaussian',
        noiseMultiplier: 1,
        samplingProbability: 0.02,
        datasetSize: 1000,
        maximumBatchSize: 30,
      },
      count: 100,
    });
    expect(Number(epsilon.upper)).toBeLessThan(6);
    expect(statement).toContain('of which at most 30 are used');
  });

  it('balls in bins, whose --steps are those of an epoch', async () => {
    const line = `--sampling balls-in-bins --noise-multiplier 1 --steps 100 ${asked}`;
    const step = { kind: 'balls-in-bins-gaussian', noiseMultiplier: 1, stepsPerEpoch: 100 };
    const once = await epsilonOf(line);
    expect(once.event).toEqual(step);
    const twice = await epsilonOf(`${line} --epochs 2`);
    expect(twice.event).toEqual({ kind: 'repeated', event: step, count: 2 });
    expectWithin(twice.epsilon, 1.0352);
    expect(twice.epsilon.lower).toBeGreaterThan(Number(once.epsilon.upper));
    expect(twice.statement).toMatch(/\nSteps +100 an epoch in 2 epochs/);
    expect((await runCli('epsilon', '--help')).stdout.replace(/\s+/g, ' ')).toContain(
      'with balls-in-bins and shuffle those of one epoch',
    );
  });

  it('shuffled batches, of which only a lower bound is known', async () => {
    const line =
      '--sampling shuffle --noise-multiplier 0.8 --steps 1000 --epochs 20 --delta 1e-6 --neighbours zero-out';
    const { epsilon, statement, event } = await epsilonOf(line);
    expect(epsilon.lower).toBeGreaterThanOrEqual(16);
    expect(epsilon.upper).toBe('Infinity');
    expect(statement).toMatch(/^Guarantee .*: at least 16\.\d+; no upper bound is known\n/);
    expect(statement).toMatch(/\n +exact: at least 16\.\d+ \(/);
    expect(event).toMatchObject({ kind: 'shuffled-gaussian', epochs: 20, order: 'reshuffled' });
    const persistent = await epsilonOf(`${line} --shuffle-order persistent`);
    expect(persistent.event).toMatchObject({ order: 'persistent' });
    expect(persistent.statement).toContain('shuffled once for all epochs');
  });
});

describe('--event', () => {
  it('gives back what the options of the same mechanism gave', async () => {
    const first = await epsilonOf(`${run} ${asked}`);
    const again = await epsilonOf(`--event ${file('round-trip.json', first.event)} ${asked}`);
    expect([again.event, again.epsilon, again.byAccountant]).toEqual([
      first.event,
      first.epsilon,
      first.byAccountant,
    ]);
    expect(again.statement).toMatch(/\nMechanism +as given in .*: 100 x poisson-subsampled-gaussian\n/);
  });

  it('takes the mixture that a group is', async () => {
    const group = await epsilonOf(`${run} --group-size 4 ${asked}`);
    const mixture = await epsilonOf(`--event ${file('mixture.json', group.event)} ${asked}`);
    expect(mixture.epsilon).toEqual(group.epsilon);
  });

  it('reads any mechanism, whose Rényi bound counts where it is the only one', async () => {
    const event = { kind: 'repeat-and-select', event: { kind: 'gaussian', noiseMultiplier: 1 } };
    const path = file('select.json', { ...event, meanRuns: 3, shape: 1 });
    const { byAccountant } = await epsilonOf(`--event ${path} ${asked}`);
    expect(Object.keys(byAccountant)).toEqual(['rdp']);
  });

  it('- reads standard input', () => {
    const argv = ['--import', 'tsx', `${root}src/cli.ts`, ...words(`epsilon --event - ${asked} --json`)];
    const options = {
      input: '{"kind":"gaussian","noiseMultiplier":1}',
      encoding: 'utf8' as const,
      cwd: root,
    };
    const { status, stdout } = spawnSync(process.execPath, argv, options);
    expect(status).toBe(0);
    const answer: EpsilonAnswer = JSON.parse(stdout);
    expectWithin(answer.epsilon, 4.886554117462212);
    expect(answer.statement).toContain('as given in standard input: 1 x gaussian');
  });
});

describe('--check', () => {
  afterEach(() => {
    vi.doUnmock('../../../accounting/referee.ts');
  });

  it('confirms what the referee knows', async () => {
    const { check, statement } = await epsilonOf(`--event ${gaussian} ${asked} --check`);
    expect(check).toMatchObject({ method: 'exact', agrees: true });
    expect(check!.digits).toMatch(/^4\.8865541174/);
    expect(statement).toMatch(/\nCheck +confirmed, the truth is 4\.8865541174/);
  });

  it('says so where the referee has a bound or nothing', async () => {
    const bounded = await epsilonOf(`${run} ${asked} --check`);
    expect(bounded.check).toMatchObject({ method: 'rdp', agrees: true });
    expect(bounded.statement).toMatch(/\nCheck +not contradicted, at most \d/);
    const nothing = await epsilonOf(
      `--sampling shuffle --noise-multiplier 1 --steps 10 ${asked} --check --accountant pld`,
    );
    expect(nothing.check).toMatchObject({ method: 'none' });
    expect(nothing.statement).toMatch(/\nCheck +nothing to compare with/);
  });

  it('ends with 3 and no answer where the referee disagrees', async () => {
    vi.doMock('../../../accounting/referee.ts', () => ({
      checkWithReferee: () => ({
        method: 'exact',
        epsilon: { lower: 5, upper: 5 },
        agrees: false,
        digits: '5.0',
        detail: 'made up',
      }),
    }));
    const { code, stdout, stderr } = await runCli(
      ...words(`epsilon --event ${gaussian} ${asked} --check --json`),
    );
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    const { error }: { error: { code: string; message: string } } = JSON.parse(stderr);
    expect(error.code).toBe('CHECK_FAILED');
    expect(error.message).toContain('5.0 (made up), which contradicts [4.886, 4.887]');
  });
});

it('every command of the help is loaded alone under its own name', async () => {
  const { stdout } = await runCli('--help');
  const names = [...stdout.matchAll(/^ {2}(?!help)([a-z]+) (?:\[options\]| {5})/gm)].map(match => match[1]!);
  expect(names).toEqual([
    'epsilon',
    'delta',
    'risk',
    'calibrate',
    'plan',
    'select',
    'verify',
    'train',
    'pretrain',
    'study',
    'evidence',
    'audit',
    'doctor',
    'demo',
  ]);
  for (const name of names) {
    expect((await runCli(name, '--help')).stdout).toMatch(new RegExp(`^Usage: privacy-unit ${name} `));
  }
});
