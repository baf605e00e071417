import type { Neighbours } from '../event.ts';
import { treeBounds } from './claim-tree.ts';
import type { Claim, ClaimMechanism, ClaimSamplerKind, UnitKind } from './claim.ts';

/** A number that moves epsilon and that a claim may leave out. */
export type OpenFact = 'noise' | 'units' | 'batch' | 'rate' | 'steps' | 'delta' | 'records' | 'sensitivity';

/** Values for what a claim leaves out. */
export type Fill = { readonly [fact in OpenFact]?: number };

/** Which way open words are read; the keys are those of `openChoices`. */
export type Choices = Readonly<Record<string, string>>;

/** How units come to a step. */
export type RunSampling = Exclude<ClaimSamplerKind, 'unknown' | 'min_separation' | 'cyclic_poisson'> | 'none';

/** One mechanism with nothing left open, in units of one sampled unit's clip norm. */
export interface RunSettings {
  readonly law: 'gaussian' | 'laplace';
  readonly sampling: RunSampling;
  readonly physicalCap: number | null;
  readonly noise: number;
  /** Noise of what certainly happened, where less is certain than is possible; null where `noise` is. */
  readonly certainNoise: number | null;
  readonly rate: number;
  readonly steps: number;
  /** Whole epochs that are stated; null where only steps are. */
  readonly epochs: number | null;
  /** Both where it is open what became of an incomplete last batch. */
  readonly stepsPerEpoch: { readonly least: number; readonly most: number };
  readonly units: number | null;
  readonly batch: number | null;
  /** Sampled records that belong to one unit of protection. */
  readonly groupSize: number;
  /** Whether an upper bound is known at all. */
  readonly isBounded: boolean;
  /** Whether batches may have amplified in a way that no lower bound here covers. */
  readonly isAmplified: boolean;
}

/** Runs of which the best one was released. */
export interface SelectionSettings {
  readonly runs: number;
  readonly shape: number | 'poisson' | 'fixed';
}

/** A claim with nothing left open. */
export interface Settings {
  readonly runs: readonly RunSettings[];
  readonly neighbours: Neighbours;
  readonly delta: number;
  readonly selection: SelectionSettings | null;
}

const groups: ReadonlySet<UnitKind> = new Set(['user', 'device', 'client', 'household', 'organisation']);

/**
 * Whether one unit can have several records.
 *
 * @example
 * ```ts
 * isGroup('user'); // true
 * isGroup('example'); // false
 * ```
 */
export function isGroup(kind: UnitKind | null): boolean {
  return kind !== null && groups.has(kind);
}

/** The numbers of one mechanism, null where they are stated nowhere. */
export interface MechanismNumbers {
  readonly noise: number | null;
  readonly units: number | null;
  readonly batch: number | null;
  readonly rate: number | null;
  readonly steps: number | null;
  readonly sensitivity: number | null;
}

/** Whether a mechanism takes batches of its table; plain noise does where batches are stated. */
export function isSampled(mechanism: ClaimMechanism): boolean {
  if (mechanism.kind === 'dp_sgd') return true;
  const { kind, rate, batch_size: batch } = mechanism.sampler;
  return !isCorrelated(mechanism) && (kind !== null || rate !== null || batch !== null);
}

/** Whether a mechanism is one Gaussian of a given sensitivity. */
export function isCorrelated({ kind }: ClaimMechanism): boolean {
  return kind === 'dp_ftrl_tree' || kind === 'matrix_factorization';
}

/**
 * The numbers of one mechanism under a choice of readings.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * const mechanism = claimOf({ mechanisms: [{ kind: 'dp_sgd', n_units: 1000, epochs: 3, sampler: { batch_size: 100 } }] }).mechanisms[0];
 * numbersOf(mechanism, { choices: { rounding: 'floor' }, fill: {} }).steps; // 30
 * ```
 */
