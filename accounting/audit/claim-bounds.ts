import type { Interval } from '../accountant.ts';
import {
  gaussianEvent,
  poissonGroupEvent,
  repeat,
  sequence,
  type DpEvent,
  type Neighbours,
} from '../event.ts';
import type { RunSettings, Settings } from './claim-settings.ts';
import { boundEvent, type Accuracy, type Comparison, type EventQuestion } from './event-bounds.ts';
import { pureEpsilon } from './pure.ts';

/** An event that happened for certain, and one that is at least as bad as what happened; undefined where none is known. */
export interface EventPair {
  readonly lower: DpEvent | undefined;
  readonly upper: DpEvent | undefined;
}

const unknown: EventPair = { lower: undefined, upper: undefined };
const both = (event: DpEvent): EventPair => ({ lower: event, upper: event });

/**
 * What one mechanism did to the data, from below and from above.
 *
 * Shuffled batches have a proved lower bound only (Chua et al., arXiv 2403.17673); under zero-out the same steps in a known order, each
 * unit once an epoch, bound them from above, since an unknown order is a mixture of known ones. Truncated batches have an upper bound
 * only (Ganesh, arXiv 2508.15089). Where several records of a unit are sampled and no group bound is known, one record bounds from below.
 */
export function runEvents(run: RunSettings, neighbours: Neighbours): EventPair {
  const { lower, upper } = eventsOf(run, neighbours);
  return {
    lower: run.isAmplified ? undefined : lower,
    upper: run.isBounded ? upper : undefined,
  };
}

function eventsOf(run: RunSettings, neighbours: Neighbours): EventPair {
  if (!(run.noise > 0)) return unknown;
  if (run.law === 'laplace') return laplaceEvents(run);
  if (isWhole(run)) return gaussianEvents(run);
  switch (run.sampling) {
    case 'poisson':
      return run.physicalCap === null ? poissonEvents(run, neighbours) : truncatedEvents(run);
    case 'without_replacement':
      return fixedSizeEvents(run, neighbours);
    case 'balls_in_bins':
      return allocationEvents(run);
    case 'fixed_order':
      return orderedEvents(run, neighbours);
    default:
      return shuffledEvents(run, neighbours);
  }
}

function gaussianEvents({ noise, certainNoise, groupSize, steps }: RunSettings): EventPair {
  const upper = repeat(gaussianEvent(noise / groupSize), steps);
  if (certainNoise === null) return both(upper);
  return { lower: repeat(gaussianEvent(certainNoise / groupSize), steps), upper };
}

/** Nothing is said of Laplace noise in batches, but that Poisson sampling does not make it worse. */
function laplaceEvents(run: RunSettings): EventPair {
  const { noise, groupSize, steps, sampling } = run;
  const event = repeat({ kind: 'laplace', noiseMultiplier: noise / groupSize }, steps);
  if (isWhole(run)) return both(event);
  return { lower: undefined, upper: sampling === 'poisson' && !isCut(run) ? event : undefined };
}

/** Whether every unit takes part in every step. */
function isWhole(run: RunSettings): boolean {
  return run.sampling === 'none' || (run.rate === 1 && run.sampling === 'poisson' && !isCut(run));
}

/** Whether a unit can push another one out of a batch. */
function isCut({ physicalCap, units }: RunSettings): boolean {
  return physicalCap !== null && (units === null || physicalCap < units);
}

function poissonEvents(run: RunSettings, neighbours: Neighbours): EventPair {
  const { noise: noiseMultiplier, rate: samplingProbability, steps, groupSize } = run;
  const event = (size: number): DpEvent =>
    poissonGroupEvent({ noiseMultiplier, samplingProbability, steps, groupSize: size });
  if (neighbours !== 'replace' || groupSize === 1) return both(event(groupSize));
  return { lower: event(1), upper: undefined };
}

