import type { Interval } from '../accountant.ts';
import type { Reason, Verdict, VerdictDetail } from './verdict.ts';

/**
 * A number with the digits in which it was printed: the text `"3.0"` stands for [2.95, 3.05), the text `"3"` for [2.5, 3.5).
 * A plain number counts as printed in its shortest form.
 */
export type Printed = string | number;

/** What the claim is about. */
export interface ClaimSubject {
  readonly name: string | null;
  readonly digest: Readonly<Record<string, string>> | null;
  /** Address of the publication. */
  readonly source: string | null;
}

/** One point of a privacy profile. */
export interface ProfilePoint {
  readonly epsilon: number;
  readonly delta: number;
}

/** The promise itself. `relation` says whether the printed number is the value (`=`) or a limit (`<=`). */
export interface ClaimGuarantee {
  readonly epsilon: Printed | null;
  readonly delta: number | null;
  readonly relation: '=' | '<=' | null;
  /** Zero-concentrated DP. */
  readonly rho: Printed | null;
  /** Gaussian DP. */
  readonly mu: Printed | null;
  readonly profile: readonly ProfilePoint[] | null;
}

/** What one unit of protection is. */
export const unitKinds = [
  'example',
  'record',
  'sequence',
  'document',
  'user',
  'device',
  'client',
  'household',
  'organisation',
  'other',
] as const;

/** One of {@link unitKinds}. */
export type UnitKind = (typeof unitKinds)[number];

/** Whom the promise protects. */
export interface ClaimUnit {
  readonly kind: UnitKind | null;
  readonly max_records_per_unit: number | null;
  readonly enforced_by: string | null;
  /** What became of people with several devices or accounts. */
  readonly multi_device: 'merged' | 'separate' | null;
}

/** What was given out; everything computed from private data counts. */
export interface ClaimRelease {
  readonly what: string | null;
  readonly checkpoints: number | null;
  readonly other_outputs: readonly string[] | null;
}

/** How batches were really formed. */
export const claimSamplers = [
  'poisson',
  'shuffle_each_epoch',
  'shuffle_once',
  'fixed_order',
  'without_replacement',
  'cyclic_poisson',
  'balls_in_bins',
  'min_separation',
  'unknown',
] as const;

/** One of {@link claimSamplers}. */
export type ClaimSamplerKind = (typeof claimSamplers)[number];

/** Sampling of units, or of records where clipping is per record. */
export interface ClaimSampler {
  readonly kind: ClaimSamplerKind | null;
  /** Probability of one unit in one step. */
  readonly rate: number | null;
  /** Expected, or fixed, size of a batch. */
  readonly batch_size: number | null;
  /** Largest batch that the machine took; what was drawn beyond it was left out. */
  readonly physical_cap: number | null;
  /** What became of an incomplete last batch of an epoch. */
  readonly partial_last: 'none' | 'dropped' | 'kept' | null;
  /** Rounds between two participations of a unit, for `min_separation`. */
  readonly min_separation: number | null;
  readonly max_participations: number | null;
}

/** Clipping. `adaptive`: how a clip norm that follows the data was set. */
export interface ClaimClip {
  readonly norm: number | null;
  readonly per: 'example' | 'microbatch' | 'unit' | 'layer' | 'batch' | null;
  readonly microbatch_size: number | null;
  readonly adaptive: 'none' | 'public' | 'noised' | 'unnoised' | null;
}

/** Noise. */
export interface ClaimNoise {
  /** Standard deviation ÷ what `relative_to` says. */
  readonly multiplier: number | null;
  readonly relative_to: 'clip' | 'sensitivity' | null;
  readonly applied_to: 'sum' | 'mean' | null;
  readonly per: 'logical_batch' | 'microbatch' | 'worker' | null;
  readonly workers: number | null;
  readonly seeds: 'distinct' | 'same' | null;
  /** By what each worker divided its noise. */
  readonly divided_by: 'none' | 'sqrt_workers' | 'workers' | null;
}

/** Kinds of mechanism. */
export const claimMechanisms = [
  'dp_sgd',
  'dp_ftrl_tree',
  'matrix_factorization',
  'gaussian',
  'laplace',
] as const;

/** One of {@link claimMechanisms}. */
export type ClaimMechanismKind = (typeof claimMechanisms)[number];

/** One thing that was done to the data. */
export interface ClaimMechanism {
  readonly kind: ClaimMechanismKind;
  /** Units, or records where clipping is per record, in the table that was trained on. */
  readonly n_units: number | null;
  readonly sampler: ClaimSampler;
  readonly steps: number | null;
  readonly epochs: number | null;
  /** How epochs became steps: of n ÷ B, or of n·E ÷ B as a whole. */
  readonly rounding: 'floor' | 'ceil' | 'round' | 'total_floor' | null;
  readonly clip: ClaimClip;
  readonly noise: ClaimNoise;
  /** `expected` leaves open whether the size is public. */
  readonly normalise_by: 'expected_public' | 'expected_private' | 'expected' | 'realised' | null;
  /** L2 sensitivity of the whole release in units of the clip norm; for trees and matrix factorizations. */
  readonly sensitivity: number | null;
  /** How often a tree was begun anew, after even stretches of steps; 0 for one tree. */
  readonly restarts: number | null;
  /**
   * Whether the numbers are those that were run with, or as somebody printed them, so that each may stand for everything that rounds
   * to it. Null is `printed`.
   */
  readonly settings: 'exact' | 'printed' | null;
}

/** How the publisher accounted. */
export interface ClaimAccounting {
  readonly method: string | null;
  readonly orders: string | null;
  readonly library: string | null;
  readonly version: string | null;
  /** The sampling that the accountant assumed. */
  readonly sampler: ClaimSamplerKind | null;
}

