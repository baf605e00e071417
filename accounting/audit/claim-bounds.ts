import type { Interval } from '../accountant.ts';
import { DpError } from '../check.ts';
import { epsilonOf, type AccountantChoice } from '../epsilon.ts';
import {
  gaussianEvent,
  poissonGroupEvent,
  repeat,
  sequence,
  type DpEvent,
  type Neighbours,
} from '../event.ts';
import type { RunSettings, Settings } from './claim-settings.ts';

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
  const { noise, steps, groupSize: records } = run;
  if (!(noise > 0)) return unknown;
  if (run.law === 'laplace') return laplaceEvents(run);
  if (run.sampling === 'none' || (run.rate === 1 && run.sampling === 'poisson'))
    return both(repeat(gaussianEvent(noise / records), steps));
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

/** Nothing is said of Laplace noise in batches, but that Poisson sampling does not make it worse. */
function laplaceEvents({ noise, groupSize, steps, sampling, rate }: RunSettings): EventPair {
  const event = repeat({ kind: 'laplace', noiseMultiplier: noise / groupSize }, steps);
  if (sampling === 'none' || (rate === 1 && sampling === 'poisson')) return both(event);
  return { lower: undefined, upper: sampling === 'poisson' ? event : undefined };
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

/** Wanted (upper - lower) of an interval ÷ its upper end; 1e-4 where left out. */
export interface Accuracy {
  readonly relativeGap?: number | undefined;
}

/** Answers by settings. */
export type KnownEpsilons = Map<string, Interval>;

/** Asks for epsilon of settings, each settings once. */
export type EpsilonOfSettings = (settings: Settings) => Interval;

/**
 * A function that bounds epsilon of settings and remembers what it was asked.
 *
 * @param options - known: where it remembers; finer: what a more accurate one remembers, which is taken where it is there
 */
export function settingsEpsilon(
  options: Accuracy & { readonly known?: KnownEpsilons; readonly finer?: KnownEpsilons } = {},
): EpsilonOfSettings {
  const { known = new Map(), finer } = options;
  return settings => {
    const key = JSON.stringify(settings);
    const found = known.get(key) ?? finer?.get(key) ?? boundSettings(settings, options);
    known.set(key, found);
    return found;
  };
}

function boundSettings(settings: Settings, { relativeGap }: Accuracy): Interval {
  const { runs, neighbours, delta, selection } = settings;
  if (runs.some(({ noise, rate }) => noise === 0 && rate > delta))
    return { lower: Infinity, upper: Infinity };
  const far = farReplacement(settings);
  if (far !== undefined) return far;
  const pairs = runs.map(run => runEvents(run, neighbours));
  const question = { neighbours, delta, relativeGap };
  const lowers = pairs.map(({ lower }) => lower).filter(event => event !== undefined);
  const uppers = pairs.map(({ upper }) => upper).filter(event => event !== undefined);
  const [lower, upper] = [composed(lowers), uppers.length === runs.length ? composed(uppers) : undefined];
  if (selection !== null) return selected({ lower, upper }, { ...question, selection });
  const isTight = pairs.every(pair => pair.lower === pair.upper);
  if (isTight && upper !== undefined) return certified(upper, question);
  return {
    lower: lower === undefined ? 0 : certified(lower, question).lower,
    upper: upper === undefined ? Infinity : certified(upper, question).upper,
  };
}

/** Epsilon under replacement beyond these takes accountants long, and nobody needs it in four digits. */
const [tiny, huge] = [0.005, 500];
const wide: Accuracy = { relativeGap: 0.3 };

/**
 * Wide bounds under replacement with Poisson sampling, far out; undefined elsewhere. Not below what zeroing a gradient out does; not above
 * RDP, nor above one unit removed and another one added: (2ε, (1 + e^ε) δ).
 */
function farReplacement(settings: Settings): Interval | undefined {
  const { runs, neighbours, delta, selection } = settings;
  const isPlain = ({ sampling, groupSize, physicalCap, law }: RunSettings): boolean =>
    sampling === 'poisson' && groupSize === 1 && physicalCap === null && law === 'gaussian';
  if (neighbours !== 'replace' || selection !== null || !runs.every(isPlain)) return undefined;
  const { lower, upper: single } = boundSettings({ ...settings, neighbours: 'zero-out' }, wide);
  if (lower > huge) return { lower, upper: renyiUpper(settings) };
  if (single > tiny) return undefined;
  const shared = { ...settings, neighbours: 'add-or-remove', delta: delta / (1 + Math.exp(tiny)) } as const;
  const { upper } = boundSettings(shared, wide);
  return upper > tiny ? undefined : { lower, upper: 2 * upper };
}

function renyiUpper({ runs, neighbours, delta }: Settings): number {
  const uppers = runs.map(run => runEvents(run, neighbours).upper).filter(event => event !== undefined);
  if (uppers.length < runs.length) return Infinity;
  return epsilonOf(sequence(uppers), { neighbours, delta, accountant: 'rdp' }).epsilon.upper;
}

function composed(events: readonly DpEvent[]): DpEvent | undefined {
  return events.length === 0 ? undefined : sequence(events);
}

interface Question extends Accuracy {
  readonly neighbours: Neighbours;
  readonly delta: number;
}

/** With a score that is the same for all runs the one released is any of them, unless there may be none. */
function selected(
  { lower, upper }: EventPair,
  { selection, ...question }: Question & { readonly selection: NonNullable<Settings['selection']> },
): Interval {
  const { runs, shape } = selection;
  const single = lower === undefined || shape === 'poisson' ? 0 : certified(lower, question).lower;
  if (upper === undefined) return { lower: single, upper: Infinity };
  const event: DpEvent =
    shape === 'fixed'
      ? repeat(upper, Math.ceil(runs))
      : { kind: 'repeat-and-select', event: upper, meanRuns: runs, shape };
  return { lower: single, upper: certified(event, question).upper };
}

function certified(event: DpEvent, question: Question): Interval {
  try {
    return epsilonOf(event, { ...question, accountant: accountantFor(event, question) }).epsilon;
  } catch (error) {
    if (!(error instanceof DpError && error.code === 'UNSUPPORTED_EVENT')) throw error;
    if (question.neighbours !== 'replace') return { lower: 0, upper: Infinity };
    // What replaces a unit may have a gradient of zero.
    return { lower: certified(event, { ...question, neighbours: 'zero-out' }).lower, upper: Infinity };
  }
}

/** The exact accountant looks for its value, too, which nobody asks for where a wide interval will do. */
function accountantFor(event: DpEvent, { relativeGap }: Accuracy): AccountantChoice {
  if (event.kind === 'repeat-and-select') return 'rdp';
  return relativeGap === undefined ? 'exact' : 'pld';
}
