import { checkCount, checkPositive, checkProbability, DpError } from '../check.ts';
import { flattenEvent, type BasicEvent, type DpEvent, type MixtureOfGaussiansEvent } from '../event.ts';
import { shiftedNoise, type ShiftedNoise } from './loss-curve.ts';

/** An event as the accountant sees it: all plain Gaussians as one, and the other steps with their counts. */
export interface Composition {
  /** Sensitivity ÷ noise of all plain Gaussians together; 0 where there are none. */
  readonly gaussianRatio: number;
  readonly steps: readonly { readonly noise: ShiftedNoise; readonly count: number }[];
}

const verb = 'account by PLD';

/**
 * Checks an event and sorts its steps.
 *
 * Gaussians compose exactly: the squares of sensitivity ÷ noise add up. Steps with a certain shift are Gaussians.
 *
 * @throws DpError `INVALID_ARGUMENT`
 */
export function compositionOf(event: DpEvent): Composition {
  const parts = flattenEvent(event).map(part => ({
    noise: shiftedNoise(checkBasic(part.event)),
    count: checkCount(part.count, { verb, name: 'the number of steps' }),
  }));
  const gaussians = parts.filter(({ noise }) => isGaussian(noise));
  const square = gaussians.reduce((sum, { noise, count }) => sum + count * noise.shifts[0]! ** 2, 0);
  const steps = parts.filter(({ noise }) => !isGaussian(noise) && noise.shifts.length > 0);
  // Rounded up, so that what rounding squares and their sum lost can't be missing above.
  return { gaussianRatio: Math.sqrt(square) * (square > 0 ? 1 + 4e-16 : 1), steps };
}

function isGaussian({ shifts, idle }: ShiftedNoise): boolean {
  return shifts.length === 1 && idle === 0;
}

function checkBasic(event: BasicEvent): BasicEvent {
  checkPositive(event.noiseMultiplier, { verb, name: 'noiseMultiplier' });
  if (event.kind === 'poisson-subsampled-gaussian')
    checkProbability(event.samplingProbability, { verb, name: 'samplingProbability' });
  if (event.kind === 'mixture-of-gaussians') checkMixture(event);
  return event;
}

function checkMixture({ sensitivities, probabilities }: MixtureOfGaussiansEvent): void {
  if (sensitivities.length !== probabilities.length) {
    const lengths = `"sensitivities" has ${sensitivities.length} values but "probabilities" has ${probabilities.length}`;
    throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${lengths}. Give one probability for each.`);
  }
  const isSensible = (value: number): boolean => Number.isFinite(value) && value >= 0;
  const wrong = [...sensitivities, ...probabilities].find(value => !isSensible(value));
  const total = probabilities.reduce((sum, value) => sum + value, 0);
  if (wrong === undefined && Math.abs(total - 1) <= 1e-9) return;
  const reason = wrong === undefined ? `the probabilities sum to ${total}` : `a mixture holds ${wrong}`;
  const remedy = 'Give sensitivities of at least 0 and probabilities that sum to 1';
  throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${reason}. ${remedy}.`);
}