export function numbersOf(
  mechanism: ClaimMechanism,
  { choices, fill }: { readonly choices: Choices; readonly fill: Fill },
): MechanismNumbers {
  const units = mechanism.n_units ?? fill.units ?? null;
  const batch = mechanism.sampler.batch_size ?? fill.batch ?? null;
  const noise = (isWorkersOpen(mechanism) ? null : mechanism.noise.multiplier) ?? fill.noise ?? null;
  const isOwnSensitivity = isCorrelated(mechanism) && relativeTo(mechanism, choices) === 'clip';
  const sensitivity = isOwnSensitivity
    ? (mechanism.sensitivity ?? treeBounds(mechanism)?.upper ?? fill.sensitivity ?? null)
    : 1;
  if (!isSampled(mechanism)) {
    const steps = isCorrelated(mechanism) ? 1 : (mechanism.steps ?? 1);
    return { noise, units, batch, rate: 1, steps, sensitivity };
  }
  const classes = classesOf(mechanism, choices);
  const ofBatch =
    batch !== null && units !== null && classes !== null ? Math.min(1, (batch * classes) / units) : null;
  const rate = mechanism.sampler.rate ?? ofBatch ?? fill.rate ?? null;
  const all = mechanism.steps ?? stepsOfEpochs(mechanism, { rate, choices });
  const steps = (classes === null ? null : eligibleSteps(all, classes)) ?? fill.steps ?? null;
  return { noise, units, batch, rate, steps, sensitivity };
}

/**
 * To what a noise multiplier is relative.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * relativeTo(claimOf({ mechanisms: [{ kind: 'dp_sgd' }] }).mechanisms[0], {}); // 'clip'
 * ```
 */
export function relativeTo({ noise }: ClaimMechanism, choices: Choices): string {
  return noise.relative_to ?? choices['relative'] ?? 'clip';
}

/** Whether each of an unknown number of workers added noise. */
export function isWorkersOpen({ noise }: ClaimMechanism): boolean {
  return noise.per === 'worker' && noise.workers === null;
}

function stepsOfEpochs(
  { epochs, rounding }: ClaimMechanism,
  { rate, choices }: { readonly rate: number | null; readonly choices: Choices },
): number | null {
  if (epochs === null || rate === null) return null;
  return Math.max(1, roundSteps(epochs, 1 / rate, rounding ?? choices['rounding'] ?? 'floor'));
}

/**
 * Steps of `epochs` epochs of `perEpoch` steps each, which may be no whole number.
 *
 * @example
 * ```ts
 * roundSteps(10, 43.95, 'floor'); // 430
 * roundSteps(10, 43.95, 'ceil'); // 440
 * roundSteps(10, 43.95, 'total_floor'); // 439
 * ```
 */
export function roundSteps(epochs: number, perEpoch: number, rounding: string): number {
  const exact = Number(perEpoch.toPrecision(14));
  if (rounding === 'total_floor') return Math.floor(Number((epochs * perEpoch).toPrecision(14)));
  if (rounding === 'ceil') return Math.ceil(Math.ceil(exact) * epochs);
  if (rounding === 'round') return Math.round(Math.round(exact) * epochs);
  return Math.floor(Math.floor(exact) * epochs);
}

/** Cyclic Poisson: a unit is in one of b classes, and can take part in every b-th step only; null where b is not stated. */
function classesOf({ sampler }: ClaimMechanism, choices: Choices): number | null {
  if (sampler.kind === 'cyclic_poisson') return sampler.min_separation;
  return isSamplerOpen(sampler.kind) && choices['sampler'] === 'cyclic_poisson'
    ? (sampler.min_separation ?? 1)
    : 1;
}

function eligibleSteps(steps: number | null, classes: number): number | null {
  return steps === null ? null : Math.ceil(steps / classes);
}

/** Whether a claim leaves open how batches were formed; a separation alone does not say it. */
export function isSamplerOpen(kind: ClaimSamplerKind | null): boolean {
  return kind === null || kind === 'unknown' || kind === 'min_separation';
}

/**
 * A claim with nothing left open, or undefined where `fill` lacks a fact.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * settle(claimOf({ mechanisms: [{ kind: 'dp_sgd' }] }), { choices: {}, fill: {} }); // undefined
 * ```
 */
