import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import type { AdaptiveClippingQuestion } from '../../accounting/plan-entry.ts';
import { positive, quantile } from '../arguments.ts';

/** What a command says of the clip. */
export interface ClipOptions {
  readonly clipNorm: number;
  readonly adaptiveClip?: number;
  readonly clipLearningRate?: number;
  readonly countNoise?: number;
}

/**
 * The adaptive clip that is asked for; undefined where the clip is fixed.
 *
 * @throws DpError `INVALID_ARGUMENT` where something is said of an adaptive clip that is not asked for
 */
export function adaptiveClipOf(
  options: Omit<ClipOptions, 'clipNorm'>,
  verb: string,
): AdaptiveClippingQuestion | undefined {
  const { adaptiveClip: targetQuantile, clipLearningRate, countNoise } = options;
  if (targetQuantile !== undefined)
    return {
      targetQuantile,
      ...(clipLearningRate === undefined ? {} : { learningRate: clipLearningRate }),
      ...(countNoise === undefined ? {} : { countNoise }),
    };
  const [name, value] =
    clipLearningRate === undefined
      ? ['--count-noise', countNoise]
      : ['--clip-learning-rate', clipLearningRate];
  if (value === undefined) return undefined;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: ${name} is ${value} with a fixed clip. Leave it out, or give --adaptive-clip 0.5.`,
  );
}

/** Adds `--clip-norm` and the options of an adaptive clip. */
export function addClipOptions(command: Command, { clipNorm }: { clipNorm: number }): Command {
  const clipped = command.option(
    '--clip-norm <c>',
    'L2 norm to which a gradient is clipped, above 0; with --adaptive-clip the first one',
    positive('--clip-norm'),
    clipNorm,
  );
  return addAdaptiveClipOptions(clipped);
}

/** Adds the options of an adaptive clip. */
export function addAdaptiveClipOptions(command: Command): Command {
  return command
    .option(
      '--adaptive-clip <quantile>',
      'let the clip follow this quantile of the gradient norms, in (0, 1), at the same epsilon for a little more noise (default: fixed)',
      quantile('--adaptive-clip'),
    )
    .option(
      '--clip-learning-rate <r>',
      'how fast an adaptive clip moves, above 0 (default: 0.2)',
      positive('--clip-learning-rate'),
    )
    .option(
      '--count-noise <s>',
      'noise on the number of units within an adaptive clip, above half the noise multiplier (default: a 20th of the expected batch, at least twice the noise multiplier)',
      positive('--count-noise'),
    );
}
