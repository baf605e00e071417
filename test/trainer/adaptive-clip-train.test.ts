import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { epsilonOfPlan } from '../../accounting/plan-epsilon.ts';
import { parsePlan } from '../../accounting/plan.ts';
import { readLedger, type CheckpointEntry, type NoisedEntry } from '../../trainer/ledger.ts';
import type { StepPhase } from '../../trainer/mechanism.ts';
import { StepClip } from '../../trainer/step-clip.ts';
import { train, type TrainOptions } from '../../trainer/train.ts';
import { adaptivePlan } from './adaptive-plan.ts';
import { textUsers, tinyEngine, tinyModel } from './tiny.ts';
import { planFor } from './toy.ts';

describe('train() with an adaptive clip', () => {
  const home = mkdtempSync(join(tmpdir(), 'adaptive-'));
  afterAll(() => rmSync(home, { recursive: true }));
  const fresh = (): string => mkdtempSync(join(home, 'run-'));
  const users = textUsers(10);
  const plan = parsePlan(
    adaptivePlan(users, {
      steps: 6,
      probability: 0.6,
      clipNorm: 0.5,
      noiseMultiplier: 1,
      clip: { targetQuantile: 0.7, countNoise: 2 },
    }),
  );
  const runOf = async (folder: string, key = 9): Promise<TrainOptions> => ({
    plan,
    users,
    heldOut: [],
    model: tinyModel(),
    engine: await tinyEngine(),
    settings: { checkpointEvery: 2 },
    randomness: { key: new Uint8Array(32).fill(key) },
    folder,
  });
  const noisedOf = (folder: string): NoisedEntry[] =>
    readLedger(join(folder, 'ledger.jsonl')).filter(entry => entry.kind === 'noised');
  const uninterrupted = fresh();
  let whole: ReturnType<typeof train> | undefined;
  const wholeRun = (): ReturnType<typeof train> => (whole ??= runOf(uninterrupted).then(train));

  it('writes down every clip and the noised share that it follows from, and costs what a fixed one does', async () => {
    const result = await wholeRun();
    const lines = noisedOf(uninterrupted);
    const clip = new StepClip(plan);
    for (const [step, line] of lines.entries()) {
      if (step > 0) clip.move(line.previousFraction!);
      expect({ clipNorm: line.clipNorm, previousFraction: line.previousFraction }).toEqual({
        previousFraction: undefined,
        ...clip.state,
      });
      expect(line.noiseMultiplier).toBe(plan.noiseMultiplier);
    }
    expect(new Set(lines.map(line => line.clipNorm)).size).toBe(6);
    const last = readLedger(join(uninterrupted, 'ledger.jsonl')).findLast(
      (entry): entry is CheckpointEntry => entry.kind === 'checkpoint',
    );
    clip.move(last!.clip!.previousFraction!);
    expect(last!.clip).toEqual(clip.state);
    expect(result.clipNorm).toBe(clip.norm);
    expect(result.epsilon).toEqual(epsilonOfPlan(planFor(users, { ...plan, clipping: undefined })).epsilon);
  });

  const phases: readonly StepPhase[] = ['sampled', 'summed', 'logged', 'noised', 'updated', 'saved'];
  // Checkpoints are saved after steps 1, 3 and 5.
  it.each(phases.flatMap(phase => (phase === 'saved' ? [1, 3] : [1, 3, 4]).map(step => ({ phase, step }))))(
    'goes on after a kill at $phase of step $step with the same clips, counts and model',
    async at => {
      const folder = fresh();
      const options = await runOf(folder);
      const onPhase = (phase: StepPhase, step: number): void => {
        if (phase === at.phase && step === at.step) throw new Error('killed');
      };
      await expect(train({ ...options, onPhase })).rejects.toThrow('killed');
      const result = await train(options);
      const twin = await wholeRun();
      expect(result.model.parameters).toEqual(twin.model.parameters);
      expect(result.stepsCounted).toBe(6);
      expect(result.clipNorm).toBe(twin.clipNorm);
      expect(noisedOf(folder)).toEqual(noisedOf(uninterrupted));
    },
  );

  it('counts steps anew, from the clip of the checkpoint, where the key was lost', async () => {
    const folder = fresh();
    const onPhase = (phase: StepPhase, step: number): void => {
      if (phase === 'noised' && step === 3) throw new Error('killed');
    };
    await expect(train({ ...(await runOf(folder)), onPhase })).rejects.toThrow('killed');
    const result = await train(await runOf(folder, 8));
    expect(result.stepsCounted).toBe(8);
    const [first, again] = noisedOf(folder).filter(({ step }) => step === 2);
    expect(again!.clipNorm).toBe(first!.clipNorm);
    expect(again!.clippedSumDigest).not.toBe(first!.clippedSumDigest);
  });

  it('refuses a lying plan before anything is written', async () => {
    const folder = fresh();
    const lying = { ...plan, clipping: { ...plan.clipping!, countNoise: 0 } };
    await expect(train({ ...(await runOf(folder)), plan: lying })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(() => readLedger(join(folder, 'ledger.jsonl'))).toThrow();
  });
});
