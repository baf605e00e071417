import { binomialMixture } from './numerics/binomial.ts';
import { checkCount, checkPositive, checkProbability, DpError } from './check.ts';
import { groupSizeOf } from './fields.ts';

/** Which two tables count as neighbours; never defaulted, because every number depends on it. */
export type Neighbours = 'add-or-remove' | 'replace' | 'zero-out';

/** One release of a sum with L2 sensitivity 1 plus N(0, noiseMultiplier²). */
export interface GaussianEvent {
  readonly kind: 'gaussian';
  readonly noiseMultiplier: number;
}

/** The same, after every unit of protection entered the sum independently with `samplingProbability`. */
export interface SubsampledGaussianEvent {
  readonly kind: 'poisson-subsampled-gaussian';
  readonly noiseMultiplier: number;
  readonly samplingProbability: number;
}

/**
 * A Gaussian whose sensitivity is random: `sensitivities[i]` with `probabilities[i]`
 * (Choquette-Choo et al., arXiv 2310.15526; for groups Ganesh, arXiv 2401.10294, Theorem 3.1).
 * Sensitivities ascend and are >= 0; probabilities are >= 0 and sum to 1.
 */
export interface MixtureOfGaussiansEvent {
  readonly kind: 'mixture-of-gaussians';
  readonly noiseMultiplier: number;
  readonly sensitivities: readonly number[];
  readonly probabilities: readonly number[];
}

/** One release of a sum with L1 sensitivity 1 plus Laplace noise of scale `noiseMultiplier`. */
export interface LaplaceEvent {
  readonly kind: 'laplace';
  readonly noiseMultiplier: number;
}

/** The same, after every unit of protection entered the sum independently with `samplingProbability`. */
export interface SubsampledLaplaceEvent {
  readonly kind: 'poisson-subsampled-laplace';
  readonly noiseMultiplier: number;
  readonly samplingProbability: number;
}

/** One release of a whole number with whole sensitivity plus noise on the integers ∝ exp(-k² / (2·scale²)). */
export interface DiscreteGaussianEvent {
  readonly kind: 'discrete-gaussian';
  readonly scale: number;
  readonly sensitivity: number;
}

/** One of `buckets` answers: with `randomProbability` a uniformly random one, else the true one. */
export interface RandomisedResponseEvent {
  readonly kind: 'randomised-response';
  readonly randomProbability: number;
  readonly buckets: number;
}

/** Anything that is (epsilon, delta)-DP under the neighbouring relation asked about; delta 0 is pure DP. */
export interface GuaranteeEvent {
  readonly kind: 'guarantee';
  readonly epsilon: number;
  readonly delta: number;
}

/**
 * One step of the Gaussian mechanism over a batch of exactly `batchSize` of `datasetSize` records, drawn without
 * replacement; `groupSize` of the records are those of the unit of protection. The larger table has `datasetSize`.
 */
export interface FixedSizeGaussianEvent {
  readonly kind: 'fixed-size-gaussian';
  readonly noiseMultiplier: number;
  readonly datasetSize: number;
  readonly batchSize: number;
  readonly groupSize: number;
}

/**
 * One step over a Poisson sample of which at most `maximumBatchSize` records, chosen at random, are used
 * (Ganesh, arXiv 2508.15089).
 */
export interface TruncatedPoissonGaussianEvent {
  readonly kind: 'truncated-poisson-gaussian';
  readonly noiseMultiplier: number;
  readonly samplingProbability: number;
  readonly datasetSize: number;
  readonly maximumBatchSize: number;
}

/** One epoch of `stepsPerEpoch` Gaussian steps, each unit taking part in exactly one of them, chosen at random for itself. */
export interface BallsInBinsGaussianEvent {
  readonly kind: 'balls-in-bins-gaussian';
  readonly noiseMultiplier: number;
  readonly stepsPerEpoch: number;
}

/**
 * Epochs of `stepsPerEpoch` Gaussian steps over batches of a shuffled table: shuffled once for all epochs
 * (`persistent`) or anew for each (`reshuffled`). Only lower bounds of its privacy cost are known.
 */
export interface ShuffledGaussianEvent {
  readonly kind: 'shuffled-gaussian';
  readonly noiseMultiplier: number;
  readonly stepsPerEpoch: number;
  readonly epochs: number;
  readonly order: 'persistent' | 'reshuffled';
}

