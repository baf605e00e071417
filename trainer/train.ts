import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { DpError } from '../accounting/check.ts';
import type { Interval } from '../accounting/index.ts';
import { epsilonOfPlan, parsePlan, type Plan } from '../accounting/plan-entry.ts';
import { physicalLimits } from './batches.ts';
import { absentCanaries, canaryUsers, type CanaryRequest, type CanarySet } from './canaries/canaries.ts';
import { commitmentOfCanaries, writeCanaries } from './canaries/canary-file.ts';
import { canariesOf } from './canaries/plant.ts';
import { scoreCanaries, writeScores, type ScoredCanaries } from './canaries/score-canaries.ts';
import type { Checkpoint } from './checkpoint.ts';
import { tableDigest, truncationOf, type Truncation, type UserTokens } from './data.ts';
import { openDeviceModel, type DeviceModel } from './device.ts';
import { canonicalJson, parametersDigest, sha256 } from './digest.ts';
import type { Engine } from './engines/engine.ts';
import type { Perplexity } from './evaluate.ts';
import { checkFit } from './fit.ts';
import { guaranteeOf } from './guarantee.ts';
import type { LanguageModel } from './language-model.ts';
import { measure, perplexities, type Measured } from './measure.ts';
import { openMechanism, privateGradient, type Mechanism, type StepPhase } from './mechanism.ts';
import { saveModel, type SaveOptions } from './model/weights.ts';
import { applyUpdate, openOptimizer } from './optimizer.ts';
import {
  checkFinite,
  flattenTrainable,
  trainableSize,
  trainableSlices,
  withTrainable,
} from './parameters.ts';
import { openRun, type Run } from './run.ts';
import { EpsilonAlong } from './so-far.ts';
import { openStepBook, type LedgerBook, type StepTerms } from './step-book.ts';
import { clipAt } from './step-clip.ts';
import { learningRateAt } from './schedule.ts';
import { resolveSettings, type LossPoint, type ResolvedSettings, type TrainingSettings } from './settings.ts';

/** Where a run stands. `loss` is not private. */
export interface TrainingProgress {
  /** Finished steps. */
  readonly step: number;
  readonly steps: number;
  /** Steps whose noise was drawn, those of earlier, interrupted stretches included. */
  readonly stepsCounted: number;
  readonly loss: number | null;
}

/** What to train, on whose text, under which plan. */
export interface TrainOptions {
  readonly plan: Plan;
  /** Training users: selected already where the plan selects once, with all their records where it selects per draw. */
  readonly users: readonly UserTokens[];
  /** Users kept out of training, for evaluation; may be empty. */
  readonly heldOut: readonly UserTokens[];
  readonly model: LanguageModel;
  readonly engine: Engine;
  /** SHA-256 of the manifest of the table's selection, for the ledger. */
  readonly manifestDigest?: string | undefined;
  readonly settings?: TrainingSettings;
  /** Holds ledger, checkpoint and, at the end, the model. Without it nothing outlives an interruption. */
  readonly folder?: string;
  /** Starts anew whatever the folder holds. */
  readonly force?: boolean;
  /**
   * Takes the folder's lock away from a run that can't be asked whether it is over: one of another machine, or one
   * whose process number may belong to another process by now. The lock of a run that is known to run stays.
   */
  readonly breakLock?: boolean;
  /** Stops after the current step, with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainingProgress) => void;
  /** Called between the parts of a step; throwing from it ends the run there, like a crash. */
  readonly onPhase?: (phase: StepPhase, step: number) => void;
  /**
   * A key for tests. Whoever knows the key can take the noise off, and two runs of one key under two plans tell it to everybody: a sum that
   * both make meets one noise at two scales.
   */
  readonly randomness?: { readonly key: Uint8Array };
  /**
   * Leaves the secret key in the folder when the run is over, so that draws can be shown to an auditor. Whoever
   * reads it can take the noise off every step: the guarantee then holds against nobody who has it.
   */
  readonly keepKey?: boolean;
  /**
   * Keeps every checkpoint in the folder, for an auditor to repeat steps from: 12 bytes a trained value each with AdamW, 8 with SGD.
   * They follow from noised sums alone, so that the run's ε covers them.
   */
  readonly keepCheckpoints?: boolean;
  /** How the trained model is written; default: in full, as float32. */
  readonly save?: SaveOptions;
  /**
   * Made-up users that are trained on or left out by fair coins, and scored afterwards. The plan has to count all of
   * them: see `planWithCanaries`. A set is that of an earlier run, to be repeated.
   */
  readonly canaries?: CanaryRequest | CanarySet | undefined;
}

