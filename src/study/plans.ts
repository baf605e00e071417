import { compareMechanisms, parsePlan, type Plan, type PlanOption } from '../../accounting/plan-entry.ts';
import { DpError } from '../../accounting/check.ts';
import type { Records } from '../../selection/index.ts';
import type { Tokenizer } from '../../trainer/index.ts';
import { breathe } from '../files.ts';
import { heldOutShare } from '../demo/settings.ts';
import { defaultDelta } from '../planning.ts';
import { trainingContributions, type HeldOutRule } from '../table.ts';
import { plannedContributions } from '../training-data.ts';
import { cellsOf, drawOf, runName, seedOf, type Cell, type RunKind, type StudyQuestion } from './question.ts';

/** One run of the study with everything that it needs to know. */
export interface PlannedRun {
  readonly name: string;
  readonly kind: RunKind;
  readonly repetition: number;
  /** Null for a baseline. */
  readonly cell: Cell | null;
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
  readonly population: { readonly users: number; readonly records: number; readonly heldOutUsers: number };
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
  repetition: number,
): Pick<PlannedRun, 'plan' | 'breakEvenClipRatio' | 'recordsPerStep' | 'notes'> {
  const { question, heldOut, delta, known } = planner;
  const { batchSize, steps, clipNorm, adaptiveClip } = question;
  const { epsilon, recordsPerUser } = cell;
  const rule = selectionOf(planner, cell, repetition);
  const contributions = contributionsOf(planner, rule);
  const when = drawOf(question, { ...cell, mechanism: 'user-wise' });
  const key = JSON.stringify([epsilon, recordsPerUser, when, contributions]);
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
      neighbours: 'add-or-remove',
      selection: { ...rule, when },
      heldOut,
    });
  known.set(key, options);
  const { plan, breakEvenClipRatio, notes } = options.find(({ mechanism }) => mechanism === cell.mechanism)!;
  const drawn = contributions.reduce((sum, count) => sum + Math.min(count, recordsPerUser), 0);
  return {
    plan: parsePlan({ ...plan, selection: { ...plan.selection, ...rule } }),
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
    const name = runName(cell, repetition);
    const fixed = { name, kind: 'private', repetition, cell } as const;
    runs.push(parts.kept.get(name) ?? { ...fixed, ...planOf(planner, cell, repetition) });
  }
  const name = `no-privacy-run${repetition}`;
  runs.push({ ...baseline, name, kind: 'no-privacy', repetition, recordsPerStep: question.batchSize });
  return runs;
}

/**
 * Plans every run: for each repetition the whole grid and the run without privacy, so that what is there after an
 * interruption covers the grid; first of all the starting model as it is.
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
  return { runs, heldOut, delta, population, notes: [...new Set(runs.flatMap(({ notes }) => notes))] };
}