/**
 * `event` run a random number of times, of which only the best result is released (Papernot and Steinke,
 * arXiv 2110.03620). The number is Poisson with mean `meanRuns`, or truncated negative binomial with `shape` > -1
 * (1 is geometric, 0 logarithmic) and mean `meanRuns`.
 */
export interface RepeatAndSelectEvent {
  readonly kind: 'repeat-and-select';
  readonly event: DpEvent;
  readonly meanRuns: number;
  readonly shape: number | 'poisson';
}

/** The same event `count` times in a row, adaptively. */
export interface RepeatedEvent {
  readonly kind: 'repeated';
  readonly event: DpEvent;
  readonly count: number;
}

/** Different events one after the other, adaptively. */
export interface SequenceEvent {
  readonly kind: 'sequence';
  readonly events: readonly DpEvent[];
}

/** An event that is no composition: what one step of training is, or one epoch where steps depend on each other. */
export type BasicEvent =
  | GaussianEvent
  | SubsampledGaussianEvent
  | MixtureOfGaussiansEvent
  | LaplaceEvent
  | SubsampledLaplaceEvent
  | DiscreteGaussianEvent
  | RandomisedResponseEvent
  | GuaranteeEvent
  | FixedSizeGaussianEvent
  | TruncatedPoissonGaussianEvent
  | BallsInBinsGaussianEvent
  | ShuffledGaussianEvent
  | RepeatAndSelectEvent;

/** What happened to the data: plain serialisable data that any accountant interprets. */
export type DpEvent = BasicEvent | RepeatedEvent | SequenceEvent;

/** A basic event and how often it happened. */
export interface CountedEvent {
  readonly event: BasicEvent;
  readonly count: number;
}

const verb = 'describe the event';

/**
 * One release of a sum with L2 sensitivity 1 plus Gaussian noise.
 *
 * @param noiseMultiplier - standard deviation of the noise ÷ L2 sensitivity, > 0
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * gaussianEvent(2).noiseMultiplier; // 2
 * ```
 */
export function gaussianEvent(noiseMultiplier: number): GaussianEvent {
  return {
    kind: 'gaussian',
    noiseMultiplier: checkPositive(noiseMultiplier, { verb, name: 'noiseMultiplier' }),
  };
}

/** A run of equal steps: noise per unit sensitivity, sampling probability per unit of protection and step, steps. */
export interface PoissonOptions {
  readonly noiseMultiplier: number;
  readonly samplingProbability: number;
  readonly steps: number;
}

/**
 * Steps of the Gaussian mechanism over a Poisson sample: every unit of protection enters each step independently.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const event = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 100 });
 * flattenEvent(event)[0].count; // 100
 * ```
 */
export function poissonEvent({ noiseMultiplier, samplingProbability, steps }: PoissonOptions): DpEvent {
  checkOptions({ noiseMultiplier, samplingProbability, steps });
  if (samplingProbability === 1) return repeat(gaussianEvent(noiseMultiplier), steps);
  return repeat({ kind: 'poisson-subsampled-gaussian', noiseMultiplier, samplingProbability }, steps);
}

/**
 * The same steps as a user with `groupSize` records sees them: the number of the user's records in a step is
 * Binomial(groupSize, samplingProbability), so one step is a mixture of Gaussians.
 *
 * Ganesh (arXiv 2401.10294), Theorem 3.1; tight for Poisson sampling under add-or-remove of the whole group.
 * The probabilities dominate the exact ones: rounding and tails of at most 1e-40 only ever move towards more records.
 *
 * @param options - samplingProbability: of one record in one step; groupSize: whole, 1 to 10,000; spent: guarantees
 *   that hold for the group, composed with the steps
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const event = poissonGroupEvent({ noiseMultiplier: 2, samplingProbability: 0.5, steps: 1, groupSize: 2 });
 * event.kind; // 'mixture-of-gaussians'
 * event.probabilities[2]; // ~0.25
 * ```
 */
export function poissonGroupEvent(options: PoissonGroupOptions): DpEvent {
  const { spent = [] } = options;
  const run = groupRun(options);
  if (spent.length === 0) return run;
  return sequence([
    run,
    ...spent.map(({ epsilon, delta }) => ({ kind: 'guarantee' as const, epsilon, delta })),
  ]);
}

