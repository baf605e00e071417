import type { Command } from 'commander';
import {
  accountantChoices,
  sideOf,
  type AccountantChoice,
  type Bound,
  type Interval,
  type Neighbours,
} from '../../accounting/index.ts';
import { choice, count, delta, positive, probability, required } from '../arguments.ts';
import { downward, number, renderInterval, upward } from '../output.ts';
import { version } from '../version.ts';
import { samplings, shuffleOrders, type Mechanism } from './sampling-event.ts';

export const neighbourChoices: readonly Neighbours[] = ['add-or-remove', 'replace', 'zero-out'];

/** Options about whom to ask and how narrowly, as commander hands them over. */
export interface AskingOptions {
  readonly neighbours?: Neighbours;
  readonly accountant?: AccountantChoice;
  readonly gap?: number;
}

/** What every question to the accountants states. */
export interface Asking {
  readonly neighbours: Neighbours;
  readonly accountant: AccountantChoice;
  readonly relativeGap?: number;
}

/** Adds noise, sampling probability, steps and group size. */
export function addRunOptions(
  command: Command,
  needs: Readonly<Record<'noise' | 'sampling' | 'steps', string>>,
): Command {
  return command
    .optionsGroup('Mechanism:')
    .option(
      '--noise-multiplier <s>',
      `standard deviation of the noise divided by the clip norm, no unit, above 0 (${needs.noise})`,
      positive('--noise-multiplier'),
    )
    .option(
      '--sampling-probability <p>',
      `probability that a unit joins a step, in (0, 1] (${needs.sampling})`,
      probability('--sampling-probability'),
    )
    .option('--steps <n>', `noised steps, a whole number${needs.steps}`, count('--steps'))
    .option(
      '--group-size <k>',
      'records of one user, each sampled on its own; 1 where the user is sampled as a whole (default: 1)',
      count('--group-size'),
    );
}

/** Adds everything that says what happened to the data. */
export function addMechanismOptions(command: Command): Command {
  return addRunOptions(command, {
    noise: 'required without --event',
    sampling: 'required with --sampling poisson or truncated-poisson',
    steps: '; with balls-in-bins and shuffle those of one epoch (required without --event)',
  })
    .optionsGroup('Sampling:')
    .option(
      '--sampling <way>',
      `how a step gets its batch: ${samplings.join(', ')} (default: poisson)`,
      choice('--sampling', samplings),
    )
    .option(
      '--epochs <n>',
      'epochs of balls-in-bins or shuffle, a whole number (default: 1)',
      count('--epochs'),
    )
    .option(
      '--dataset-size <n>',
      'units in the table (required with fixed-size or truncated-poisson)',
      count('--dataset-size'),
    )
    .option('--batch-size <b>', 'units in every batch (required with fixed-size)', count('--batch-size'))
    .option(
      '--max-batch <b>',
      'most units of a batch (required with truncated-poisson)',
      count('--max-batch'),
    )
    .option(
      '--shuffle-order <when>',
      'reshuffled: anew for every epoch; persistent: once for all (default: reshuffled)',
      choice('--shuffle-order', shuffleOrders),
    )
    .option(
      '--event <file>',
      'any mechanism as JSON instead of the above; - reads standard input (default: none)',
    );
}

/** Option for the failure probability. */
export function addDeltaOption(command: Command): Command {
  return command
    .optionsGroup('Guarantee:')
    .option('--delta <d>', 'failure probability, strictly between 0 and 1 (required)', delta('--delta'));
}

/** Option for the neighbouring relation, which has no default because every number depends on it. */
export function addNeighboursOption(command: Command): Command {
  return command
    .optionsGroup('Guarantee:')
    .option(
      '--neighbours <relation>',
      `which tables count as neighbours: ${neighbourChoices.join(', ')} (required)`,
      choice('--neighbours', neighbourChoices),
    );
}

/** Option for the width of the answer. */
export function addGapOption(command: Command): Command {
  return command
    .optionsGroup('Accountant:')
    .option(
      '--gap <g>',
      'width wanted of the interval, relative to the answer, above 0; slower when smaller (default: 1e-4 or better)',
      positive('--gap'),
    );
}