/** What training gives back. */
export interface TrainingResult {
  /** ε at the plan's δ for `stepsCounted` steps. */
  readonly epsilon: Interval;
  readonly delta: number;
  /** Finished steps, as planned. */
  readonly steps: number;
  /** Steps that ε counts: above `steps` where steps of an interrupted stretch could not be repeated bit for bit. */
  readonly stepsCounted: number;
  /** Where the clip stands after the last step: the plan's, unless it adapts. Public. */
  readonly clipNorm: number;
  /** Held-out perplexity of the starting model and of the trained one; null without held-out users. */
  readonly perplexity: { readonly before: Perplexity; readonly after: Perplexity } | null;
  readonly seconds: number;
  readonly model: LanguageModel;
  /** Scores of the canaries, made up and thus nobody's; null where none were planted. */
  readonly canaries: ScoredCanaries | null;
  readonly truncation: Truncation;
  /** Mean training loss of the units drawn, for the steps of this stretch. */
  readonly lossCurve: readonly LossPoint[];
  readonly epsilonCurve: readonly { readonly step: number; readonly epsilon: Interval }[];
  readonly diagnostics: Diagnostics;
  /** Fields computed from private text without noise: to be kept out of anything that is published. */
  readonly notPrivate: readonly ('lossCurve' | 'diagnostics' | 'perplexity' | 'truncation')[];
}

/** Counts over the steps of this stretch. */
export interface Diagnostics {
  readonly unitsDrawn: number;
  /** Units whose gradient was longer than the clip. */
  readonly unitsClipped: number;
  /** Units left out because their gradient was not finite. */
  readonly unitsNotFinite: number;
  /** Steps that drew nobody and were noise alone. */
  readonly emptySteps: number;
}

/** What changes from step to step. */
interface Progress {
  step: number;
  readonly parameters: Float32Array;
  readonly optimizer: Checkpoint['optimizer'];
  readonly lossCurve: LossPoint[];
  diagnostics: Diagnostics;
}

/** Everything that a loop over steps needs. */
interface Loop {
  readonly plan: Plan;
  /** Those of the table, then the canaries. */
  readonly users: readonly UserTokens[];
  readonly canaries: CanarySet | undefined;
  readonly settings: ResolvedSettings;
  readonly options: TrainOptions;
  readonly run: Run;
  readonly device: DeviceModel;
  readonly mechanism: Mechanism;
  readonly book: LedgerBook;
  readonly along: EpsilonAlong;
  readonly progress: Progress;
}

/**
 * Trains a model under user-level differential privacy by the plan's mechanism: Group Privacy or
 * User-wise DP-SGD (arXiv 2406.14322).
 *
 * Every step is written to the ledger before its noise is drawn, so ε counts each step whose
 * noised sum anyone could have seen, also after a crash and a resumed run. A run that was cut off
 * goes on when it is started again with the same folder, plan, table and starting model. Steps after its
 * checkpoint are repeated with the secret key that it kept in the folder; where they come out the same bit for
 * bit they are the same releases and the model is that of an uninterrupted run, otherwise they are counted once more.
 *
 * Canaries are units like any other. One whose coin left it out is drawn and adds nothing, so that sizes of draws tell nothing of
 * the coins, and the run is that of the plan whichever way they fell.
 *
 * @returns the trained model with its ε: an upper bound (and a lower one) on what the run spent
 * @throws `INVALID_ARGUMENT` where the starting model was trained on private text; `INVALID_DATA` or
 *   `CHECK_FAILED` where the data do not fit the plan; `OUTPUT_EXISTS`
 *   where the folder holds a finished run or another run is writing to it; `CHECK_FAILED` where its ledger
 *   can't be trusted; `INVALID_ARGUMENT` where the learning rate is so high that parameters are no longer finite
 *   numbers; `OUTPUT_FAILED` where the disk is full; `INTERRUPTED` after `signal`
 */
export async function train(options: TrainOptions): Promise<TrainingResult> {
  const started = performance.now();
  const plan = parsePlan(options.plan);
  const { heldOut, model, engine } = options;
  const { contextLength, vocabularySize } = model.spec.config;
  checkStart(model);
  const canaries = canariesOf(options.canaries, { ...options, plan, users: options.users.length });
  const users = canaries === undefined ? options.users : [...options.users, ...canaryUsers(canaries)];
  checkFit(plan, { users, heldOut, contextLength, vocabularySize });
  const settings = resolveSettings(options.settings ?? {}, {
    steps: plan.steps,
    spec: model.spec,
  });
  const run = openRunFor(plan, { options, canaries, settings });
  const device = openDeviceModel(model, engine);
  try {
    const measured = { heldOut, canaries, model, device };
    const before = await measure(measured);
    const loop = openLoop({ plan, users, canaries, settings, options, run, device });
    await trainSteps(loop);
    const after = await measure(measured);
    return await finish(loop, {
      before,
      after,
      seconds: (performance.now() - started) / 1000,
    });
  } finally {
    device.dispose();
    run.close();
  }
}

