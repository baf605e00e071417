import { sumNoiseMultiplier } from '../accounting/clipping.ts';
import type { Plan } from '../accounting/plan.ts';
import { drawSeed } from '../selection/chunks.ts';
import { packUnits, type PackOptions, type UnitRows } from './batches.ts';
import { ClippedSums, type ClippedSum, type GradientSource } from './clip.ts';
import { drawRecords, type UserTokens } from './data.ts';
import { bytesOf } from './digest.ts';
import { addGaussianNoise } from './noise.ts';
import { openNoiseSamples } from './noise-sample.ts';
import { openPointSampler } from './point-sampler.ts';
import { deriveKey, digestAt, openPointBits, type StepPoint } from './randomness.ts';
import { StepClip, type ClipState } from './step-clip.ts';

/** What a ledger holds of a step so that the step can be told again, without telling what was in it. */
export interface StepSeal {
  /** Keyed digest of the units drawn, under the sampling key: an auditor who is shown that key can redraw and check them. */
  readonly participationDigest: string;
  /** Keyed digest of the clipped sum before noise, bit for bit; with an adaptive clip of the clip and the count within it too. */
  readonly clippedSumDigest: string;
}

/** What the noise of a step is a function of, beside the key. */
export type NoisePoint = StepPoint & Pick<StepSeal, 'clippedSumDigest'>;

/** The randomised part of a step, in the order in which it happens. */
export interface Mechanism {
  /** The clip of the step to come. */
  readonly clip: StepClip;
  /** Positions of the units that take part in this step: a function of the key and the point alone. */
  sample(point: StepPoint): Int32Array;
  /** Clips each unit once and adds them up. `step` seeds the selection where it is per draw. */
  clippedSum(drawn: Int32Array, step: number): Promise<ClippedSum>;
  /** Digests of what the step is about to release. */
  seal(point: StepPoint, made: { drawn: Int32Array } & Pick<ClippedSum, 'sum' | 'balance'>): StepSeal;
  /**
   * Adds N(0, (noiseMultiplier × clip)²) to every coordinate of the sum, a little more with an adaptive clip: see
   * `sumNoiseMultiplier`. The noise is a function of the key, the point and the digest of the sum: two different sums
   * never meet the same noise, even where a ledger was tampered with.
   */
  addNoise(sum: Float64Array, point: NoisePoint): void;
  /** Looks at the sum before its noise is added; what it gives looks again afterwards and says what was added: see `openNoiseSamples`. */
  watchNoise(sum: Float64Array, point: NoisePoint): () => string;
  /**
   * Releases the noised share of units within the clip and moves the clip by it: 1/2 + noised balance ÷ expected batch
   * size, whatever number of units was drawn. A fixed clip releases nothing and stays.
   */
  moveClip(balance: number, point: NoisePoint): void;
  /** Divides by the plan's expected batch size, whatever number of units was drawn. */
  average(sum: Float64Array): void;
}

/** What a mechanism works on. */
export interface MechanismOptions {
  readonly plan: Plan;
  readonly users: readonly UserTokens[];
  readonly gradients: GradientSource;
  readonly packing: PackOptions;
  /** Secret key of the run. */
  readonly key: Uint8Array;
  /** Where the clip stood when the run was cut off; the plan's first one where left out. */
  readonly clip?: ClipState | undefined;
  /** Users whose units are drawn like any other and add nothing, as if they were not in the table; default: none. */
  readonly absent?: ReadonlySet<string> | undefined;
}

const nobody: ReadonlySet<string> = new Set();

/**
 * Units of protection of the sampler: records under Group Privacy, users under User-wise DP-SGD.
 * Returns the rows of a unit at a step; only per-draw selection depends on the step.
 */
export function unitsOf(
  plan: Plan,
  users: readonly UserTokens[],
  { absent = nobody }: Pick<MechanismOptions, 'absent'> = {},
): { count: number; rowsAt: (unit: number, step: number) => UnitRows } {
  const rowsOf = ({ user, records }: UserTokens): Int32Array[] =>
    absent.has(user) ? [] : records.map(record => record.tokens);
  if (plan.sampler.over === 'records') {
    const records = users.flatMap(user =>
      user.records.map(record => rowsOf({ user: user.user, records: [record] })),
    );
    return { count: records.length, rowsAt: unit => records[unit]! };
  }
  const { selection, unit } = plan;
  if (selection.when === 'once') {
    const rows = users.map(rowsOf);
    return { count: rows.length, rowsAt: user => rows[user]! };
  }
  const rule = { ...selection, recordsPerUser: unit.recordsPerUser };
  return {
    count: users.length,
    rowsAt: (unit, step) => {
      const records = drawRecords(users[unit]!, { ...rule, seed: drawSeed(selection.seed, step) });
      return rowsOf({ user: users[unit]!.user, records });
    },
  };
}

/**
 * The randomised part of both mechanisms of arXiv 2406.14322: the plan's sampling over units,
 * one clip per unit (a user's gradient is the mean over its records, taken before the clip),
 * noise on the sum, a fixed denominator. An adaptive clip adds the noised count of units within it.
 */
