import { compareMechanisms, parsePlan, type Plan, type PlanOption } from '../../accounting/plan-entry.ts';
import { DpError } from '../../accounting/check.ts';
import type { Records } from '../../selection/index.ts';
import type { Tokenizer } from '../../trainer/index.ts';
import { breathe } from '../files.ts';
import { heldOutShare } from '../demo/settings.ts';
import { defaultDelta } from '../planning.ts';
import { trainingContributions, type HeldOutRule } from '../table.ts';
import { plannedContributions } from '../training-data.ts';
import {
  baselineName,
  baselineSettingsOf,
  cellsOf,
  drawOf,
  runName,
  seedOf,
  settingsOf,
  type Cell,
  type RunKind,
  type Setting,
  type StudyQuestion,
} from './question.ts';

/** One run of the study with everything that it needs to know. */
export interface PlannedRun {
  readonly name: string;
  readonly kind: RunKind;
  readonly repetition: number;
  /** Null for a baseline. */
  readonly cell: Cell | null;
  /** Where the study chooses one of several for each cell. */
  readonly setting?: Setting | undefined;
  readonly plan: Plan | null;
  /** Clip norm for users ÷ for records below which User-wise DP-SGD has less noise; null for a baseline. */
  readonly breakEvenClipRatio: number | null;
  /** Expected record gradients of a step: fewer than asked for where users have fewer records than the cap. */
  readonly recordsPerStep: number | null;
  /** What a reader of the plan has to know. */
  readonly notes: readonly string[];
}

/** All runs of a study, in the order in which they are made. */
export interface PlannedStudy {
  readonly runs: readonly PlannedRun[];
  readonly heldOut: HeldOutRule;
  readonly delta: number;
  readonly population: {
    readonly users: number;
    readonly records: number;
    readonly heldOutUsers: number;
    /** Of these, users by whose text settings are chosen; absent where nothing is chosen. */
    readonly validationUsers?: number;
  };
  readonly notes: readonly string[];
}

/** Who is kept out of training, the same users for every run. */
export function heldOutRule({ heldOut, seed }: StudyQuestion, users: number): HeldOutRule {
  return { fraction: heldOut ?? heldOutShare(users), seed };
}

function populationOf(records: Records, heldOut: HeldOutRule): PlannedStudy['population'] {
  const { contributions, heldOutUsers } = trainingContributions(records, heldOut);
  if (contributions.length < 2 || heldOutUsers === 0) {
    const count = contributions.length + heldOutUsers;
    throw new DpError(
      'INVALID_DATA',
      `Cannot study: of ${count} users ${heldOutUsers} are kept for evaluation. Give a table with more users, or another --held-out.`,
    );
  }
  const total = contributions.reduce((sum, count) => sum + count, 0);
  return { users: contributions.length, records: total, heldOutUsers };
}

interface Planner {
  readonly question: StudyQuestion;
  readonly records: Records;
  readonly tokenizer: Tokenizer;
  readonly heldOut: HeldOutRule;
  readonly delta: number;
  /** Calibrated options by what the noise depends on. */
  readonly known: Map<string, readonly PlanOption[]>;
  /** Records per user by rule, where counting them takes the texts. */
  readonly counted: Map<string, readonly number[]>;
}

function selectionOf(planner: Planner, cell: Cell, repetition: number): PlanSelection {
  const { question } = planner;
  const chunkTokens = cell.strategy === 'random-chunk' ? question.chunkTokens : null;
  return { strategy: cell.strategy, seed: seedOf(question, repetition), tokensPerUser: null, chunkTokens };
}

type PlanSelection = Omit<Plan['selection'], 'when' | 'privacyCost'>;

function contributionsOf(planner: Planner, selection: PlanSelection): readonly number[] {
  const { records, heldOut, tokenizer, counted } = planner;
  const key = selection.chunkTokens === null ? '' : `${selection.chunkTokens}/${selection.seed}`;
  const found =
    counted.get(key) ?? plannedContributions(records, { selection, heldOut, tokenizer }).contributions;
  counted.set(key, found);
  return found;
}

