import type { AdaptiveClippingQuestion } from '../../accounting/plan-entry.ts';
import type {
  Mechanism,
  SamplerKind,
  SelectionRule,
  SelectionStrategy,
} from '../../accounting/plan-entry.ts';
import type { EngineOption } from '../engines.ts';
import type { ModelOptions, StartOptions } from '../models.ts';
import type { TableOptions } from '../table.ts';

/** Samplers that a study can calibrate to an epsilon: of shuffled sampling no upper bound is proved. */
export type StudySampler = Exclude<SamplerKind, 'shuffled'>;

/** All of them, in the order in which they are listed. */
export const studySamplers: readonly StudySampler[] = ['poisson', 'truncated-poisson', 'balls-in-bins'];

/** What a study is asked to compare. */
export interface StudyQuestion {
  /** Path of the table; the built-in corpus where left out. */
  readonly table: string | undefined;
  readonly columns: TableOptions;
  readonly mechanisms: readonly Mechanism[];
  readonly epsilons: readonly number[];
  readonly recordsPerUser: readonly number[];
  readonly strategies: readonly SelectionStrategy[];
  readonly samplers: readonly StudySampler[];
  /** Most record gradients of a step under truncated Poisson sampling. */
  readonly batchLimit: number | undefined;
  /** Runs of every cell, each with a selection, adapters, samples and noise of its own. */
  readonly repetitions: number;
  /** Public text from which selections, adapters and the choice of held-out users follow. */
  readonly seed: string;
  readonly draw: SelectionRule['when'];
  readonly chunkTokens: number | null;
  /** Expected record gradients a step, the same for every run. */
  readonly batchSize: number;
  readonly steps: number;
  /** Clips to try in every private cell; one alone is no choice. */
  readonly clipNorms: readonly number[];
  /** Lets the clip of every private run adapt; fixed where left out. */
  readonly adaptiveClip: AdaptiveClippingQuestion | undefined;
  readonly delta: number | undefined;
  /** Share of users kept for evaluation. */
  readonly heldOut: number | undefined;
  readonly evaluationRecords: number;
  /** Learning rates to try in every cell and without privacy; the default where there are none. */
  readonly learningRates: readonly number[];
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
  /** Absent for Poisson sampling. */
  readonly sampler?: Exclude<StudySampler, 'poisson'> | undefined;
}

/** One of the settings that are tried in a cell. */
export interface Setting {
  /** Null for the default. */
  readonly learningRate: number | null;
  /** Null without privacy, where nothing is clipped. */
  readonly clipNorm: number | null;
}

/** What a run is compared with: a private cell, or one of the two baselines. */
export type RunKind = 'no-fine-tuning' | 'private' | 'no-privacy';

/** Name of a private run, and of its files; the setting is part of it where there is a choice. */
export function runName(
  cell: Cell,
  { repetition, setting }: { repetition: number; setting?: Setting | undefined },
): string {
  const { mechanism, epsilon, recordsPerUser, strategy, sampler } = cell;
  const sampled = sampler === undefined ? '' : `-${sampler}`;
  return `${mechanism}-epsilon${epsilon}-k${recordsPerUser}-${strategy}${sampled}${settingSuffix(setting)}-run${repetition}`;
}

/** Name of a run without privacy. */
export function baselineName({
  repetition,
  setting,
}: {
  repetition: number;
  setting?: Setting | undefined;
}): string {
  return `no-privacy${settingSuffix(setting)}-run${repetition}`;
}

function settingSuffix(setting: Setting | undefined): string {
  const { learningRate, clipNorm } = setting ?? { learningRate: null, clipNorm: null };
  return `${learningRate === null ? '' : `-rate${learningRate}`}${clipNorm === null ? '' : `-clip${clipNorm}`}`;
}

/** How a cell's records are selected and sampled, in a word or two. */
export function selectedAndSampled({ strategy, sampler }: Pick<Cell, 'strategy' | 'sampler'>): string {
  return sampler === undefined ? strategy : `${strategy}, ${sampler}`;
}

type Choices = Pick<StudyQuestion, 'learningRates' | 'clipNorms'>;

function ratesOf({ learningRates }: Choices): (number | null)[] {
  return learningRates.length === 0 ? [null] : [...learningRates];
}

/** The settings to choose from in a private cell; a single `undefined` where nothing is to be chosen. */
export function settingsOf(question: Choices): (Setting | undefined)[] {
  const settings = ratesOf(question).flatMap(learningRate =>
    question.clipNorms.map(clipNorm => ({ learningRate, clipNorm })),
  );
  return settings.length > 1 ? settings : [undefined];
}

/** The settings to choose from without privacy. */
export function baselineSettingsOf(question: Choices): (Setting | undefined)[] {
  const rates = ratesOf(question);
  return rates.length > 1 ? rates.map(learningRate => ({ learningRate, clipNorm: null })) : [undefined];
}

/** Public seed of a repetition's selection and adapters. */
export function seedOf({ seed }: Pick<StudyQuestion, 'seed'>, repetition: number): string {
  return `${seed}/${repetition}`;
}

/** All cells of the grid, in the order in which reports list them. */
export function cellsOf(question: StudyQuestion): Cell[] {
  const { samplers, strategies, epsilons, recordsPerUser, mechanisms } = question;
  return samplers.flatMap(sampler =>
    strategies.flatMap(strategy =>
      epsilons.flatMap(epsilon =>
        recordsPerUser.flatMap(k =>
          mechanisms
            .filter(mechanism => isProved({ mechanism, sampler, k }))
            .map(mechanism => ({
              mechanism,
              epsilon,
              recordsPerUser: k,
              strategy,
              ...(sampler === 'poisson' ? {} : { sampler }),
            })),
        ),
      ),
    ),
  );
}

/** Of groups under truncated Poisson sampling nothing is proved. */
function isProved({
  mechanism,
  sampler,
  k,
}: {
  mechanism: Mechanism;
  sampler: StudySampler;
  k: number;
}): boolean {
  return mechanism === 'user-wise' || sampler !== 'truncated-poisson' || k === 1;
}

/** `once`, or `per-draw` where that was asked for and the cell has chance in its selection and samples users. */
export function drawOf({ draw }: Pick<StudyQuestion, 'draw'>, cell: Cell): SelectionRule['when'] {
  const canDraw = cell.mechanism === 'user-wise' && cell.strategy.startsWith('random');
  return canDraw ? draw : 'once';
}