function checkStart({ provenance }: LanguageModel): void {
  if (provenance.trainedOn === 'public') return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot train: the starting model was trained on ${provenance.trainedOn} text, which this run's ε would leave out. ` +
      'Start from a model trained on public text.',
  );
}

function openRunFor(
  plan: Plan,
  known: { options: TrainOptions; canaries: CanarySet | undefined; settings: ResolvedSettings },
): Run {
  const { options, canaries, settings } = known;
  const { schedule, optimizer } = settings;
  return openRun({
    folder: options.folder ?? null,
    force: options.force ?? false,
    identity: {
      planHash: sha256(canonicalJson(plan)),
      plan,
      tableDigest: tableDigest(options.users),
      modelDigest: parametersDigest(options.model.parameters),
      ...(options.manifestDigest === undefined ? {} : { manifestDigest: options.manifestDigest }),
      ...(canaries === undefined ? {} : { canaries: commitmentOfCanaries(canaries) }),
      trainedValues: trainableSize(trainableSlices(options.model.spec)),
      settings: { schedule, optimizer },
    },
    beforeHeader: canaries === undefined ? undefined : folder => writeCanaries(folder, canaries),
    stepsPerEpoch: 'stepsPerEpoch' in plan.sampler ? plan.sampler.stepsPerEpoch : undefined,
    key: options.randomness?.key,
    keepKey: options.keepKey,
    keepCheckpoints: options.keepCheckpoints,
    breakLock: options.breakLock,
  });
}

function openLoop(parts: Omit<Loop, 'mechanism' | 'book' | 'along' | 'progress'>): Loop {
  const { plan, users, canaries, settings, options, run, device } = parts;
  const { model } = options;
  const { contextLength, vocabularySize } = model.spec.config;
  const limits = physicalLimits({ contextLength, vocabularySize });
  const mostRows = plan.unit.recordsPerUser;
  const packing = { contextLength, endOfText: model.tokenizer.endOfText, limits, mostRows };
  const from = run.resumedFrom;
  const clip = clipAt(plan, from);
  const absent = canaries === undefined ? undefined : absentCanaries(canaries);
  const mechanism = openMechanism({ plan, users, absent, gradients: device, packing, key: run.key, clip });
  const progress: Progress = {
    step: from?.step ?? 0,
    parameters: from?.parameters ?? flattenTrainable(model),
    optimizer: from?.optimizer ?? openOptimizer(device.size, settings.optimizer),
    lossCurve: [],
    diagnostics: { unitsDrawn: 0, unitsClipped: 0, unitsNotFinite: 0, emptySteps: 0 },
  };
  checkResumable(progress, { size: device.size, settings });
  device.setTrainable(progress.parameters);
  const along = new EpsilonAlong(plan);
  const book = openStepBook(run.ledger, { history: run.history, terms: termsOf(plan, along) });
  return { ...parts, mechanism, book, along, progress };
}

function termsOf({ noiseMultiplier }: Plan, along: EpsilonAlong): StepTerms {
  return { noiseMultiplier, soFar: steps => along.soFar(steps) };
}

function checkResumable(progress: Progress, options: { size: number; settings: ResolvedSettings }): void {
  const expected = openOptimizer(0, options.settings.optimizer).moments.length;
  const arrays = [progress.parameters, ...progress.optimizer.moments];
  if (arrays.length === expected + 1 && arrays.every(array => array.length === options.size)) return;
  throw new DpError(
    'CHECK_FAILED',
    `Cannot go on from the checkpoint: it holds ${arrays.length} arrays of ${arrays[0]!.length} values, this run has ` +
      `${expected + 1} of ${options.size}. Train with the same optimizer and adapters, or in another folder.`,
  );
}