/** The calibrated option of a cell; what does not change the noise is not calibrated twice. */
function planOf(
  planner: Planner,
  cell: Cell,
  { repetition, setting }: Pick<PlannedRun, 'repetition' | 'setting'>,
): Pick<PlannedRun, 'plan' | 'breakEvenClipRatio' | 'recordsPerStep' | 'notes'> {
  const { question, heldOut, delta, known } = planner;
  const { batchSize, steps, adaptiveClip } = question;
  const { epsilon, recordsPerUser, sampler } = cell;
  const clipNorm = setting?.clipNorm ?? question.clipNorms[0]!;
  const rule = selectionOf(planner, cell, repetition);
  const contributions = contributionsOf(planner, rule);
  const when = drawOf(question, { ...cell, mechanism: 'user-wise' });
  // An adaptive clip has limits that follow from the first one; a fixed clip changes nothing else of a plan.
  const clipKey = adaptiveClip === undefined ? null : clipNorm;
  const key = JSON.stringify([epsilon, recordsPerUser, sampler, when, clipKey, contributions]);
  const options =
    known.get(key) ??
    compareMechanisms({
      contributions,
      epsilon,
      delta,
      recordsPerUser: [recordsPerUser],
      batchSize,
      steps,
      clipNorm,
      adaptiveClip,
      sampler,
      batchLimit: sampler === 'truncated-poisson' ? question.batchLimit : undefined,
      neighbours: 'add-or-remove',
      selection: { ...rule, when },
      heldOut,
    });
  known.set(key, options);
  const { plan, breakEvenClipRatio, notes } = options.find(({ mechanism }) => mechanism === cell.mechanism)!;
  const drawn = contributions.reduce((sum, count) => sum + Math.min(count, recordsPerUser), 0);
  return {
    plan: parsePlan({ ...plan, clipNorm, selection: { ...plan.selection, ...rule } }),
    breakEvenClipRatio,
    recordsPerStep: plan.sampler.samplingProbability * drawn,
    notes,
  };
}

const baseline = {
  cell: null,
  plan: null,
  breakEvenClipRatio: null,
  recordsPerStep: null,
  notes: [],
} as const;

/** What planning needs beside the question. */
export interface PlanningParts {
  readonly records: Records;
  readonly tokenizer: Tokenizer;
  /** Runs that were planned before: a plan is made once, so that no later release can plan the rest differently. */
  readonly kept: ReadonlyMap<string, PlannedRun>;
  readonly signal: AbortSignal;
}

async function planRepetition(
  planner: Planner,
  repetition: number,
  parts: PlanningParts,
): Promise<PlannedRun[]> {
  const { question } = planner;
  const runs: PlannedRun[] = [];
  for (const cell of cellsOf(question)) {
    await breathe(parts.signal);
    for (const setting of settingsOf(question)) {
      const at = { repetition, ...(setting === undefined ? {} : { setting }) };
      const name = runName(cell, at);
      const fixed = { name, kind: 'private', cell, ...at } as const;
      runs.push(parts.kept.get(name) ?? { ...fixed, ...planOf(planner, cell, at) });
    }
  }
  for (const setting of baselineSettingsOf(question)) {
    const at = { repetition, ...(setting === undefined ? {} : { setting }) };
    const name = baselineName(at);
    runs.push({ ...baseline, name, kind: 'no-privacy', ...at, recordsPerStep: question.batchSize });
  }
  return runs;
}

function nothingProved(): DpError {
  return new DpError(
    'INVALID_ARGUMENT',
    'Cannot study: of group-privacy with more than 1 record per user nothing is proved under truncated-poisson. Add --mechanism user-wise, or another --sampler.',
  );
}

/**
 * Plans every run: for each repetition the whole grid and the run without privacy, so that what is there after an
 * interruption covers the grid; first of all the starting model as it is. Where settings are chosen, all of them are
 * planned in each repetition; which are made after the first one is up to its results.
 *
 * @throws DpError `INVALID_DATA` where there are too few users; whatever calibration throws
 */
export async function planStudy(question: StudyQuestion, parts: PlanningParts): Promise<PlannedStudy> {
  const { records, tokenizer } = parts;
  const heldOut = heldOutRule(question, records.users.length);
  const population = populationOf(records, heldOut);
  const delta = question.delta ?? defaultDelta(population.users);
  const planner = { question, records, tokenizer, heldOut, delta, known: new Map(), counted: new Map() };
  const runs: PlannedRun[] = [{ ...baseline, name: 'no-fine-tuning', kind: 'no-fine-tuning', repetition: 1 }];
  for (let repetition = 1; repetition <= question.repetitions; repetition++)
    runs.push(...(await planRepetition(planner, repetition, parts)));
  if (runs.every(({ plan }) => plan === null)) throw nothingProved();
  return { runs, heldOut, delta, population, notes: [...new Set(runs.flatMap(({ notes }) => notes))] };
}
