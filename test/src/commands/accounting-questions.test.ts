import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli, temporaryFolder } from '../support.ts';
import { answerOf, asked, expectWithin, run, words } from './asking.ts';

const folder = temporaryFolder();

interface EpsilonAnswer {
  epsilon: { lower: number; upper: number };
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

describe('delta', () => {
  interface DeltaAnswer {
    epsilon: number;
    delta: { lower: number; upper: number };
    byAccountant: object;
    statement: string;
  }

  it('prints the agreed keys and the known value of the Gaussian', async () => {
    const answer = await answerOf<DeltaAnswer>(
      `delta --epsilon 1 --event ${gaussian} --neighbours add-or-remove`,
    );
    expect(Object.keys(answer)).toEqual(['epsilon', 'delta', 'byAccountant', 'statement']);
    expect(Object.keys(answer.delta)).toEqual(['lower', 'upper']);
    expect(answer.epsilon).toBe(1);
    expectWithin(answer.delta, 0.12693673750664394);
    expect(answer.statement).toMatch(/^Guarantee +delta in \[0\.1269, 0\.1270\] at epsilon 1\n/);
  });

  it('goes back from the epsilon of a delta to that delta', async () => {
    const { epsilon } = await epsilonOf(`${run} ${asked} --accountant exact`);
    const line = `delta ${run} --neighbours add-or-remove --accountant exact --epsilon`;
    const above = await answerOf<DeltaAnswer>(`${line} ${epsilon.upper}`);
    const below = await answerOf<DeltaAnswer>(`${line} ${epsilon.lower}`);
    expect(above.delta.lower).toBeLessThanOrEqual(1e-6);
    expect(below.delta.upper).toBeGreaterThanOrEqual(1e-6);
  });

  it('grows with the group', async () => {
    const line = `delta --epsilon 1 ${run} --neighbours add-or-remove`;
    const one = await answerOf<DeltaAnswer>(line);
    const four = await answerOf<DeltaAnswer>(`${line} --group-size 4`);
    expect(four.delta.lower).toBeGreaterThan(one.delta.upper);
    expect(four.statement).toContain('a group of up to 4 records');
  });

  it('is 1 at most, and calls an estimate one', async () => {
    const line = 'delta --epsilon 3 --noise-multiplier 0.8 --steps 100 --neighbours zero-out';
    const shuffled = await answerOf<DeltaAnswer>(`${line} --sampling shuffle`);
    expect(shuffled.delta.upper).toBe(1);
    expect(shuffled.statement).toMatch(/^Guarantee +delta in \[0\.\d+, 1\] at epsilon 3\n/);
    expect(shuffled.statement).toContain('no upper bound is known');
    const estimated = await answerOf<DeltaAnswer>(`${line} --sampling none --accountant gdp`);
    expect(estimated.delta).toEqual({ lower: 0, upper: 1 });
    expect(estimated.statement).toMatch(/^Guarantee +delta at epsilon 3: estimate 1\.000, not a bound\n/);
  });
});

describe('risk', () => {
  interface RiskAnswer {
    advantage: number;
    advantageBounds: { lower: number; upper: number };
    tprAtFpr: Record<string, number>;
    bayesError: { lower: number; upper: number };
    prior: number;
    statement: string;
  }
  const line = 'risk --sampling none --noise-multiplier 1 --steps 1 --neighbours add-or-remove';

  it('prints the agreed keys and the known values of the Gaussian', async () => {
    const answer = await answerOf<RiskAnswer>(line);
    const keys = ['advantage', 'tprAtFpr', 'advantageBounds', 'bayesError', 'prior', 'statement'];
    expect(Object.keys(answer)).toEqual(keys);
    expectWithin(answer.advantageBounds, 0.3829249225480262);
    expect(answer.advantage).toBe(answer.advantageBounds.upper);
    expectWithin(answer.bayesError, 0.3085375387259869);
    expect(answer.prior).toBe(0.5);
    expect(Object.keys(answer.tprAtFpr)).toEqual(['0.01', '0.001', '0.0001']);
    // Φ(1 + Φ⁻¹(0.01)) from a table of the normal distribution.
    expect(answer.tprAtFpr['0.01']).toBeGreaterThanOrEqual(0.09236);
    expect(answer.tprAtFpr['0.01']).toBeLessThanOrEqual(0.0926);
  });

  it('takes other rates and another prior', async () => {
    const answer = await answerOf<RiskAnswer>(`${line} --fpr 1e-1,0.05,0.1 --prior 0.1 --gap 1e-3`);
    expect(Object.keys(answer.tprAtFpr)).toEqual(['0.1', '0.05']);
    expect(answer.prior).toBe(0.1);
    expect(answer.bayesError.upper).toBeLessThanOrEqual(0.1);
    expect(answer.bayesError.lower).toBeGreaterThan(0.08);
  });

  it('prints a table that says what its numbers are', async () => {
    const { stdout } = await runCli(...words(line));
    expect(stdout).toMatch(/\nfalse positive rate +true positive rate at most\n/);
    expect(stdout).toContain('upper bounds on any attacker who sees all releases');
    expect(stdout).toMatch(/Advantage +at most 0\.3830 /);
  });

  it('refuses shuffled batches, also inside an event, rather than print ones', async () => {
    const shuffled = { kind: 'shuffled-gaussian', noiseMultiplier: 1, stepsPerEpoch: 10, epochs: 1 };
    const events = [
      { kind: 'gaussian', noiseMultiplier: 1 },
      { ...shuffled, order: 'persistent' },
    ];
    const path = file('sequence.json', { kind: 'sequence', events });
    const lines = ['--sampling shuffle --noise-multiplier 1 --steps 10', `--event ${path}`];
    for (const each of lines) {
      const { code, stdout, stderr } = await runCli(
        ...words(`risk ${each} --neighbours add-or-remove --json`),
      );
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      const { error }: { error: { code: string; message: string } } = JSON.parse(stderr);
      expect(error.code).toBe('UNSUPPORTED_EVENT');
      expect(error.message).toContain('no upper bound is known for shuffled-gaussian');
    }
  });
});

describe('calibrate --solve', () => {
  interface Calibrated {
    solved: string;
    value: number;
    noiseMultiplier?: number;
    epsilon: { lower: number; upper: number };
  }
  const target = 'calibrate --epsilon 2 --delta 1e-6 --neighbours add-or-remove';

  it('noise-multiplier is what it solves for when nothing is said', async () => {
    const line = `${target} --sampling-probability 0.01 --steps 100`;
    const answer = await answerOf<Calibrated>(line);
    expect(answer).toEqual(await answerOf<Calibrated>(`${line} --solve noise-multiplier`));
    expect(answer.solved).toBe('noise-multiplier');
    expect(answer.value).toBe(answer.noiseMultiplier);
    expect(answer.epsilon.upper).toBeLessThanOrEqual(2);
  });

  it('steps: one more would exceed the target', async () => {
    const line = `${target} --solve steps --noise-multiplier 1 --sampling-probability 0.01`;
    const { solved, value, epsilon } = await answerOf<Calibrated>(line);
    expect(solved).toBe('steps');
    expect(epsilon.upper).toBeLessThanOrEqual(2);
    const more = await epsilonOf(
      `--noise-multiplier 1 --sampling-probability 0.01 --steps ${value + 1} ${asked} --accountant exact`,
    );
    expect(more.epsilon.upper).toBeGreaterThan(2);
    expect((await runCli(...words(line))).stdout).toMatch(new RegExp(`^Steps +${value}\n`));
  });

  it('sampling-probability: a thousandth more would exceed the target', async () => {
    const run = '--noise-multiplier 1 --steps 50';
    const line = `${target} --solve sampling-probability ${run}`;
    const { solved, value, epsilon } = await answerOf<Calibrated>(line);
    expect(solved).toBe('sampling-probability');
    expect(epsilon.upper).toBeLessThanOrEqual(2);
    const more = await epsilonOf(
      `${run} --sampling-probability ${value * 1.001} ${asked} --accountant exact`,
    );
    expect(more.epsilon.lower).toBeGreaterThan(2);
    const { stdout } = await runCli(...words(line));
    expect(Number(/^Sampling probability +(\S+)\n/.exec(stdout)![1])).toBeLessThanOrEqual(value);
  });

  it('batch-size: a whole number of a table', async () => {
    const line = `${target} --solve batch-size --noise-multiplier 1 --steps 50 --dataset-size 200`;
    const { solved, value, epsilon } = await answerOf<Calibrated>(line);
    expect([solved, Number.isInteger(value)]).toEqual(['batch-size', true]);
    expect(epsilon.upper).toBeLessThanOrEqual(2);
    expect((await runCli(...words(line))).stdout).toMatch(
      new RegExp(`^Batch size +${value} of 200, expected\n`),
    );
  });
});
