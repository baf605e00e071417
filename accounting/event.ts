import { checkCount, checkPositive, checkProbability, DpError } from './check.ts';

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

/** What happened to the data: plain serialisable data that any accountant interprets. */
export type DpEvent =
  | GaussianEvent
  | SubsampledGaussianEvent
  | MixtureOfGaussiansEvent
  | RepeatedEvent
  | SequenceEvent;