export function settle(
  claim: Claim,
  options: { readonly choices: Choices; readonly fill: Fill },
): Settings | undefined {
  const delta = claim.guarantee.delta ?? options.fill.delta;
  if (delta === undefined || claim.mechanisms.length === 0) return undefined;
  const runs = claim.mechanisms.map(mechanism => settleRun(claim, mechanism, options));
  if (!runs.every(run => run !== undefined)) return undefined;
  return { runs, neighbours: neighboursOf(claim, options.choices), delta, selection: selectionOf(claim) };
}

/**
 * The neighbouring relation of a claim in words of the accountants.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * neighboursOf(claimOf({ adjacency: 'replace_one' }), {}); // 'replace'
 * ```
 */
export function neighboursOf(claim: Claim, choices: Choices): Neighbours {
  const adjacency = claim.adjacency ?? choices['adjacency'];
  if (adjacency === 'replace_one') return 'replace';
  return adjacency === 'zero_out' ? 'zero-out' : 'add-or-remove';
}

function settleRun(
  claim: Claim,
  mechanism: ClaimMechanism,
  options: { readonly choices: Choices; readonly fill: Fill },
): RunSettings | undefined {
  const { noise, units, rate, steps, sensitivity, ...stated } = numbersOf(mechanism, options);
  const batch = stated.batch ?? (units === null || rate === null ? null : units * rate);
  const groupSize = groupSizeOf(claim, mechanism, options);
  if (noise === null || rate === null || steps === null) return undefined;
  if (sensitivity === null || groupSize === undefined) return undefined;
  const { sampler, clip } = mechanism;
  const factor = noiseFactor(claim, mechanism, { ...options, batch, groupSize });
  const certain = certainSensitivity(mechanism, options.choices);
  return {
    law: mechanism.kind === 'laplace' ? 'laplace' : 'gaussian',
    sampling: isSampled(mechanism) ? samplingOf(sampler.kind, options.choices) : 'none',
    physicalCap: sampler.physical_cap,
    noise: (noise / sensitivity) * factor,
    certainNoise: certain === null ? null : (noise / certain) * factor,
    rate,
    steps,
    epochs: mechanism.epochs === null ? null : Math.floor(mechanism.epochs),
    stepsPerEpoch: perEpoch(mechanism, rate),
    units,
    batch,
    groupSize,
    isBounded: clip.per !== 'layer' || options.choices['layer'] !== 'each',
    isAmplified: isAmplified(mechanism),
  };
}

/** The sensitivity that is proved where only bounds on it are known; null elsewhere. */
function certainSensitivity(mechanism: ClaimMechanism, choices: Choices): number | null {
  if (mechanism.sensitivity !== null || relativeTo(mechanism, choices) !== 'clip') return null;
  return treeBounds(mechanism)?.lower ?? null;
}

/** Correlated noise in steps whose batches may have been drawn at random. */
function isAmplified(mechanism: ClaimMechanism): boolean {
  if (!isCorrelated(mechanism)) return false;
  const { kind, rate } = mechanism.sampler;
  return kind === null ? rate !== null : kind !== 'min_separation' && kind !== 'fixed_order';
}

function perEpoch({ sampler }: ClaimMechanism, rate: number): RunSettings['stepsPerEpoch'] {
  const [dropped, kept] = [Math.max(1, Math.floor(tidy(1 / rate))), Math.ceil(tidy(1 / rate))];
  if (sampler.partial_last === 'dropped') return { least: dropped, most: dropped };
  return sampler.partial_last === 'kept' ? { least: kept, most: kept } : { least: dropped, most: kept };
}

function tidy(value: number): number {
  return Number(value.toPrecision(14));
}

function samplingOf(kind: ClaimSamplerKind | null, choices: Choices): RunSampling {
  if (kind === 'cyclic_poisson') return 'poisson';
  if (kind === null || kind === 'unknown' || kind === 'min_separation') return chosenSampling(choices);
  return kind;
}

const choosable: readonly RunSampling[] = [
  'poisson',
  'balls_in_bins',
  'without_replacement',
  'shuffle_each_epoch',
  'fixed_order',
];

function chosenSampling(choices: Choices): RunSampling {
  return choosable.find(kind => kind === choices['sampler']) ?? 'poisson';
}

