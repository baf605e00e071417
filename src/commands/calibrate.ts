import type { Command } from 'commander';
import { calibrateNoise } from '../../accounting/index.ts';
import { positive, required } from '../arguments.ts';
import { createCommand, type CommonOptions, type Deliver } from '../command.ts';
import { renderInterval, upward, type Answer } from '../output.ts';
import { addSamplingOptions, renderFacts, samplingOf, type SamplingOptions } from './guarantee-options.ts';

const verb = 'calibrate';

interface CalibrateOptions extends SamplingOptions, CommonOptions {
  readonly epsilon?: number;
}

function calibrate(options: CalibrateOptions): Answer {
  const target = required(options.epsilon, { verb, name: '--epsilon', example: '8' });
  const sampling = samplingOf(options, verb);
  const groupSize = options.groupSize ?? 1;
  const { noiseMultiplier, epsilon } = calibrateNoise({ epsilon: target, ...sampling, groupSize });
  const text = renderFacts([
    ['Noise multiplier', upward(noiseMultiplier, 6)],
    ['Guarantee', `epsilon in ${renderInterval(epsilon)} at delta ${sampling.delta}, target ${target}`],
    ['Neighbours', sampling.neighbours],
    ['Sampling', `Poisson with probability ${sampling.samplingProbability} a step, ${sampling.steps} steps`],
    ['Group size', String(groupSize)],
  ]);
  return { text, json: { noiseMultiplier, epsilon, delta: sampling.delta, target, groupSize } };
}

/** `privacy-unit calibrate`: the least noise that keeps a target. */
export function calibrateCommand(deliver: Deliver): Command {
  const command = createCommand('calibrate', {
    summary: 'noise multiplier for a target epsilon',
    description: 'Finds a noise multiplier whose certified epsilon does not exceed the target.',
    examples: [
      'calibrate --epsilon 8 --delta 1e-5 --sampling-probability 0.02 --steps 500 --neighbours add-or-remove',
      'calibrate --epsilon 3 --delta 1e-6 --sampling-probability 0.01 --steps 1000 --group-size 5 --neighbours add-or-remove --json',
    ],
  });
  addSamplingOptions(command).option(
    '--epsilon <e>',
    'target of the upper bound, in nats, above 0 (required)',
    positive('--epsilon'),
  );
  return command.action((options: CalibrateOptions) => deliver(options, () => calibrate(options)));
}
