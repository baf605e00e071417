import type { Claim } from './claim.ts';
import type { EpsilonOfSettings } from './claim-bounds.ts';
import type { OpenChoice } from './claim-open.ts';
import { roundedClaim } from './claim-rounding.ts';
import { settle, type Choices, type Fill, type Settings } from './claim-settings.ts';

/** What an accusation has to hold against. */
export interface GuardQuestion {
  readonly open: readonly OpenChoice[];
  readonly best: Choices;
  readonly epsilon: EpsilonOfSettings;
  /** Asked first; as `epsilon`, wider and faster. */
  readonly roughly?: EpsilonOfSettings | undefined;
  readonly fill?: Fill;
  /** The largest epsilon that the print stands for. */
  readonly limit: number;
}

/**
 * How far an accusation holds: in every reading of what is open and with every number that rounds to a printed setting; with the
 * settings exactly as they were printed only; or in some readings only.
 */
export type Standing = 'proved' | 'as-printed' | 'in-some-readings';

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

/** How far it holds that epsilon is above `limit`, which it is in the reading that is best word by word. */
export function standingOf(claim: Claim, question: GuardQuestion): Standing {
  if (question.open.length > 0 && !isBeyondEveryReading(claim, question)) return 'in-some-readings';
  const { claim: rounded, moved } = roundedClaim(claim, 'best');
  return moved.length === 0 || isBeyondEveryReading(rounded, question) ? 'proved' : 'as-printed';
}

/** Whether epsilon is certainly above `limit` in every reading of what is open, all of them together. */
function isBeyondEveryReading(claim: Claim, question: GuardQuestion): boolean {
  const { open, best, fill = {} } = question;
  return entangled(claim, open).every(choices => {
    const settings = settle(claim, { choices: { ...best, ...choices }, fill });
    return settings !== undefined && isBeyond(settings, question);
  });
}

/** The slower answers are asked for where the faster ones do not settle it. Whatever replaces a unit may have a gradient of zero. */
function isBeyond(
  settings: Settings,
  { epsilon, roughly = epsilon, limit }: Pick<GuardQuestion, 'epsilon' | 'roughly' | 'limit'>,
): boolean {
  const compared = { side: 'lower', limit } as const;
  const isReplaced = settings.neighbours === 'replace';
  if (isReplaced && roughly({ ...settings, neighbours: 'zero-out' }, compared).lower > limit) return true;
  const { lower, upper } = roughly(settings, compared);
  if (lower > limit) return true;
  return upper > limit && roughly !== epsilon && epsilon(settings, compared).lower > limit;
}