/** Whether several sampled records of one unit count one by one. */
export function isRecordSampled({ unit }: Claim, { clip }: ClaimMechanism, choices: Choices): boolean {
  if (!isGroup(unit.kind) && !isSplit(unit)) return false;
  const isTold = clip.per === 'unit' || clip.per === 'example';
  return (isTold ? clip.per : (choices['clip'] ?? 'unit')) !== 'unit';
}

/** A document, or what has no name of its own, that is stated to have several records. */
function isSplit({ kind, max_records_per_unit: most }: Claim['unit']): boolean {
  return (kind === 'document' || kind === 'other') && most !== null && most > 1;
}

function groupSizeOf(
  claim: Claim,
  mechanism: ClaimMechanism,
  { choices, fill }: { readonly choices: Choices; readonly fill: Fill },
): number | undefined {
  if (!isRecordSampled(claim, mechanism, choices)) return 1;
  return claim.unit.max_records_per_unit ?? fill.records;
}

/** By what the stated multiplier has to be multiplied to be that of the noise on the sum, relative to one unit's clip norm. */
function noiseFactor(
  claim: Claim,
  mechanism: ClaimMechanism,
  options: { readonly choices: Choices; readonly batch: number | null; readonly groupSize: number },
): number {
  const { choices, batch, groupSize } = options;
  const { noise, clip } = mechanism;
  const relative = relativeTo(mechanism, choices);
  const isReplaced = neighboursOf(claim, choices) === 'replace';
  const isGrouped = isClippedTogether(mechanism, choices);
  // Under replace a sensitivity is twice the clip norm; so it is where several units are clipped together.
  const doubled = relative === 'sensitivity' && (isReplaced || isGrouped) ? 2 : 1;
  const shared = isGrouped && !isReplaced ? 0.5 : 1;
  const onMean = noise.applied_to === 'mean' && relative === 'clip' ? (batch ?? 1) : 1;
  const parts = noise.per === 'microbatch' ? microbatchesOf(batch, clip.microbatch_size) : 1;
  const ofAll = noise.relative_to === 'sensitivity' && choices['scope'] === 'unit' ? groupSize : 1;
  return doubled * shared * onMean * ofAll * Math.sqrt(parts) * workerFactor(mechanism, choices);
}

/** Most microbatches that a batch can have; noise on each of them adds up. */
function microbatchesOf(batch: number | null, size: number | null): number {
  return Math.max(1, (batch ?? 1e6) / (size ?? 1));
}

/**
 * Whether what is clipped is a sum over several units, so that one of them can turn it around.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * const mechanism = claimOf({ mechanisms: [{ kind: 'dp_sgd', clip: { per: 'microbatch', microbatch_size: 4 } }] }).mechanisms[0];
 * isClippedTogether(mechanism, {}); // true
 * ```
 */
export function isClippedTogether({ clip }: ClaimMechanism, choices: Choices): boolean {
  if (clip.per === 'batch') return true;
  if (clip.per !== 'microbatch' || choices['microbatch'] === 'one') return false;
  return clip.microbatch_size === null ? choices['microbatch'] === 'many' : clip.microbatch_size > 1;
}

/** Noise of all workers together ÷ the noise that one was configured with. */
function workerFactor({ noise }: ClaimMechanism, choices: Choices): number {
  if (noise.per !== 'worker' || noise.workers === null) return 1;
  const seeds = noise.seeds ?? choices['seeds'];
  const divided = noise.divided_by ?? choices['division'];
  const sum = seeds === 'same' ? noise.workers : Math.sqrt(noise.workers);
  if (divided === 'workers') return sum / noise.workers;
  return divided === 'sqrt_workers' ? sum / Math.sqrt(noise.workers) : sum;
}

const shapes = { poisson: 'poisson', fixed: 'fixed', geometric: 1, logarithmic: 0 } as const;

function selectionOf({ selection }: Claim): SelectionSettings | null {
  const { runs, rule, count_distribution: law, shape } = selection;
  if (runs === null || runs <= 1 || rule === 'last' || rule === 'fixed') return null;
  if (law === 'truncated_negative_binomial') return { runs, shape: shape ?? 1 };
  return { runs, shape: shapes[law ?? 'fixed'] };
}
