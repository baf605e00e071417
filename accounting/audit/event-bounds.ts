import type { Interval } from '../accountant.ts';
import { DpError } from '../check.ts';
import { lineComposer } from '../contour/contour.ts';
import { epsilonOf } from '../epsilon.ts';
import { flattenEvent, type DpEvent, type Neighbours } from '../event.ts';
import { partWithoutLaws } from '../laws/composition.ts';
import { certifiedEpsilon } from '../profiles/certified.ts';
import { refusalOf } from '../rdp/refusal.ts';
import { coverOf, type Cover } from './event-cover.ts';
import { momentBounds } from './moment-bounds.ts';

/** Wanted (upper - lower) of an interval ÷ its upper end; 1e-4 where left out. */
export interface Accuracy {
  readonly relativeGap?: number | undefined;
}

/** All that is asked of an interval: whether its one end lies above `limit`. It may be as wide as it likes otherwise. */
export interface Comparison {
  readonly side: 'lower' | 'upper';
  readonly limit: number;
}

/** What is asked of an event. */
export interface EventQuestion extends Accuracy {
  readonly neighbours: Neighbours;
  readonly delta: number;
  readonly compared?: Comparison | undefined;
}

/**
 * Epsilon of an event from both sides, as wide as the question allows; 0 or Infinity where nothing is known.
 *
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * boundEvent(event, { delta: 1e-6, neighbours: 'add-or-remove' }).upper; // ~4.8866
 * ```
 */
export function boundEvent(event: DpEvent, question: EventQuestion): Interval {
  try {
    if (event.kind === 'repeat-and-select') return renyiBound(event, question);
    return farBounds(event, question) ?? narrowBounds(event, question);
  } catch (error) {
    if (!(error instanceof DpError && error.code === 'UNSUPPORTED_EVENT')) throw error;
    if (question.neighbours !== 'replace') return { lower: 0, upper: Infinity };
    // What replaces a unit may have a gradient of zero.
    return { lower: boundEvent(event, { ...question, neighbours: 'zero-out' }).lower, upper: Infinity };
  }
}

const answering = { verb: 'audit the claim', composer: lineComposer };

/** As the exact accountant, without the value that it looks for inside the interval. */
function narrowBounds(event: DpEvent, question: EventQuestion): Interval {
  const { lower, upper } = certifiedEpsilon(event, question, answering).bound;
  return { lower, upper };
}

/** Wide bounds where they are enough, or where others would take too long. */
function farBounds(event: DpEvent, question: EventQuestion): Interval | undefined {
  const cover = coverOf(event);
  if (cover !== undefined) return boundCover(cover, question);
  const far = question.neighbours === 'replace' ? farReplacement(event, question) : undefined;
  if (far !== undefined) return far;
  const { compared, relativeGap } = question;
  if (compared === undefined && relativeGap === undefined) return undefined;
  const quick = momentBounds(event, { ...question, limit: compared?.limit ?? huge });
  return isEnough(quick, question) ? quick : undefined;
}

function boundCover({ lower, upper, isFar }: Cover, question: EventQuestion): Interval {
  return {
    lower: boundEvent(lower, question).lower,
    upper: isFar ? renyiUpper(upper, question) : boundEvent(upper, question).upper,
  };
}

/** Nobody needs a reading beside the stated one in four digits beyond this, and accountants take long there. */
const huge = 500;

/** A wide upper bound nearer to the limit than this would look like one that just fits. */
const clear = 0.98;

function isEnough({ lower, upper }: Interval, { compared }: EventQuestion): boolean {
  if (compared === undefined) return lower > huge;
  return lower > Math.min(huge, compared.limit) || upper <= clear * compared.limit;
}

/** RDP alone, of which every event with little noise has an answer at once. */
function renyiBound(event: DpEvent, { neighbours, delta }: EventQuestion): Interval {
  return epsilonOf(event, { neighbours, delta, accountant: 'rdp' }).epsilon;
}

function renyiUpper(event: DpEvent, question: EventQuestion): number {
  return refusalOf(event, question.neighbours) === undefined ? renyiBound(event, question).upper : Infinity;
}

/** With less noise than this, or for such an epsilon of units that hardly ever take part, bounds under replacement take long. */
const [leastNoise, tiny, rarely] = [0.3, 0.005, 0.01];
const wide: Accuracy = { relativeGap: 0.02 };

/**
 * Wide bounds under replacement with Poisson sampling, where they are enough or more would take too long; undefined elsewhere.
 *
 * Not below what zeroing a gradient out does; not above RDP, nor above one unit removed and another one added: (2ε, (1 + e^ε) δ).
 */
function farReplacement(event: DpEvent, question: EventQuestion): Interval | undefined {
  const sampled = flattenEvent(event).flatMap(({ event: part, count }) =>
    part.kind === 'poisson-subsampled-gaussian' ? [{ ...part, count }] : [],
  );
  if (sampled.length === 0 || partWithoutLaws(event, 'zero-out') !== undefined) return undefined;
  const { delta, compared } = question;
  const zeroed = { delta, neighbours: 'zero-out' } as const;
  const quick = momentBounds(event, { ...zeroed, limit: compared?.limit ?? huge });
  if (compared !== undefined && quick.lower > compared.limit) return { lower: quick.lower, upper: Infinity };
  const isSlow = sampled.some(({ noiseMultiplier }) => noiseMultiplier < leastNoise);
  const isRare = sampled.reduce((sum, part) => sum + part.count * part.samplingProbability, 0) < rarely;
  if (!isSlow && quick.lower <= huge) return isRare ? tinyReplacement(event, question) : undefined;
  const { lower } = narrowBounds(event, { ...zeroed, ...wide });
  return { lower, upper: renyiUpper(event, question) };
}

function tinyReplacement(event: DpEvent, { delta }: EventQuestion): Interval | undefined {
  const single = narrowBounds(event, { ...wide, delta, neighbours: 'zero-out' });
  if (single.upper > tiny) return undefined;
  const shared = { ...wide, neighbours: 'add-or-remove', delta: delta / (1 + Math.exp(tiny)) } as const;
  const { upper } = narrowBounds(event, shared);
  return upper > tiny ? undefined : { lower: single.lower, upper: 2 * upper };
}
