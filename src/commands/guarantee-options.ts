import type { Command } from 'commander';
import type { Bound } from '../../accounting/accountant.ts';
import type { Neighbours } from '../../accounting/event.ts';
import { choice, count, delta, positive, probability, required } from '../arguments.ts';
import { number, upward } from '../output.ts';

export const neighbourChoices: readonly Neighbours[] = ['add-or-remove', 'replace', 'zero-out'];

/** The options that `epsilon` and `calibrate` share, as commander hands them over. */
export interface SamplingOptions {
  readonly samplingProbability?: number;
  readonly steps?: number;
  readonly delta?: number;
  readonly neighbours?: Neighbours;
  readonly groupSize?: number;
}

/** The same with nothing missing. */
export interface Sampling {
  readonly samplingProbability: number;
  readonly steps: number;
  readonly delta: number;
  readonly neighbours: Neighbours;
}

/** Adds sampling probability, steps, delta, neighbours and group size to a command. */
export function addSamplingOptions(command: Command): Command {
  return command
    .optionsGroup('Sampling:')
    .option(
      '--sampling-probability <p>',
      'probability that a unit joins a step, in (0, 1] (required)',
      probability('--sampling-probability'),
    )
    .option('--steps <n>', 'noised steps, a whole number (required)', count('--steps'))
    .option(
      '--group-size <k>',
      'records of one user, each sampled on its own; 1 where the user is sampled as a whole (default: 1)',
      count('--group-size'),
    )
    .optionsGroup('Guarantee:')
    .option('--delta <d>', 'failure probability, strictly between 0 and 1 (required)', delta('--delta'))
    .option(
      '--neighbours <relation>',
      `which tables count as neighbours: ${neighbourChoices.join(', ')} (required)`,
      choice('--neighbours', neighbourChoices),
    );
}

/** Checks that everything is there; commander's own check would hide its suggestions for misspelt options. */
export function samplingOf(options: SamplingOptions, verb: string): Sampling {
  return {
    samplingProbability: required(options.samplingProbability, {
      verb,
      name: '--sampling-probability',
      example: '0.01',
    }),
    steps: required(options.steps, { verb, name: '--steps', example: '1000' }),
    delta: required(options.delta, { verb, name: '--delta', example: '1e-6' }),
    neighbours: required(options.neighbours, { verb, name: '--neighbours', example: 'add-or-remove' }),
  };
}

/** Option for the noise multiplier, in units of the sensitivity. */
export function addNoiseOption(command: Command): Command {
  return command
    .optionsGroup('Sampling:')
    .option(
      '--noise-multiplier <s>',
      'standard deviation of the noise divided by the clip norm, no unit (required)',
      positive('--noise-multiplier'),
    );
}

/** `pld: at most 2.244, at least 2.240 (grid 1e-4)`. */
export function renderBound(name: string, bound: Bound): string {
  const least = bound.lower === undefined ? '' : `, at least ${number(bound.lower)}`;
  return `${name}: at most ${upward(bound.upper)}${least} (${bound.detail})`;
}

/** Lines `Name    value` with aligned values; further values of one name are indented. */
export function renderFacts(facts: readonly (readonly [string, ...string[]])[]): string {
  const width = Math.max(...facts.map(([name]) => name.length)) + 2;
  return facts
    .map(([name, ...values]) => name.padEnd(width) + values.join(`\n${' '.repeat(width)}`))
    .join('\n');
}
