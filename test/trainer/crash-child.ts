import { writeSync } from 'node:fs';
import { train, type TrainOptions } from '../../trainer/train.ts';
import { textUsers, tinyEngine, tinyModel } from './tiny.ts';
import { planFor } from './toy.ts';

const adaptiveClip = {
  kind: 'adaptive',
  targetQuantile: 0.5,
  learningRate: 0.2,
  countNoise: 8,
  minimum: 0.01,
  maximum: 100,
} as const;

/** The run that is killed again and again, and its twin that is not. */
export async function crashRun(
  steps: number,
  { adapts }: { adapts: boolean },
): Promise<Omit<TrainOptions, 'folder'>> {
  const users = textUsers(6);
  const clipping = adapts ? adaptiveClip : undefined;
  const plan = planFor(users, { steps, probability: 0.6, clipNorm: 0.5, noiseMultiplier: 4, clipping });
  const engine = await tinyEngine();
  return { plan, users, heldOut: [], model: tinyModel(), engine, settings: { checkpointEvery: 4 } };
}

const [folder, steps, clip] = process.argv.slice(2);
if (process.env['CRASH_CHILD'] === '1' && folder !== undefined) {
  let hasStarted = false;
  const onPhase = (): void => {
    if (hasStarted) return;
    hasStarted = true;
    writeSync(1, 'started\n');
  };
  await train({ ...(await crashRun(Number(steps), { adapts: clip === 'adaptive' })), folder, onPhase });
}