export function openMechanism(options: MechanismOptions): Mechanism {
  const { plan, gradients, packing, key } = options;
  const units = unitsOf(plan, options.users, options);
  const samplingKey = deriveKey(key, 'sampling');
  const digestKey = deriveKey(key, 'digest');
  const noiseKey = deriveKey(key, 'noise');
  const noiseBits = openPointBits(noiseKey);
  const furtherBits = openPointBits(noiseKey);
  const samples = openNoiseSamples(deriveKey(key, 'sample'));
  const bits = openPointBits(samplingKey);
  const sampler = openPointSampler(plan.sampler, { population: units.count, bits });
  const sums = new ClippedSums(gradients);
  const clip = new StepClip(plan, options.clip);
  const { clipping } = plan;
  const sumNoise = sumNoiseMultiplier(plan);
  return {
    clip,
    sample: point => sampler.draw(point),
    async clippedSum(drawn, step): Promise<ClippedSum> {
      const rows = Array.from(drawn, unit => units.rowsAt(unit, step));
      const packed = packUnits(rows, packing);
      sums.begin(clip.norm);
      for (const batch of packed.batches) await sums.add(batch);
      for (const parts of packed.oversized) await sums.addOversized(parts);
      return sums.result();
    },
    seal: (point, { drawn, sum, balance }) => ({
      participationDigest: digestAt(point, { key: samplingKey, bytes: bytesOf(drawn) }),
      clippedSumDigest: digestAt(point, {
        key: digestKey,
        bytes: bytesOf(sum),
        // The clip scales the noise: without it here, equal sums at two clips would meet the same noise at two scales.
        more: clipping === undefined ? undefined : bytesOf(Float64Array.of(balance, clip.norm)),
      }),
    }),
    addNoise(sum, point): void {
      const { clippedSumDigest } = point;
      noiseBits.seek(point, clippedSumDigest);
      furtherBits.seek(point, `${clippedSumDigest}\0further`);
      const standardDeviation = sumNoise * clip.norm;
      addGaussianNoise(sum, { standardDeviation, bits: noiseBits, further: furtherBits });
    },
    watchNoise: (sum, point) => samples.watch(sum, { ...point, standardDeviation: sumNoise * clip.norm }),
    moveClip(balance, point): void {
      if (clipping === undefined) return;
      noiseBits.seek(point, `${point.clippedSumDigest}\0count`);
      const count = Float64Array.of(balance);
      addGaussianNoise(count, { standardDeviation: clipping.countNoise, bits: noiseBits });
      clip.move(0.5 + count[0]! / plan.sampler.expectedBatchSize);
    },
    average(sum): void {
      const { expectedBatchSize } = plan.sampler;
      for (let index = 0; index < sum.length; index += 1) sum[index]! /= expectedBatchSize;
    },
  };
}

/** Points of a step at which a run may be cut off; the line in the ledger is on the disk after `logged`. */
export type StepPhase = 'sampled' | 'summed' | 'logged' | 'noised' | 'updated' | 'saved';

/** What is written down of a step before its noise is drawn. */
export interface StepRecord extends StepPoint, StepSeal, ClipState {
  /** Units drawn; never used as a denominator. */
  readonly drawSize: number;
  /** Of these, units left out because their gradient was not finite; absent where there are none. */
  readonly notFinite?: number | undefined;
}

/** The book that a step is entered in before its noise is drawn. */
export interface StepBook {
  /** The attempt to make next at a step. */
  attemptAt(step: number): number;
  /**
   * True once the step is on the disk, or where it is one that is there already, the same bit for bit.
   * False where it differs from what is there: it must not be noised, but made again at `attemptAt`.
   */
  enter(record: StepRecord): boolean;
}

/** One private gradient and what is known of the step that made it. */
export interface PrivateGradient {
  /** Shape [trainable values]: what the optimizer may see. The same memory every step. */
  readonly gradient: Float64Array;
  readonly drawSize: number;
  readonly summed: ClippedSum;
  /** What noise was seen to be added, for the ledger. */
  readonly noiseSample: string;
}

/**
 * One step of either mechanism: sample, clip and sum, write down, add noise, divide. A step that draws
 * nobody goes the same way and is noise alone.
 *
 * @param options - book: writes the step into the ledger; it returns before any noise is drawn
 */
export async function privateGradient(
  mechanism: Mechanism,
  options: {
    step: number;
    book: StepBook;
    onPhase?: ((phase: StepPhase, step: number) => void) | undefined;
  },
): Promise<PrivateGradient> {
  const { step, book, onPhase } = options;
  for (;;) {
    const point = { step, attempt: book.attemptAt(step) };
    const drawn = mechanism.sample(point);
    onPhase?.('sampled', step);
    const summed = await mechanism.clippedSum(drawn, step);
    onPhase?.('summed', step);
    const drawSize = drawn.length;
    const { sum, balance, notFinite } = summed;
    const leftOut = notFinite > 0 ? { notFinite } : {};
    const seal = mechanism.seal(point, { drawn, sum, balance });
    const record = { ...point, drawSize, ...leftOut, ...mechanism.clip.state, ...seal };
    if (!book.enter(record)) continue;
    onPhase?.('logged', step);
    const seen = mechanism.watchNoise(sum, record);
    mechanism.addNoise(sum, record);
    const noiseSample = seen();
    mechanism.moveClip(balance, record);
    onPhase?.('noised', step);
    mechanism.average(sum);
    return { gradient: sum, drawSize, summed, noiseSample };
  }
}
