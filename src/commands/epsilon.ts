import type { Command } from 'commander';
import { epsilonOf, groupEpsilon, poissonEvent, type Bound, type Interval } from '../../accounting/index.ts';
import { choice, required } from '../arguments.ts';
import { createCommand, type CommonOptions, type Deliver } from '../command.ts';
import { renderInterval, type Answer } from '../output.ts';
import { version } from '../version.ts';
import {
  addNoiseOption,
  addSamplingOptions,
  renderBound,
  renderFacts,
  samplingOf,
  type Sampling,
  type SamplingOptions,
} from './guarantee-options.ts';

const verb = 'compute epsilon';
const accountants = ['rdp', 'pld', 'all'] as const;

interface EpsilonOptions extends SamplingOptions, CommonOptions {
  readonly noiseMultiplier?: number;
  readonly accountant?: (typeof accountants)[number];
}

interface Question extends Sampling {
  readonly noiseMultiplier: number;
  readonly groupSize: number;
  readonly accountant: (typeof accountants)[number];
}

interface Finding {
  readonly epsilon: Interval;
  readonly byAccountant: Readonly<Record<string, Bound | undefined>>;
  readonly byConversion?: Readonly<Record<string, Bound | undefined>>;
}

function find(question: Question): Finding {
  if (question.groupSize > 1) return groupEpsilon(question);
  return epsilonOf(poissonEvent(question), question);
}

function boundLines(bounds: Readonly<Record<string, Bound | undefined>>): string[] {
  return Object.entries(bounds).flatMap(([name, bound]) =>
    bound === undefined ? [] : [renderBound(name, bound)],
  );
}

function statement(question: Question, finding: Finding): string {
  const { groupSize } = question;
  const unit =
    groupSize === 1
      ? 'one unit of sampling (a user where users are sampled, a record where records are)'
      : `a group of up to ${groupSize} records, each sampled on its own`;
  const conversions = boundLines(finding.byConversion ?? {});
  return renderFacts([
    ['Guarantee', `epsilon in ${renderInterval(finding.epsilon)} at delta ${question.delta}`],
    ['Unit', unit],
    ['Neighbours', question.neighbours],
    ['Mechanism', `sums of clipped values with Gaussian noise, noise multiplier ${question.noiseMultiplier}`],
    ['Sampling', `Poisson with probability ${question.samplingProbability} a step, as given, not observed`],
    ['Steps', `${question.steps}, all of them released`],
    ['Accountant', ...boundLines(finding.byAccountant)],
    ...(conversions.length > 0 ? [['Conversion', ...conversions] as [string, ...string[]]] : []),
    ['Computed by', `privacy-unit ${version}`],
  ]);
}

function epsilon(options: EpsilonOptions): Answer {
  const question: Question = {
    noiseMultiplier: required(options.noiseMultiplier, { verb, name: '--noise-multiplier', example: '1.1' }),
    ...samplingOf(options, verb),
    groupSize: options.groupSize ?? 1,
    accountant: options.accountant ?? 'all',
  };
  const finding = find(question);
  const text = statement(question, finding);
  return { text, json: { delta: question.delta, ...finding, statement: text } };
}

/** `privacy-unit epsilon`: what a given noise buys. */
export function epsilonCommand(deliver: Deliver): Command {
  const command = createCommand('epsilon', {
    summary: 'epsilon of a given noise, sampling and number of steps',
    description:
      'Computes epsilon with certified bounds on both sides for a Poisson-subsampled Gaussian mechanism.',
    examples: [
      'epsilon --noise-multiplier 1.1 --sampling-probability 0.01 --steps 1000 --delta 1e-6 --neighbours add-or-remove',
      'epsilon --noise-multiplier 2 --sampling-probability 0.01 --steps 500 --group-size 10 --delta 1e-5 --neighbours add-or-remove --json',
    ],
  });
  addSamplingOptions(addNoiseOption(command)).option(
    '--accountant <name>',
    'rdp, pld or all; the tighter bound of each side counts (default: all)',
    choice('--accountant', accountants),
  );
  return command.action((options: EpsilonOptions) => deliver(options, () => epsilon(options)));
}