/** Options for whom to ask and how narrowly. */
export function addAccountantOptions(command: Command): Command {
  return addGapOption(
    command
      .optionsGroup('Accountant:')
      .option(
        '--accountant <name>',
        `${accountantChoices.join(', ')}; of several the tighter bound of each side counts; gdp is an estimate and no part of all (default: all)`,
        choice('--accountant', accountantChoices),
      ),
  );
}

/** The relation asked about; commander's own check would hide its suggestions for misspelt options. */
export function neighboursOf({ neighbours }: AskingOptions, verb: string): Neighbours {
  return required(neighbours, { verb, name: '--neighbours', example: 'add-or-remove' });
}

/** Checks that everything is there that the accountants have to know. */
export function askingOf(options: AskingOptions, verb: string): Asking {
  const { accountant = 'all', gap } = options;
  return {
    neighbours: neighboursOf(options, verb),
    accountant,
    ...(gap === undefined ? {} : { relativeGap: gap }),
  };
}

/** The failure probability asked about. */
export function deltaOption(value: number | undefined, verb: string): number {
  return required(value, { verb, name: '--delta', example: '1e-6' });
}

/** `pld: interval [2.240, 2.244] (loss grid 1e-4)`, or on which side a bound is where it isn't on both. */
function renderBound(name: string, bound: Bound): string {
  const { lower = 0, upper, value, detail } = bound;
  const claims = {
    interval: `interval ${renderInterval({ lower, upper })}${value === undefined ? '' : `, value ${number(value, 10)}`}`,
    upper: `at most ${upward(upper)}`,
    lower: `at least ${downward(lower)}`,
    estimate: `estimate ${number(value ?? Infinity)}, not a bound`,
  };
  return `${name}: ${claims[sideOf(bound)]} (${detail})`;
}

/** One value for every answer that there is; no fact at all where there is none. */
export function boundFacts(title: string, bounds: Readonly<Record<string, Bound>>): Fact[] {
  const [first, ...others] = Object.entries(bounds).map(([name, bound]) => renderBound(name, bound));
  return first === undefined ? [] : [[title, first, ...others]];
}

/** What an answer as a whole says. */
export interface Claim {
  readonly name: 'epsilon' | 'delta';
  readonly interval: Interval;
  /** The other parameter, such as `delta 1e-6`. */
  readonly at: string;
  /** Everything that the interval was made of. */
  readonly bounds: readonly Bound[];
}

/** `epsilon in [2.240, 2.244] at delta 1e-6`; where nothing bounds it from above it says so. */
export function renderClaim({ name, interval, at, bounds }: Claim): string {
  const [first] = bounds;
  if (first?.value !== undefined && bounds.every(bound => sideOf(bound) === 'estimate'))
    return `${name} at ${at}: estimate ${number(first.value)}, not a bound`;
  if (sideOf({ ...interval, detail: '' }) === 'interval')
    return `${name} in ${renderInterval(interval)} at ${at}`;
  return `${name} at ${at}: at least ${downward(interval.lower)}; no upper bound is known`;
}

/** A line of a statement: its name and one or more values. */
export type Fact = readonly [string, ...string[]];

/** The relation, and how it scales the noise. */
export function neighboursFact(neighbours: Neighbours): Fact {
  if (neighbours !== 'replace') return ['Neighbours', neighbours];
  const scale = 'the noise multiplier is per clip norm, and the sensitivity is twice the clip norm';
  return ['Neighbours', `replace (${scale})`];
}

/** Whom the numbers protect from what: the lines that every statement about a mechanism has. */
export function mechanismFacts({ words }: Mechanism, neighbours: Neighbours): Fact[] {
  return [
    ['Unit', words.unit],
    neighboursFact(neighbours),
    ['Mechanism', words.mechanism],
    ['Sampling', words.sampling],
    ['Steps', words.steps],
  ];
}

/** The last line of every statement. */
export const computedBy: Fact = ['Computed by', `privacy-unit ${version}`];

/** Lines `Name    value` with aligned values; further values of one name are indented. */
export function renderFacts(facts: readonly Fact[]): string {
  const width = Math.max(...facts.map(([name]) => name.length)) + 2;
  return facts
    .map(([name, ...values]) => name.padEnd(width) + values.join(`\n${' '.repeat(width)}`))
    .join('\n');
}