function truncatedEvents(run: RunSettings): EventPair {
  const { noise: noiseMultiplier, rate: samplingProbability, steps, units, physicalCap, groupSize } = run;
  if (units === null || physicalCap === null || groupSize > 1) return unknown;
  if (physicalCap >= units) return poissonEvents(run, 'add-or-remove');
  const step = {
    kind: 'truncated-poisson-gaussian',
    noiseMultiplier,
    samplingProbability,
    datasetSize: units,
    maximumBatchSize: physicalCap,
  } as const;
  return { lower: undefined, upper: repeat(step, steps) };
}

function fixedSizeEvents(run: RunSettings, neighbours: Neighbours): EventPair {
  const { noise: noiseMultiplier, units, batch, steps, groupSize } = run;
  const poisson = poissonEvents({ ...run, groupSize: 1 }, 'zero-out').lower;
  // A record whose gradient alone is zeroed: attained by Poisson's pair; what dominates isn't known.
  if (neighbours === 'zero-out' || units === null || batch === null)
    return { lower: neighbours === 'zero-out' ? poisson : undefined, upper: undefined };
  const batchSize = Math.min(units, Math.max(1, Math.round(batch)));
  const event = (size: number): DpEvent =>
    repeat(
      { kind: 'fixed-size-gaussian', noiseMultiplier, datasetSize: units, batchSize, groupSize: size },
      steps,
    );
  const isKnown = groupSize === 1 || (neighbours === 'add-or-remove' && groupSize <= units);
  return isKnown ? both(event(groupSize)) : { lower: event(1), upper: undefined };
}

/** Epochs that are certain, and those that were begun at most. */
function epochsOf({ steps, epochs, stepsPerEpoch: { least, most } }: RunSettings): {
  readonly whole: number;
  readonly begunLeast: number;
  readonly begunMost: number;
} {
  const whole = epochs === null ? Math.floor(steps / most) : Math.min(epochs, Math.floor(steps / least));
  return { whole, begunLeast: Math.ceil(steps / most), begunMost: Math.ceil(steps / least) };
}

function allocationEvents(run: RunSettings): EventPair {
  const { noise: noiseMultiplier, stepsPerEpoch, groupSize } = run;
  const { whole, begunMost } = epochsOf(run);
  const epochs = (steps: number, count: number): DpEvent =>
    repeat({ kind: 'balls-in-bins-gaussian', noiseMultiplier, stepsPerEpoch: steps }, count);
  const lower = whole === 0 ? undefined : epochs(stepsPerEpoch.most, whole);
  if (groupSize > 1) return { lower, upper: undefined };
  const upper = epochs(stepsPerEpoch.least, begunMost);
  return stepsPerEpoch.least === stepsPerEpoch.most && whole === begunMost ? both(upper) : { lower, upper };
}

/** The first units take part in every epoch that was begun. Where a unit goes missing under add-or-remove all later ones move up. */
function orderedEvents(run: RunSettings, neighbours: Neighbours): EventPair {
  const { noise, groupSize } = run;
  const { begunLeast, begunMost } = epochsOf(run);
  return {
    lower: repeat(gaussianEvent(noise), begunLeast),
    upper: neighbours === 'zero-out' ? repeat(gaussianEvent(noise / groupSize), begunMost) : undefined,
  };
}

function shuffledEvents(run: RunSettings, neighbours: Neighbours): EventPair {
  const { noise: noiseMultiplier, stepsPerEpoch, sampling } = run;
  const { whole: epochs } = epochsOf(run);
  const order = sampling === 'shuffle_once' ? 'persistent' : 'reshuffled';
  const shuffled = { kind: 'shuffled-gaussian', noiseMultiplier, epochs, order } as const;
  return {
    lower: epochs === 0 ? undefined : { ...shuffled, stepsPerEpoch: stepsPerEpoch.most },
    upper: orderedEvents(run, neighbours).upper,
  };
}

/** Answers by what was asked. */
export type KnownEpsilons = Map<string, Interval>;

/**
 * Asks for epsilon of settings, each settings once. Where all that is wanted is a comparison the answer may be wide, and is that of
 * what bounds them from the side that is asked for.
 */
export type EpsilonOfSettings = (settings: Settings, compared?: Comparison) => Interval;

