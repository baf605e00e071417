import type { Neighbours } from './event.ts';

/** The two mechanisms of arXiv 2406.14322. */
export type Mechanism = 'group-privacy' | 'user-wise';

/** How a record-level guarantee is turned into one for users with up to `recordsPerUser` records. */
export type GroupConversion = 'none' | 'lemma' | 'rdp' | 'mixture';

/** The strategies of the selection contract, v1. */
export type SelectionStrategy =
  | 'random'
  | 'longest'
  | 'shortest'
  | 'highest-perplexity'
  | 'lowest-perplexity'
  | 'random-chunk'
  | 'first';

/** Which of a user's records may be used, and when they are drawn. */
export interface SelectionRule {
  readonly strategy: SelectionStrategy;
  /** Public seed of the selection contract; it plays no part in the guarantee. */
  readonly seed: string;
  /** Most tokens per user beside the cap in records, or null for none. */
  readonly tokensPerUser: number | null;
  /** Length of a block in tokens for `random-chunk`, null for the other strategies. */
  readonly chunkTokens: number | null;
  /** `once` before training, or afresh `per-draw` each time the user is sampled (user-wise only). */
  readonly when: 'once' | 'per-draw';
}

/** Who is sampled each step and with what probability. The probability is written once, here. */
export interface SamplerPlan {
  readonly kind: 'poisson';
  readonly over: 'records' | 'users';
  readonly samplingProbability: number;
  /** The fixed denominator: samplingProbability × units planned for. Never the realised batch size. */
  readonly expectedBatchSize: number;
}

/**
 * Everything on which the guarantee rests, in one plain JSON object. Selection, trainer,
 * accountant and statement read it; nobody computes a field anew.
 */
export interface Plan {
  readonly format: 'privacy-unit/plan';
  readonly version: 1;
  readonly mechanism: Mechanism;
  readonly neighbours: Neighbours;
  readonly unit: { readonly protection: 'user'; readonly recordsPerUser: number };
  /** Training users and the records that training may touch (after the cap where selection is `once`); public constants. */
  readonly population: { readonly users: number; readonly records: number };
  readonly sampler: SamplerPlan;
  readonly clipNorm: number;
  /** Standard deviation of the noise ÷ clipNorm. */
  readonly noiseMultiplier: number;
  readonly steps: number;
  readonly delta: number;
  /** What the noise was calibrated to, or null where the noise was given. */
  readonly targetEpsilon: number | null;
  readonly groupConversion: GroupConversion;
  readonly selection: SelectionRule;
  /** Users kept out of training for evaluation, chosen by a keyed hash of their id (user-local). */
  readonly heldOut: { readonly fraction: number; readonly seed: string };
}
