import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import type { Plan } from '../../accounting/plan.ts';
import type { CanarySet } from '../canaries/canaries.ts';
import { commitmentOfCanaries } from '../canaries/canary-file.ts';
import { checkDraws } from '../check-draws.ts';
import { tableDigest } from '../data.ts';
import { parametersDigest } from '../digest.ts';
import { readLedger, type LedgerEntry, type NoisedEntry } from '../ledger.ts';
import { commitmentOf, deriveKey } from '../randomness.ts';
import { train, type TrainOptions } from '../train.ts';
import { keyedSteps } from './course.ts';
import { finding, type Finding } from './finding.ts';

/** What training is repeated with: the model, the table and the settings of the run. */
export interface ReplayInputs extends Pick<
  TrainOptions,
  'users' | 'model' | 'engine' | 'settings' | 'signal'
> {
  /** Those of the run, where it planted some. */
  readonly canaries?: CanarySet | undefined;
  /** Steps to repeat, from the first; all where left out. */
  readonly steps?: number | undefined;
  /**
   * The arithmetic is that of the run (same engine, build and sort of machine), so that a sum that comes out otherwise refutes the
   * ledger. Without it a differing sum may be the machine's doing, and leaves the question open.
   */
  readonly isBitExact?: boolean | undefined;
}

/** What the run's secret key, once revealed, made it possible to check. */
export interface ReplayAnswer {
  readonly findings: readonly Finding[];
  /** Steps whose draws were made again and found to be those of the ledger. */
  readonly drawsConfirmed: number;
  /** Steps whose clipped sums were computed again and found to be those of the ledger. */
  readonly sumsConfirmed: number;
  /** Parameters after noise: checkpoints, and the final model, that came out the same. */
  readonly modelsConfirmed: number;
}

const untrained = { sumsConfirmed: 0, modelsConfirmed: 0 };

/** Opens the commitments with a key, draws again, and trains again where there is something to train with. */
export async function replay(
  entries: readonly LedgerEntry[],
  options: {
    plan: Plan;
    key: Uint8Array;
    inputsFor?: ((plan: Plan) => Promise<ReplayInputs>) | undefined;
  },
): Promise<ReplayAnswer> {
  const { plan, key, inputsFor } = options;
  const opened = openCommitments(entries, key);
  if (opened !== undefined) return { ...untrained, drawsConfirmed: 0, findings: [opened] };
  const draws = redraw(entries, { plan, key });
  if (inputsFor === undefined || draws.findings.length > 0) return { ...untrained, ...draws };
  if (!isFromStart(entries, key))
    return { ...untrained, drawsConfirmed: draws.drawsConfirmed, findings: [laterKey] };
  const inputs = await inputsFor(plan);
  const stray = otherInputs(entries, inputs);
  if (stray !== undefined) return { ...untrained, ...draws, findings: [stray] };
  const trained = await trainAgain({ plan, key, inputs });
  return { ...draws, ...compareRuns(entries, { trained, inputs }) };
}

function isFromStart([header]: readonly LedgerEntry[], key: Uint8Array): boolean {
  return header?.kind === 'header' && header.noiseKeyCommitment === commitmentOf(key);
}

const laterKey = finding(
  'later-key',
  'The key is that of a later stretch of the run, which went on from a checkpoint: nothing was repeated.',
  { level: 'warning' },
);

function openCommitments(entries: readonly LedgerEntry[], key: Uint8Array): Finding | undefined {
  const own = commitmentOf(key);
  const stretches = entries.filter(entry => entry.kind === 'header' || entry.kind === 'resumed');
  const opened = stretches.filter(entry => entry.noiseKeyCommitment === own);
  if (opened.length === 0)
    return finding(
      'other-key',
      `No line commits to the key that was given (commitment ${own.slice(0, 12)}).`,
      {
        detail: 'unverifiable',
      },
    );
  const sampling = commitmentOf(deriveKey(key, 'sampling'));
  const isOff = opened.some(
    ({ samplingKeyCommitment }) => samplingKeyCommitment !== undefined && samplingKeyCommitment !== sampling,
  );
  const text = 'The sampling key that the ledger commits to is not the one that follows from its secret key.';
  return isOff ? finding('other-sampling-key', text, { detail: 'refuted' }) : undefined;
}

function redraw(
  entries: readonly LedgerEntry[],
  { plan, key }: { plan: Plan; key: Uint8Array },
): Pick<ReplayAnswer, 'findings' | 'drawsConfirmed'> {
  const samplingKey = deriveKey(key, 'sampling');
  const isCommitted = entries.some(
    entry => entry.kind === 'header' && entry.samplingKeyCommitment !== undefined,
  );
  if (!isCommitted) return { findings: [], drawsConfirmed: 0 };
  const units = plan.population[plan.sampler.over];
  try {
    const drawsConfirmed = checkDraws(entries, { sampler: plan.sampler, units, samplingKey });
    return { findings: [], drawsConfirmed };
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return { findings: [finding('other-draws', error.message, { detail: 'refuted' })], drawsConfirmed: 0 };
  }
}