async function trainSteps(loop: Loop): Promise<void> {
  const { plan, settings, options, run, progress } = loop;
  while (progress.step < plan.steps) {
    // Signals arrive between turns of the event loop, which a run of the engine can block.
    await setImmediate();
    if (options.signal?.aborted === true) throw interrupted(loop);
    await trainStep(loop);
    if (progress.step % settings.checkpointEvery === 0 || progress.step === plan.steps) saveCheckpoint(loop);
    const { step, lossCurve } = progress;
    const last = lossCurve.at(-1);
    const loss = last?.step === step ? last.loss : null;
    options.onProgress?.({ step, steps: plan.steps, stepsCounted: run.ledger.stepsCounted, loss });
  }
}

async function trainStep({ settings, options, book, device, mechanism, progress }: Loop): Promise<void> {
  const { step, parameters } = progress;
  const { onPhase } = options;
  const { gradient, drawSize, summed, noiseSample } = await privateGradient(mechanism, {
    step,
    book,
    onPhase,
  });
  book.sampled(noiseSample);
  applyUpdate(parameters, {
    gradient,
    learningRate: learningRateAt(step, settings.schedule),
    settings: settings.optimizer,
    state: progress.optimizer,
  });
  device.setTrainable(parameters);
  progress.step = step + 1;
  options.onPhase?.('updated', step);
  if (summed.meanLoss !== null) progress.lossCurve.push({ step: step + 1, loss: summed.meanLoss });
  const { unitsDrawn, unitsClipped, unitsNotFinite, emptySteps } = progress.diagnostics;
  progress.diagnostics = {
    unitsDrawn: unitsDrawn + drawSize,
    unitsClipped: unitsClipped + summed.clipped,
    unitsNotFinite: unitsNotFinite + summed.notFinite,
    emptySteps: emptySteps + (drawSize === 0 ? 1 : 0),
  };
}

function saveCheckpoint({ run, book, mechanism, progress, options, settings }: Loop): void {
  const { step, parameters, optimizer } = progress;
  checkFinite(parameters, { step, learningRate: settings.schedule.learningRate });
  run.save({ step, parameters, optimizer, clip: mechanism.clip.kept }, book.takeSample());
  options.onPhase?.('saved', step - 1);
}

function interrupted(loop: Loop): DpError {
  const { plan, options, run, progress } = loop;
  const { folder } = options;
  if (folder !== undefined) saveCheckpoint(loop);
  const next =
    folder === undefined
      ? 'Nothing was saved. Give a folder, so that a run can go on where it stopped.'
      : `Start it again with the same folder (${folder}) to go on from there; ` +
        `its ε will count the ${run.ledger.stepsCounted} steps noised so far.`;
  return new DpError(
    'INTERRUPTED',
    `Cannot finish training: interrupted after step ${progress.step} of ${plan.steps}. ${next}`,
  );
}

/** Scores of the canaries, on the disk before the ledger says that the run is over. */
function scored({ canaries, options, plan }: Loop, { before, after }: Finished): ScoredCanaries | null {
  if (canaries === undefined || before.losses === null || after.losses === null) return null;
  const found = scoreCanaries(canaries, { before: before.losses, after: after.losses });
  if (options.folder !== undefined) writeScores(options.folder, { ...found, delta: plan.delta });
  return found;
}

/** What is known when the last step is done. */
interface Finished {
  readonly before: Measured;
  readonly after: Measured;
  readonly seconds: number;
}

async function finish(loop: Loop, known: Finished): Promise<TrainingResult> {
  const { plan, options, run, mechanism, along, progress } = loop;
  const { before, after, seconds } = known;
  const { stepsCounted } = run.ledger;
  const { epsilon } = epsilonOfPlan(plan, { steps: stepsCounted });
  const parameters = withTrainable(options.model, progress.parameters);
  const { spec, tokenizer } = options.model;
  const guarantee = guaranteeOf(plan, { epsilon, steps: stepsCounted });
  const provenance = { trainedOn: 'private', tokenizer: tokenizer.name, guarantee } as const;
  const model: LanguageModel = { ...options.model, parameters, provenance };
  if (options.folder !== undefined) await saveModel(join(options.folder, 'model'), model, options.save);
  const canaries = scored(loop, known);
  run.finish({ modelDigest: parametersDigest(parameters) });
  return {
    perplexity: perplexities(before, after),
    seconds,
    epsilon,
    delta: plan.delta,
    steps: plan.steps,
    stepsCounted,
    clipNorm: mechanism.clip.norm,
    model,
    canaries,
    truncation: truncationOf(options.users, spec.config.contextLength),
    lossCurve: progress.lossCurve,
    epsilonCurve: along.curve(stepsCounted),
    diagnostics: progress.diagnostics,
    notPrivate: ['lossCurve', 'diagnostics', 'perplexity', 'truncation'],
  };
}
