import type { AdaptiveClippingQuestion } from '../../accounting/plan-entry.ts';
import type { Mechanism, SelectionRule, SelectionStrategy } from '../../accounting/index.ts';
import type { EngineOption } from '../engines.ts';
import type { ModelOptions, StartOptions } from '../models.ts';
import type { TableOptions } from '../table.ts';

/** What a study is asked to compare. */
export interface StudyQuestion {
  /** Path of the table; the built-in corpus where left out. */
  readonly table: string | undefined;
  readonly columns: TableOptions;
  readonly mechanisms: readonly Mechanism[];
  readonly epsilons: readonly number[];
  readonly recordsPerUser: readonly number[];
  readonly strategies: readonly SelectionStrategy[];
  /** Runs of every cell, each with a selection, adapters, samples and noise of its own. */
  readonly repetitions: number;
  /** Public text from which selections, adapters and the choice of held-out users follow. */
  readonly seed: string;
  readonly draw: SelectionRule['when'];
  readonly chunkTokens: number | null;
  /** Expected record gradients a step, the same for every run. */
  readonly batchSize: number;
  readonly steps: number;
  readonly clipNorm: number;
  /** Lets the clip of every private run adapt; fixed where left out. */
  readonly adaptiveClip: AdaptiveClippingQuestion | undefined;
  readonly delta: number | undefined;
  /** Share of users kept for evaluation. */
  readonly heldOut: number | undefined;
  readonly evaluationRecords: number;
  readonly learningRate: number | undefined;
  /** Null trains every parameter. */
  readonly loraRank: number | null;
  /** Folder of the starting model; a small one is made from built-in public text where left out. */
  readonly model: string | undefined;
  /** What that folder does not say of itself. */
  readonly start: StartOptions;
  readonly engine: EngineOption;
  readonly newModel: ModelOptions;
  /** Steps of making the small one. */
  readonly pretrainingSteps: number;
  readonly keepModels: boolean;
  /** Takes the lock of a run that can't be asked whether it is over; no part of what the study asks. */
  readonly breakLock?: boolean | undefined;
}

/** One point of the grid; its runs differ in their repetition alone. */
export interface Cell {
  readonly mechanism: Mechanism;
  /** Target of the upper bound. */
  readonly epsilon: number;
  readonly recordsPerUser: number;
  readonly strategy: SelectionStrategy;
}

/** What a run is compared with: a private cell, or one of the two baselines. */
export type RunKind = 'no-fine-tuning' | 'private' | 'no-privacy';

/** Name of a private run, and of its files. */
export function runName({ mechanism, epsilon, recordsPerUser, strategy }: Cell, repetition: number): string {
  return `${mechanism}-epsilon${epsilon}-k${recordsPerUser}-${strategy}-run${repetition}`;
}

/** Public seed of a repetition's selection and adapters. */
export function seedOf({ seed }: Pick<StudyQuestion, 'seed'>, repetition: number): string {
  return `${seed}/${repetition}`;
}

/** All cells of the grid, in the order in which reports list them. */
export function cellsOf(question: StudyQuestion): Cell[] {
  const { strategies, epsilons, recordsPerUser, mechanisms } = question;
  return strategies.flatMap(strategy =>
    epsilons.flatMap(epsilon =>
      recordsPerUser.flatMap(k =>
        mechanisms.map(mechanism => ({ mechanism, epsilon, recordsPerUser: k, strategy })),
      ),
    ),
  );
}

/** `once`, or `per-draw` where that was asked for and the cell has chance in its selection and samples users. */
export function drawOf({ draw }: Pick<StudyQuestion, 'draw'>, cell: Cell): SelectionRule['when'] {
  const canDraw = cell.mechanism === 'user-wise' && cell.strategy.startsWith('random');
  return canDraw ? draw : 'once';
}