/** Trains in a folder of its own, which is gone afterwards, and gives the ledger that this made. */
async function trainAgain(options: Repeated): Promise<LedgerEntry[]> {
  const folder = mkdtempSync(join(tmpdir(), 'replay-'));
  try {
    await trainSome(folder, options);
    return readLedger(join(folder, 'ledger.jsonl'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Repeated {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly inputs: ReplayInputs;
}

async function trainSome(folder: string, { plan, key, inputs }: Repeated): Promise<void> {
  const { steps = plan.steps, signal, users, model, engine, settings = {}, canaries } = inputs;
  const enough = new AbortController();
  const onProgress = ({ step }: { step: number }): void => {
    if (step >= steps || signal?.aborted === true) enough.abort();
  };
  const run = { plan, users, canaries, model, engine, settings, heldOut: [], folder, randomness: { key } };
  try {
    await train({ ...run, signal: enough.signal, onProgress });
  } catch (error) {
    const isEnough = error instanceof DpError && error.code === 'INTERRUPTED' && signal?.aborted !== true;
    if (!isEnough) throw error;
  }
}

function compareRuns(
  entries: readonly LedgerEntry[],
  { trained, inputs }: { trained: readonly LedgerEntry[]; inputs: ReplayInputs },
): Omit<ReplayAnswer, 'drawsConfirmed'> {
  const course = firstCourse(entries);
  const repeated = stepsOf(trained);
  const shared = repeated.slice(0, course.length);
  const different = shared.findIndex(
    ({ clippedSumDigest }, at) => clippedSumDigest !== course[at]!.clippedSumDigest,
  );
  if (different >= 0)
    return { ...untrained, sumsConfirmed: different, findings: [otherSum(different, inputs)] };
  const { modelsConfirmed, differs } = compareModels(entries, { trained, isWhole: isOneCourse(entries) });
  const findings = differs.map(what => otherModel(what, inputs));
  return { sumsConfirmed: shared.length, modelsConfirmed, findings };
}

/** Table, canaries and model have to be those that the ledger is bound to: only then is it worth training. */
function otherInputs([own]: readonly LedgerEntry[], inputs: ReplayInputs): Finding | undefined {
  if (own?.kind !== 'header') return undefined;
  const { users, canaries, model } = inputs;
  const bound: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ['table', tableDigest(users), own.tableDigest],
    ['starting model', parametersDigest(model.parameters), own.modelDigest],
    ['canaries', canaries && commitmentOfCanaries(canaries).commitment, own.canaries?.commitment],
  ];
  const stray = bound.find(([, given, expected]) => given !== expected);
  if (stray === undefined) return undefined;
  const [name, given, expected] = stray;
  const digest = (value: string | undefined): string => value?.slice(0, 12) ?? 'none';
  const verb = name === 'canaries' ? 'have' : 'has';
  const text = `The ${name} that ${name === 'canaries' ? 'were' : 'was'} given ${verb} digest ${digest(given)}, the ledger is bound to ${digest(expected)}.`;
  return finding('other-inputs', text, { detail: 'unverifiable' });
}

function stepsOf(entries: readonly LedgerEntry[]): NoisedEntry[] {
  return entries.filter(entry => entry.kind === 'noised');
}

/** Steps of the first key and the first attempt: what an uninterrupted run would have written. */
function firstCourse(entries: readonly LedgerEntry[]): NoisedEntry[] {
  const course: NoisedEntry[] = [];
  const steps = keyedSteps(entries);
  for (const { entry, noiseKeyCommitment } of steps) {
    if (noiseKeyCommitment !== steps[0]!.noiseKeyCommitment) continue;
    if ((entry.attempt ?? 0) === 0 && entry.step === course.length) course.push(entry);
  }
  return course;
}

function isOneCourse(entries: readonly LedgerEntry[]): boolean {
  const steps = keyedSteps(entries);
  return firstCourse(entries).length === steps.length;
}

/** Checkpoints at the same steps, and the final model, where the run never departed from its course. */
function compareModels(
  entries: readonly LedgerEntry[],
  { trained, isWhole }: { trained: readonly LedgerEntry[]; isWhole: boolean },
): { modelsConfirmed: number; differs: string[] } {
  if (!isWhole) return { modelsConfirmed: 0, differs: [] };
  const own = modelsOf(entries);
  const differs: string[] = [];
  let modelsConfirmed = 0;
  for (const [what, digest] of modelsOf(trained)) {
    const stated = own.get(what);
    if (stated === digest) modelsConfirmed += 1;
    else if (stated !== undefined) differs.push(what);
  }
  return { modelsConfirmed, differs: differs.slice(0, 1) };
}

function modelsOf(entries: readonly LedgerEntry[]): Map<string, string> {
  const models = new Map<string, string>();
  for (const entry of entries) {
    if (entry.kind === 'checkpoint') models.set(`the checkpoint of step ${entry.step}`, entry.digest);
    if (entry.kind === 'finished') models.set('the final model', entry.modelDigest);
  }
  return models;
}

function otherSum(step: number, inputs: ReplayInputs): Finding {
  const causes =
    step === 0
      ? 'the clip, the table or the arithmetic was another'
      : 'the noise of the steps before, the clip, the settings of the optimizer or the arithmetic was another';
  return otherRun(
    'other-sum',
    `Repeated from the start, the clipped sum of step ${step} is not that of the ledger: ${causes}`,
    inputs,
  );
}

function otherModel(what: string, inputs: ReplayInputs): Finding {
  return otherRun(
    'other-model',
    `Repeated from the start, ${what} is not that of the ledger: its noise, the settings of the optimizer or the arithmetic was another`,
    inputs,
  );
}

function otherRun(code: string, text: string, { isBitExact = false }: ReplayInputs): Finding {
  return isBitExact
    ? finding(code, `${text}. The arithmetic was declared to be the same.`, { detail: 'refuted' })
    : finding(
        code,
        `${text}. Another engine or processor rounds otherwise, so this refutes nothing by itself.`,
        {
          level: 'warning',
          detail: 'unverifiable',
        },
      );
}
