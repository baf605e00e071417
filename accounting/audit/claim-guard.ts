import type { Claim } from './claim.ts';
import type { EpsilonOfSettings } from './claim-bounds.ts';
import type { OpenChoice } from './claim-open.ts';
import { settle, type Choices, type Fill } from './claim-settings.ts';

/** What an accusation has to hold against. */
export interface GuardQuestion {
  readonly open: readonly OpenChoice[];
  readonly best: Choices;
  /** Bounds below are all that is asked for. */
  readonly epsilon: EpsilonOfSettings;
  readonly fill?: Fill;
}

const samplers = ['without_replacement', 'balls_in_bins', 'shuffle_each_epoch', 'poisson'];

/** Zeroing a gradient out is the least that any neighbour does; only where noise is relative to the sensitivity replacement can be better. */
const scales: readonly Choices[] = [
  { adjacency: 'zero_out', relative: 'clip' },
  { adjacency: 'zero_out', relative: 'sensitivity' },
  { adjacency: 'replace_one', relative: 'sensitivity' },
];

/**
 * Readings of which none is the best whatever the others are: what is best depends on neighbours, batches and the scale of the noise
 * together. Putting each unit into one random batch of each epoch can beat Poisson sampling, which is otherwise the best.
 */
function entangled(claim: Claim, open: readonly OpenChoice[]): Choices[] {
  const isOpen = (key: string): boolean => open.some(choice => choice.key === key);
  const hasClasses = claim.mechanisms.some(({ sampler }) => (sampler.min_separation ?? 1) > 1);
  const drawn = hasClasses ? ['cyclic_poisson', ...samplers] : samplers;
  const batches: Choices[] = isOpen('sampler') ? drawn.map(sampler => ({ sampler })) : [{}];
  const scaled = isOpen('adjacency') || isOpen('relative') ? scales : [{}];
  return batches.flatMap(batch => scaled.map(scale => ({ ...batch, ...scale })));
}

/**
 * Whether epsilon is certainly above `limit` in every reading of what is open, all of them together.
 *
 * @param limit - the largest epsilon that the print stands for
 */
export function isBeyondEveryReading(
  claim: Claim,
  { open, best, epsilon, fill = {}, limit }: GuardQuestion & { readonly limit: number },
): boolean {
  return entangled(claim, open).every(choices => {
    const settings = settle(claim, { choices: { ...best, ...choices }, fill });
    return settings !== undefined && epsilon(settings).lower > limit;
  });
}
