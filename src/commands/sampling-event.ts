import { readFileSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import { DpError } from '../../accounting/check.ts';
import {
  flattenEvent,
  gaussianEvent,
  parseEvent,
  poissonGroupEvent,
  repeat,
  type DpEvent,
  type PoissonOptions,
} from '../../accounting/index.ts';
import { required } from '../arguments.ts';

/** Ways in which a step gets its batch. */
export const samplings = [
  'poisson',
  'fixed-size',
  'truncated-poisson',
  'balls-in-bins',
  'shuffle',
  'none',
] as const;

/** When a table is shuffled. */
export const shuffleOrders = ['persistent', 'reshuffled'] as const;

type Sampling = (typeof samplings)[number];

/** Numbers of a mechanism, as commander hands them over. */
export interface RunNumbers {
  readonly noiseMultiplier?: number;
  readonly samplingProbability?: number;
  readonly steps?: number;
  readonly epochs?: number;
  readonly datasetSize?: number;
  readonly batchSize?: number;
  readonly maxBatch?: number;
  readonly groupSize?: number;
}

/** Everything that says what happened to the data. */
export interface MechanismOptions extends RunNumbers {
  readonly sampling?: Sampling;
  readonly shuffleOrder?: (typeof shuffleOrders)[number];
  readonly event?: string;
}

/** What happened, for the accountants and in words. */
export interface Mechanism {
  readonly event: DpEvent;
  /** Where a user has several records: what the conversions from one record to a group need. */
  readonly group?: PoissonOptions & { readonly groupSize: number };
  readonly words: {
    readonly unit: string;
    readonly mechanism: string;
    readonly sampling: string;
    readonly steps: string;
  };
}

type Key = Exclude<keyof MechanismOptions, 'event'>;
type NumberKey = keyof RunNumbers;

/** Spelling and an example of every option. */
const flags: Readonly<Record<Key, readonly [flag: string, example: string]>> = {
  sampling: ['--sampling', 'poisson'],
  noiseMultiplier: ['--noise-multiplier', '1.1'],
  samplingProbability: ['--sampling-probability', '0.01'],
  steps: ['--steps', '1000'],
  epochs: ['--epochs', '20'],
  datasetSize: ['--dataset-size', '60000'],
  batchSize: ['--batch-size', '256'],
  maxBatch: ['--max-batch', '300'],
  groupSize: ['--group-size', '4'],
  shuffleOrder: ['--shuffle-order', 'reshuffled'],
};

// oxlint-disable-next-line no-unsafe-type-assertion -- the keys of our own object
const keys = Object.keys(flags) as Key[];

/** The number of an option without which the command can't run. */
export function needed(options: RunNumbers, { verb, key }: { verb: string; key: NumberKey }): number {
  const [name, example] = flags[key];
  return required(options[key], { verb, name, example });
}

/** Refuses options that would change nothing: whoever gave them means something else. */
export function refuseUnused(
  options: MechanismOptions,
  question: { verb: string; uses: readonly Key[]; chosen: string; remedy?: (key: Key) => string },
): void {
  const { verb, uses, chosen, remedy } = question;
  const stray = keys.find(key => options[key] !== undefined && !uses.includes(key));
  if (stray === undefined) return;
  const reason = `${flags[stray][0]} is not used with ${chosen}`;
  throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${reason}. Leave it out${remedy?.(stray) ?? ''}.`);
}

type Need = (key: NumberKey) => number;

interface Recipe {
  readonly uses: readonly Key[];
  readonly make: (options: MechanismOptions, need: Need) => Mechanism;
}

const sampledUnit = 'one unit of sampling (a user where users are sampled, a record where records are)';
const asGiven = 'as given, not observed';

function gaussianWords(noiseMultiplier: number): string {
  return `sums of clipped values with Gaussian noise, noise multiplier ${noiseMultiplier}`;
}

function stepWords(steps: number): string {
  return `${steps}, all of them released`;
}

function epochWords(stepsPerEpoch: number, epochs: number): string {
  return `${stepsPerEpoch} an epoch in ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}, all of them released`;
}

function poisson(options: MechanismOptions, need: Need): Mechanism {
  const run = {
    noiseMultiplier: need('noiseMultiplier'),
    samplingProbability: need('samplingProbability'),
    steps: need('steps'),
    groupSize: options.groupSize ?? 1,
  };
  const isGroup = run.groupSize > 1;
  return {
    event: poissonGroupEvent(run),
    ...(isGroup ? { group: run } : {}),
    words: {
      unit: isGroup ? `a group of up to ${run.groupSize} records, each sampled on its own` : sampledUnit,
      mechanism: gaussianWords(run.noiseMultiplier),
      sampling: `Poisson with probability ${run.samplingProbability} a step, ${asGiven}`,
      steps: stepWords(run.steps),
    },
  };
}

function unsampled(_: MechanismOptions, need: Need): Mechanism {
  const [noiseMultiplier, steps] = [need('noiseMultiplier'), need('steps')];
  return {
    event: repeat(gaussianEvent(noiseMultiplier), steps),
    words: {
      unit: 'one unit of clipping (a user where users are clipped, a record where records are)',
      mechanism: gaussianWords(noiseMultiplier),
      sampling: 'none, everybody takes part in every step',
      steps: stepWords(steps),
    },
  };
}

function fixedSize(options: MechanismOptions, need: Need): Mechanism {
  const step = {
    kind: 'fixed-size-gaussian' as const,
    noiseMultiplier: need('noiseMultiplier'),
    datasetSize: need('datasetSize'),
    batchSize: need('batchSize'),
    groupSize: options.groupSize ?? 1,
  };
  const steps = need('steps');
  return {
    event: repeat(parseEvent(step), steps),
    words: {
      unit: step.groupSize > 1 ? `a group of up to ${step.groupSize} of the table's records` : sampledUnit,
      mechanism: gaussianWords(step.noiseMultiplier),
      sampling: `batches of exactly ${step.batchSize} of ${step.datasetSize}, drawn without replacement, ${asGiven}`,
      steps: stepWords(steps),
    },
  };
}