/** Choice among several runs or checkpoints. */
export interface ClaimSelection {
  readonly runs: number | null;
  readonly rule: 'best_validation' | 'best_training' | 'last' | 'fixed' | null;
  readonly validation_private: boolean | null;
  readonly count_distribution:
    'fixed' | 'poisson' | 'geometric' | 'logarithmic' | 'truncated_negative_binomial' | null;
  /** Of the truncated negative binomial law. */
  readonly shape: number | null;
  /** Whether the printed epsilon already pays for the choice. */
  readonly accounted: boolean | null;
}

/** Where the data came from. */
export interface ClaimData {
  readonly pretraining: string | null;
  readonly overlap_checked: boolean | null;
  readonly duplicates: 'deduplicated' | 'kept' | null;
}

/** Random numbers. */
export interface ClaimRandomness {
  readonly generator: string | null;
  readonly resumed: boolean | null;
  readonly resumed_seed: 'fresh' | 'continued' | 'same' | null;
}

/** What others measured on the trained model. Only a `lower_bound` can refute. */
export interface ClaimEvidence {
  readonly kind: 'lower_bound' | 'estimate' | null;
  readonly epsilon: number | null;
  readonly delta: number | null;
  /** Such as 0.95. */
  readonly confidence: number | null;
  readonly source: string | null;
}

/**
 * A claim of differential privacy, as its file has it (`dp-claim/1`, hence the names with underscores).
 * Null is "not stated", everywhere; nothing has a default.
 */
export interface Claim {
  readonly schema: 'dp-claim/1';
  readonly subject: ClaimSubject;
  readonly guarantee: ClaimGuarantee;
  readonly unit: ClaimUnit;
  readonly adjacency: 'add_remove' | 'replace_one' | 'zero_out' | null;
  readonly release: ClaimRelease;
  /** Empty where nothing was stated. */
  readonly mechanisms: readonly ClaimMechanism[];
  readonly accounting: ClaimAccounting;
  readonly selection: ClaimSelection;
  readonly data: ClaimData;
  readonly randomness: ClaimRandomness;
  readonly evidence: ClaimEvidence;
  /** Digits of numbers that were printed in another form than their shortest, by JSON pointer: `1.10` is finer than `1.1`. */
  readonly digits?: Readonly<Record<string, string>>;
}

/** One way to read the settings, and the conventions under which it gives the printed number. */
export interface ClaimReading {
  /** Stable name, such as `n-45000`. */
  readonly name: string;
  readonly text: string;
  /** The convention whose number is nearest to the printed one. */
  readonly convention: string;
  readonly epsilon: number;
  /** epsilon ÷ the printed number, less 1. */
  readonly difference: number;
  /** Whether the number rounds to the printed digits. */
  readonly matches: boolean;
}

/** What {@link auditClaim} says. */
export interface ClaimAudit {
  readonly verdict: Verdict;
  readonly detail: VerdictDetail;
  /** What was audited. */
  readonly subject: string;
  /** The sentence as it should have read. */
  readonly statement: string;
  /** What the printed digits stand for; null where nothing was claimed. */
  readonly claimed: { readonly epsilon: Interval | null; readonly delta: number | null };
  readonly reasons: readonly Reason[];
  /**
   * Every recomputed epsilon by its name. `exact` is certified and lies around the truth for the stated mechanism; the conventions
   * (`rdp classic`, `rdp modern`, ...) are the single number that they print; a lower bound has the upper end Infinity.
   */
  readonly recomputed: Readonly<Record<string, Interval>>;
  /** Readings that were tried, the best first. */
  readonly readings: readonly ClaimReading[];
  /** The reading that gives the printed number, in words; null where none does. */
  readonly explanation: string | null;
  /** What to ask the author. */
  readonly questions: readonly string[];
  /** What would make the claim true, where a fact is missing: "noise.multiplier of at least 1.122". */
  readonly needs: readonly string[];
  /** Epsilon over everything that was left open; null where nothing was. */
  readonly range: Interval | null;
}

type Stated<T, Numbers extends keyof T = never> = Partial<Omit<T, Numbers>> & {
  readonly [name in Numbers]?: Printed | null;
};

/** A mechanism of which only what was stated is given. */
export interface StatedMechanism extends Stated<
  Omit<ClaimMechanism, 'kind' | 'sampler' | 'clip' | 'noise'>,
  'epochs' | 'sensitivity'
> {
  readonly kind: ClaimMechanismKind;
  readonly sampler?: Stated<ClaimSampler, 'rate' | 'batch_size'>;
  readonly clip?: Stated<ClaimClip>;
  readonly noise?: Stated<ClaimNoise, 'multiplier'>;
}

/** The promise, of which only what was stated is given. */
export interface StatedPromise extends Stated<Omit<ClaimGuarantee, 'profile'>, 'delta'> {
  readonly profile?: readonly { readonly epsilon: Printed; readonly delta: Printed }[] | null;
}

/** A claim of which only what was stated is given; numbers with the digits that count may be texts. */
export interface StatedClaim {
  readonly subject?: Stated<ClaimSubject>;
  readonly guarantee?: StatedPromise;
  readonly unit?: Stated<ClaimUnit>;
  readonly adjacency?: Claim['adjacency'];
  readonly release?: Stated<ClaimRelease>;
  readonly mechanisms?: readonly StatedMechanism[];
  readonly accounting?: Stated<ClaimAccounting>;
  readonly selection?: Stated<ClaimSelection>;
  readonly data?: Stated<ClaimData>;
  readonly randomness?: Stated<ClaimRandomness>;
  readonly evidence?: Stated<ClaimEvidence, 'epsilon'>;
}