/** How a step gets its units where that is not by Poisson sampling alone; the probability stands beside it. */
export type Sampling =
  | {
      readonly kind: 'truncated-poisson';
      /** Units in the larger of two neighbouring tables. */
      readonly datasetSize: number;
      readonly maximumBatchSize: number;
    }
  | { readonly kind: 'balls-in-bins' | 'shuffled'; readonly stepsPerEpoch: number };

/** A run as a group sees it, and what else was released about the group. */
export interface PoissonGroupOptions extends PoissonOptions {
  readonly groupSize: number;
  /** Instead of Poisson sampling, for a group of one. An epoch that was cut off counts as a whole one. */
  readonly sampling?: Sampling | undefined;
  readonly spent?: readonly Omit<GuaranteeEvent, 'kind'>[] | undefined;
}

function groupRun(options: PoissonGroupOptions): DpEvent {
  const { noiseMultiplier, samplingProbability, steps, groupSize } = options;
  groupSizeOf(groupSize, { verb, name: 'groupSize' });
  checkOptions(options);
  if (options.sampling !== undefined) return sampledRun(options, options.sampling);
  if (groupSize === 1) return poissonEvent(options);
  if (samplingProbability === 1) return repeat(gaussianEvent(noiseMultiplier / groupSize), steps);
  const mixture = binomialMixture({ trials: groupSize, probability: samplingProbability });
  return repeat({ kind: 'mixture-of-gaussians', noiseMultiplier, ...mixture }, steps);
}

function sampledRun(options: PoissonGroupOptions, sampling: Sampling): DpEvent {
  const { noiseMultiplier, samplingProbability, steps, groupSize } = options;
  const { kind } = sampling;
  if (groupSize > 1)
    throw new DpError(
      'UNSUPPORTED_EVENT',
      `Cannot ${verb}: nothing is proved of ${kind} for groups of ${groupSize}. Use Poisson sampling or the lemma.`,
    );
  if (kind === 'truncated-poisson')
    return repeat(
      { ...sampling, kind: 'truncated-poisson-gaussian', noiseMultiplier, samplingProbability },
      steps,
    );
  const { stepsPerEpoch } = sampling;
  const epochs = Math.ceil(steps / stepsPerEpoch);
  if (kind === 'shuffled')
    return { kind: 'shuffled-gaussian', noiseMultiplier, stepsPerEpoch, epochs, order: 'reshuffled' };
  return repeat({ kind: 'balls-in-bins-gaussian', noiseMultiplier, stepsPerEpoch }, epochs);
}

function checkOptions({ noiseMultiplier, samplingProbability, steps }: PoissonOptions): void {
  checkPositive(noiseMultiplier, { verb, name: 'noiseMultiplier' });
  checkProbability(samplingProbability, { verb, name: 'samplingProbability' });
  checkCount(steps, { verb, name: 'steps' });
}

/**
 * The same event `count` times in a row; once is the event itself.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * repeat(gaussianEvent(1), 3).count; // 3
 * ```
 */
export function repeat(event: DpEvent, count: number): DpEvent {
  checkCount(count, { verb, name: 'count' });
  return count === 1 ? event : { kind: 'repeated', event, count };
}

/**
 * Different events one after the other.
 *
 * @throws DpError `INVALID_ARGUMENT` for an empty list
 * @example
 * ```ts
 * sequence([gaussianEvent(1), gaussianEvent(2)]).events.length; // 2
 * ```
 */
export function sequence(events: readonly DpEvent[]): SequenceEvent {
  checkCount(events.length, { verb, name: 'the number of events' });
  return { kind: 'sequence', events };
}

/**
 * The basic events of a composition with their counts, equal ones added up, in an order that depends on the
 * events alone, so that the order of composition can't change a result in its last digit.
 *
 * @example
 * ```ts
 * flattenEvent(sequence([repeat(gaussianEvent(1), 2), gaussianEvent(1)])).map(part => part.count); // [3]
 * ```
 */
export function flattenEvent(event: DpEvent): CountedEvent[] {
  const parts = new Map<string, CountedEvent>();
  collect(event, 1, parts);
  return [...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, part]) => part);
}

function collect(event: DpEvent, times: number, parts: Map<string, CountedEvent>): void {
  if (event.kind === 'sequence') {
    for (const inner of event.events) collect(inner, times, parts);
  } else if (event.kind === 'repeated') {
    collect(event.event, times * event.count, parts);
  } else {
    const key = JSON.stringify(event);
    parts.set(key, { event, count: (parts.get(key)?.count ?? 0) + times });
  }
}