function truncatedPoisson(_: MechanismOptions, need: Need): Mechanism {
  const step = {
    kind: 'truncated-poisson-gaussian' as const,
    noiseMultiplier: need('noiseMultiplier'),
    samplingProbability: need('samplingProbability'),
    datasetSize: need('datasetSize'),
    maximumBatchSize: need('maxBatch'),
  };
  const { samplingProbability, datasetSize, maximumBatchSize } = step;
  const steps = need('steps');
  return {
    event: repeat(parseEvent(step), steps),
    words: {
      unit: sampledUnit,
      mechanism: gaussianWords(step.noiseMultiplier),
      sampling: `Poisson with probability ${samplingProbability} a step of ${datasetSize}, of which at most ${maximumBatchSize} are used, ${asGiven}`,
      steps: stepWords(steps),
    },
  };
}

function ballsInBins({ epochs = 1 }: MechanismOptions, need: Need): Mechanism {
  const [noiseMultiplier, stepsPerEpoch] = [need('noiseMultiplier'), need('steps')];
  return {
    event: repeat({ kind: 'balls-in-bins-gaussian', noiseMultiplier, stepsPerEpoch }, epochs),
    words: {
      unit: sampledUnit,
      mechanism: gaussianWords(noiseMultiplier),
      sampling: `balls in bins, everybody in one step of each epoch, chosen at random for itself, ${asGiven}`,
      steps: epochWords(stepsPerEpoch, epochs),
    },
  };
}

function shuffle(options: MechanismOptions, need: Need): Mechanism {
  const { epochs = 1, shuffleOrder: order = 'reshuffled' } = options;
  const [noiseMultiplier, stepsPerEpoch] = [need('noiseMultiplier'), need('steps')];
  const when = order === 'persistent' ? 'shuffled once for all epochs' : 'shuffled anew for every epoch';
  return {
    event: { kind: 'shuffled-gaussian', noiseMultiplier, stepsPerEpoch, epochs, order },
    words: {
      unit: sampledUnit,
      mechanism: gaussianWords(noiseMultiplier),
      sampling: `batches of a table that is ${when}, ${asGiven}`,
      steps: epochWords(stepsPerEpoch, epochs),
    },
  };
}

const common = ['noiseMultiplier', 'steps', 'sampling'] as const;

const recipes: Readonly<Record<Sampling, Recipe>> = {
  poisson: { uses: [...common, 'samplingProbability', 'groupSize'], make: poisson },
  'fixed-size': { uses: [...common, 'datasetSize', 'batchSize', 'groupSize'], make: fixedSize },
  'truncated-poisson': {
    uses: [...common, 'samplingProbability', 'datasetSize', 'maxBatch'],
    make: truncatedPoisson,
  },
  'balls-in-bins': { uses: [...common, 'epochs'], make: ballsInBins },
  shuffle: { uses: [...common, 'epochs', 'shuffleOrder'], make: shuffle },
  none: { uses: common, make: unsampled },
};

/** What the options of a command say happened; reads the file of `--event`. */
export async function mechanismOf(options: MechanismOptions, verb: string): Promise<Mechanism> {
  if (options.event !== undefined) {
    refuseUnused(options, { verb, uses: [], chosen: '--event, which says everything that happened' });
    return mechanismOfEvent(await readEvent(options.event), options.event);
  }
  const sampling = options.sampling ?? 'poisson';
  const { uses, make } = recipes[sampling];
  const remedy = (key: Key): string => {
    const others = samplings.filter(name => recipes[name].uses.includes(key));
    return `, or give --sampling ${others.join(' or ')}`;
  };
  refuseUnused(options, { verb, uses, chosen: `--sampling ${sampling}`, remedy });
  return make(options, key => needed(options, { verb, key }));
}

function mechanismOfEvent(event: DpEvent, source: string): Mechanism {
  const parts = flattenEvent(event).map(part => `${part.count} x ${part.event.kind}`);
  return {
    event,
    words: {
      unit: 'one unit of protection of the event',
      mechanism: `as given in ${source === '-' ? 'standard input' : source}: ${parts.join(', ')}`,
      sampling: 'as the event says, not observed',
      steps: 'as the event says, all of them released',
    },
  };
}

async function readEvent(path: string): Promise<DpEvent> {
  const text = await readText(path);
  try {
    return parseEvent(JSON.parse(text));
  } catch (cause) {
    if (cause instanceof DpError) throw cause;
    const reason = cause instanceof SyntaxError ? 'is not JSON' : 'nests too many events in each other';
    const source = path === '-' ? 'standard input' : path;
    throw new DpError('INVALID_DATA', `Cannot read the event: ${source} ${reason}. Mend it.`, { cause });
  }
}

async function readText(path: string): Promise<string> {
  if (path === '-') return readAll(process.stdin);
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new DpError(
      'MISSING_FILE',
      `Cannot read the event: ${path} cannot be read${reason}. Check the name.`,
      {
        cause,
      },
    );
  }
}
