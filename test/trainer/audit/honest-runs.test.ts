import { existsSync, mkdtempSync, rmSync, truncateSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epsilonOfPlan } from '../../../accounting/plan-entry.ts';
import type { Plan } from '../../../accounting/plan.ts';
import { auditLedger } from '../../../trainer/audit/audit-ledger.ts';
import { bytesOf, canonicalJson, sha256 } from '../../../trainer/digest.ts';
import { keyPath, readKey } from '../../../trainer/key-file.ts';
import { openPointSampler } from '../../../trainer/point-sampler.ts';
import { deriveKey, digestAt, openPointBits } from '../../../trainer/randomness.ts';
import { openRun, type Run } from '../../../trainer/run.ts';
import { EpsilonAlong } from '../../../trainer/so-far.ts';
import { openStepBook } from '../../../trainer/step-book.ts';
import { planOf } from './ledgers.ts';

/** One stretch of a run, and how it ends. */
interface Life {
  /** Sums come out in a way of their own on each machine. */
  readonly machine: number;
  readonly steps: number;
  readonly isKeyLost: boolean;
  /** Bytes of a last line that the crash cut off. */
  readonly isTorn: boolean;
}

const lives: fc.Arbitrary<Life[]> = fc.array(
  fc.record({
    machine: fc.nat({ max: 1 }),
    steps: fc.nat({ max: 9 }),
    isKeyLost: fc.boolean(),
    isTorn: fc.boolean(),
  }),
  { maxLength: 4 },
);

const plans: Plan[] = [
  planOf({ steps: 12 }),
  planOf({ steps: 12 }, { kind: 'truncated-poisson', batchLimit: 24 }),
  planOf({ steps: 12 }, { kind: 'balls-in-bins', stepsPerEpoch: 10 }),
  planOf({ steps: 12 }, { kind: 'shuffled', stepsPerEpoch: 10 }),
];

function openIn(folder: string, plan: Plan): Run {
  const identity = { planHash: sha256(canonicalJson(plan)), plan, tableDigest: 't', modelDigest: 'm' };
  const stepsPerEpoch = 'stepsPerEpoch' in plan.sampler ? plan.sampler.stepsPerEpoch : undefined;
  return openRun({ folder, force: false, identity, stepsPerEpoch, keepKey: true });
}

/** Steps as the trainer makes them, but for the sums, which are the machine's name. */
function live(folder: string, { plan, life }: { plan: Plan; life: Life | undefined }): void {
  const run = openIn(folder, plan);
  const samplingKey = deriveKey(run.key, 'sampling');
  const population = plan.population[plan.sampler.over];
  const draws = openPointSampler(plan.sampler, { population, bits: openPointBits(samplingKey) });
  const along = new EpsilonAlong(plan);
  const terms = {
    noiseMultiplier: plan.noiseMultiplier,
    soFar: (steps: number) => along.soFar(Math.min(steps, plan.steps)),
  };
  const book = openStepBook(run.ledger, { history: run.history, terms });
  const enter = (step: number): boolean => {
    const point = { step, attempt: book.attemptAt(step) };
    const drawn = draws.draw(point);
    const participationDigest = digestAt(point, { key: samplingKey, bytes: bytesOf(drawn) });
    const clippedSumDigest = sha256(`${life?.machine} ${step} ${point.attempt}`);
    return book.enter({
      ...point,
      drawSize: drawn.length,
      clipNorm: plan.clipNorm,
      participationDigest,
      clippedSumDigest,
    });
  };
  const first = run.resumedFrom?.step ?? 0;
  for (let step = first; step < Math.min(plan.steps, first + (life?.steps ?? Infinity)); step += 1) {
    if (!enter(step) && !enter(step)) throw new Error('a step was refused twice');
    const checkpoint = {
      step: step + 1,
      parameters: Float32Array.of(step),
      optimizer: { updates: step, moments: [] },
    };
    if ((step + 1) % 3 === 0) run.save(checkpoint);
  }
  if (life === undefined) run.finish({ modelDigest: 'd' });
  run.close();
}

function crash(folder: string, { isKeyLost, isTorn }: Life): void {
  const ledger = join(folder, 'ledger.jsonl');
  if (isKeyLost) rmSync(keyPath(folder));
  // A line that was whole on the disk is never torn: the header, and lines that a checkpoint was named after.
  if (isTorn && !existsSync(join(folder, 'checkpoint.bin')))
    truncateSync(ledger, Math.max(statSync(ledger).size - 9, 0));
}

describe('auditLedger() of honest runs', () => {
  it.each(plans)(
    'accuses none, however often it is cut off, on whatever machine: $sampler.kind',
    async plan => {
      const { upper } = epsilonOfPlan(plan).epsilon;
      await fc.assert(
        fc.asyncProperty(lives, async all => {
          const folder = mkdtempSync(join(tmpdir(), 'honest-'));
          for (const life of all) {
            live(folder, { plan, life });
            crash(folder, life);
          }
          live(folder, { plan, life: undefined });
          const key = readKey(folder);
          const audit = await auditLedger(join(folder, 'ledger.jsonl'), { key });
          expect(audit.reasons.filter(({ level }) => level === 'error')).toEqual([]);
          expect(audit.verdict).toBe('consistent');
          expect(audit.steps.counted).toBeGreaterThanOrEqual(plan.steps);
          expect(audit.epsilon.upper).toBeGreaterThanOrEqual(upper);
          expect(audit.replay!.drawsConfirmed).toBeGreaterThanOrEqual(0);
        }),
        { numRuns: 6 },
      );
    },
  );
});
