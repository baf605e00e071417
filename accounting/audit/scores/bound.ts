/**
 * For which trainings a proved bound holds: `any` training, or only one whose trade-off curve is that of a Gaussian mechanism, so
 * that the bound says nothing against a claim about another mechanism, such as one with subsampling.
 */
export type BoundFamily = 'any' | 'gaussian';

/** A proved lower bound on ε: the only kind of number that can refute a claim. */
export interface EpsilonLowerBound {
  readonly side: 'lower';
  readonly family: BoundFamily;
  /** ε in nats; 0 where the scores show nothing. Too large with probability at most the significance. */
  readonly epsilon: number;
  /** What `epsilon` would have been had every guess been right: a claim above it could not have been refuted. */
  readonly detectionLimit: number;
  /** Trials that the proof needs: canaries of one run included by fair coins, or trials of a training each. */
  readonly trials: 'fair-coins' | 'independent';
}

/** A number that is no bound: it refutes nothing, however large it is. */
export interface EpsilonEstimate {
  readonly side: 'estimate';
  readonly epsilon: number;
  /** Why it is none. */
  readonly because: string;
}
