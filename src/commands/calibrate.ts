import type { Command } from 'commander';
import {
  calibrateBatchSize,
  calibrateNoise,
  calibrateSamplingProbability,
  calibrateSteps,
  type CalibratedRun,
  type Neighbours,
} from '../../accounting/index.ts';
import { choice, count, positive, required } from '../arguments.ts';
import { createCommand, type CommonOptions, type Deliver } from '../command.ts';
import { downward, renderInterval, upward, type Answer } from '../output.ts';
import {
  addDeltaOption,
  addNeighboursOption,
  addRunOptions,
  deltaOption,
  neighboursFact,
  neighboursOf,
  renderFacts,
  type AskingOptions,
  type Fact,
} from './guarantee-options.ts';
import { needed, refuseUnused, type RunNumbers } from './sampling-event.ts';

const verb = 'calibrate';
const solvable = ['noise-multiplier', 'steps', 'sampling-probability', 'batch-size'] as const;

interface CalibrateOptions extends RunNumbers, Pick<AskingOptions, 'neighbours'>, CommonOptions {
  readonly epsilon?: number;
  readonly delta?: number;
  readonly solve?: (typeof solvable)[number];
}

interface Target {
  readonly epsilon: number;
  readonly delta: number;
  readonly neighbours: Neighbours;
  readonly groupSize: number;
}

type Need = (key: keyof RunNumbers) => number;

/** What was found, and in words: the number itself, then the numbers that it goes with. */
interface Solved extends CalibratedRun {
  readonly shown: string;
  readonly given: readonly Fact[];
}

interface Solver {
  readonly title: string;
  readonly uses: readonly (keyof RunNumbers)[];
  readonly solve: (target: Target, need: Need) => Solved;
}

function solveNoise(target: Target, need: Need): Solved {
  const run = { samplingProbability: need('samplingProbability'), steps: need('steps') };
  const { noiseMultiplier: value, epsilon } = calibrateNoise({ ...target, ...run });
  const sampling = `Poisson with probability ${run.samplingProbability} a step, ${run.steps} steps`;
  return { value, epsilon, shown: upward(value, 6), given: [['Sampling', sampling]] };
}

function solveSteps(target: Target, need: Need): Solved {
  const run = {
    noiseMultiplier: need('noiseMultiplier'),
    samplingProbability: need('samplingProbability'),
  };
  const found = calibrateSteps({ ...target, ...run });
  const sampling = `Poisson with probability ${run.samplingProbability} a step`;
  return { ...found, shown: String(found.value), given: [noiseFact(run), ['Sampling', sampling]] };
}

function solveProbability(target: Target, need: Need): Solved {
  const run = { noiseMultiplier: need('noiseMultiplier'), steps: need('steps') };
  const found = calibrateSamplingProbability({ ...target, ...run });
  const sampling = `Poisson, ${run.steps} steps`;
  return { ...found, shown: downward(found.value, 6), given: [noiseFact(run), ['Sampling', sampling]] };
}

function solveBatch(target: Target, need: Need): Solved {
  const run = {
    noiseMultiplier: need('noiseMultiplier'),
    steps: need('steps'),
    datasetSize: need('datasetSize'),
  };
  const found = calibrateBatchSize({ ...target, ...run });
  const sampling = `Poisson with probability ${found.value}/${run.datasetSize} a step, ${run.steps} steps`;
  const shown = `${found.value} of ${run.datasetSize}, expected`;
  return { ...found, shown, given: [noiseFact(run), ['Sampling', sampling]] };
}

function noiseFact({ noiseMultiplier }: { noiseMultiplier: number }): Fact {
  return ['Noise', `noise multiplier ${noiseMultiplier}`];
}

const solvers: Readonly<Record<(typeof solvable)[number], Solver>> = {
  'noise-multiplier': {
    title: 'Noise multiplier',
    uses: ['samplingProbability', 'steps'],
    solve: solveNoise,
  },
  steps: { title: 'Steps', uses: ['noiseMultiplier', 'samplingProbability'], solve: solveSteps },
  'sampling-probability': {
    title: 'Sampling probability',
    uses: ['noiseMultiplier', 'steps'],
    solve: solveProbability,
  },
  'batch-size': {
    title: 'Batch size',
    uses: ['noiseMultiplier', 'steps', 'datasetSize'],
    solve: solveBatch,
  },
};

function targetOf(options: CalibrateOptions): Target {
  return {
    epsilon: required(options.epsilon, { verb, name: '--epsilon', example: '8' }),
    delta: deltaOption(options.delta, verb),
    neighbours: neighboursOf(options, verb),
    groupSize: options.groupSize ?? 1,
  };
}

function calibrate(options: CalibrateOptions): Answer {
  const { solve: solved = 'noise-multiplier' } = options;
  const { title, uses, solve } = solvers[solved];
  refuseUnused(options, { verb, uses: [...uses, 'groupSize'], chosen: `--solve ${solved}` });
  const target = targetOf(options);
  const { value, epsilon, shown, given } = solve(target, key => needed(options, { verb, key }));
  const { delta, neighbours, groupSize } = target;
  const text = renderFacts([
    [title, shown],
    ['Guarantee', `epsilon in ${renderInterval(epsilon)} at delta ${delta}, target ${target.epsilon}`],
    neighboursFact(neighbours),
    ...given,
    ['Group size', String(groupSize)],
  ]);
  const noise = solved === 'noise-multiplier' ? { noiseMultiplier: value } : {};
  return { text, json: { solved, value, ...noise, epsilon, delta, target: target.epsilon, groupSize } };
}

/** `privacy-unit calibrate`: the one number that is missing for a target. */
export function calibrateCommand(deliver: Deliver): Command {
  const command = createCommand('calibrate', {
    summary: 'noise multiplier, steps or sampling for a target epsilon',
    description:
      'Finds the least noise multiplier, or the most steps, the largest sampling probability or expected batch, whose certified epsilon does not exceed the target, for Poisson sampling.',
    examples: [
      'calibrate --epsilon 8 --delta 1e-5 --sampling-probability 0.02 --steps 500 --neighbours add-or-remove',
      'calibrate --solve steps --epsilon 3 --delta 1e-6 --noise-multiplier 1 --sampling-probability 0.01 --neighbours add-or-remove --json',
    ],
  });
  addRunOptions(command, {
    noise: 'required unless solved for',
    sampling: 'required with --solve noise-multiplier or steps',
    steps: ' (required unless solved for)',
  })
    .option(
      '--dataset-size <n>',
      'units in the table (required with --solve batch-size)',
      count('--dataset-size'),
    )
    .optionsGroup('Guarantee:')
    .option('--epsilon <e>', 'target of the upper bound, in nats, above 0 (required)', positive('--epsilon'))
    .option(
      '--solve <name>',
      `what to find: ${solvable.join(', ')} (default: noise-multiplier)`,
      choice('--solve', solvable),
    );
  addNeighboursOption(addDeltaOption(command));
  return command.action((options: CalibrateOptions) => deliver(options, () => calibrate(options)));
}