/**
 * A function that bounds epsilon of settings and remembers what it was asked.
 *
 * @param options - known: where it remembers; finer: what a more accurate one remembers, which is taken where it is there
 */
export function settingsEpsilon(
  options: Accuracy & { readonly known?: KnownEpsilons; readonly finer?: KnownEpsilons } = {},
): EpsilonOfSettings {
  const { known = new Map(), finer, relativeGap } = options;
  return (settings, compared) => {
    const question = questionOf(settings);
    const key = JSON.stringify(question);
    const own = compared === undefined ? key : `${key} ${compared.side} ${compared.limit}`;
    const found =
      known.get(key) ?? finer?.get(key) ?? known.get(own) ?? answer(question, { relativeGap, compared });
    known.set(own, found);
    return found;
  };
}

/** All of the settings that epsilon depends on. */
interface BoundQuestion extends Pick<Settings, 'neighbours' | 'delta' | 'selection'> {
  readonly lower: DpEvent | undefined;
  readonly upper: DpEvent | undefined;
  /** Where no accountant is needed. */
  readonly settled: Interval | undefined;
}

function questionOf(settings: Settings): BoundQuestion {
  const { runs, neighbours, delta, selection } = settings;
  const pairs = runs.map(run => runEvents(run, neighbours));
  const lowers = pairs.map(({ lower }) => lower).filter(event => event !== undefined);
  const lower = composed(lowers);
  const isTight = pairs.every(pair => pair.lower === pair.upper);
  return {
    lower,
    upper: isTight ? lower : allOf(pairs),
    neighbours,
    delta,
    selection,
    settled: settledBy(settings),
  };
}

function settledBy(settings: Settings): Interval | undefined {
  const { runs, delta } = settings;
  if (delta === 0) return pureEpsilon(settings);
  const isBare = runs.some(({ noise, rate }) => noise === 0 && rate > delta);
  return isBare ? { lower: Infinity, upper: Infinity } : undefined;
}

/** What is at least as bad as all that happened; undefined where that is not known of every run. */
export function upperEvent({ runs, neighbours }: Settings): DpEvent | undefined {
  return allOf(runs.map(run => runEvents(run, neighbours)));
}

function allOf(pairs: readonly EventPair[]): DpEvent | undefined {
  const uppers = pairs.map(({ upper }) => upper).filter(event => event !== undefined);
  return uppers.length < pairs.length ? undefined : composed(uppers);
}

function composed(events: readonly DpEvent[]): DpEvent | undefined {
  return events.length === 0 ? undefined : sequence(events);
}

function answer(
  { settled, lower, upper, selection, neighbours, delta }: BoundQuestion,
  options: Pick<EventQuestion, 'relativeGap' | 'compared'>,
): Interval {
  if (settled !== undefined) return settled;
  const question = { neighbours, delta, ...options };
  if (selection === null && lower === upper && upper !== undefined) return boundEvent(upper, question);
  const side = options.compared?.side;
  if (side === 'lower') return lowerOf({ lower, selection }, question);
  return {
    lower: side === 'upper' ? 0 : lowerOf({ lower, selection }, question).lower,
    upper: upperOf({ upper, selection }, question),
  };
}

/** With a score that is the same for all runs the one released is any of them, unless there may be none. */
function lowerOf(
  { lower, selection }: Pick<BoundQuestion, 'lower' | 'selection'>,
  question: EventQuestion,
): Interval {
  const isNothing = lower === undefined || selection?.shape === 'poisson';
  return isNothing ? { lower: 0, upper: 0 } : boundEvent(lower, question);
}

function upperOf(
  { upper, selection }: Pick<BoundQuestion, 'upper' | 'selection'>,
  question: EventQuestion,
): number {
  if (upper === undefined) return Infinity;
  if (selection === null) return boundEvent(upper, question).upper;
  const { runs, shape } = selection;
  const event: DpEvent =
    shape === 'fixed'
      ? repeat(upper, Math.ceil(runs))
      : { kind: 'repeat-and-select', event: upper, meanRuns: runs, shape };
  return boundEvent(event, question).upper;
}
