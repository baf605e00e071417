import { checkNonNegative, checkPositive, DpError, type CheckContext } from './check.ts';
import { kindOf, limited, objectOf, oneOf, type Reader } from './fields.ts';

/**
 * The clip starts at the plan's clipNorm and follows a quantile of the units' gradient norms (Andrew, Thakkar, McMahan and
 * Ramaswamy, arXiv 1905.03871): every step also releases the noised number of units within the clip, and then
 * clip ← clip × exp(-learningRate × (share within the clip - targetQuantile)), kept between minimum and maximum.
 */
export interface AdaptiveClipping {
  readonly kind: 'adaptive';
  /** Share of units that the clip is to leave whole, in (0, 1). */
  readonly targetQuantile: number;
  /** How far the logarithm of the clip moves for a share that is off by 1, above 0. */
  readonly learningRate: number;
  /** Standard deviation of the noise on the number of units, above half of the plan's noise multiplier. */
  readonly countNoise: number;
  /** Public bounds of the clip, around clipNorm. */
  readonly minimum: number;
  readonly maximum: number;
}

/** What is asked of an adaptive clip; the rest has defaults. */
export type AdaptiveClippingQuestion = Pick<AdaptiveClipping, 'targetQuantile'> &
  Partial<Pick<AdaptiveClipping, 'learningRate' | 'countNoise' | 'minimum' | 'maximum'>>;

// Norms are square roots of sums of squares in float32.
const smallestClip = 1e-15;
const largestClip = 1e15;
/** Noise on the sum may be raised so many times at most: beyond, rounding could matter. */
const mostRaised = 1000;
const smallestShareOfBatch = 1 / 20;

const readQuantile: Reader<number> = limited(
  checkPositive,
  value => value < 1,
  'a share above 0 and below 1, such as 0.5',
);

const readClip: Reader<number> = limited(
  checkPositive,
  value => value >= smallestClip && value <= largestClip,
  `a clip between ${smallestClip} and ${largestClip}`,
);

const readKind = oneOf('fixed', 'adaptive');
const readFixed = objectOf<{ kind: 'fixed' | 'adaptive' }>({ kind: readKind });
const readAdaptive = objectOf<Omit<AdaptiveClipping, 'kind'> & { kind: 'fixed' | 'adaptive' }>({
  kind: readKind,
  targetQuantile: readQuantile,
  learningRate: checkPositive,
  countNoise: checkNonNegative,
  minimum: readClip,
  maximum: readClip,
});

/** Reader of a plan's clipping: a fixed clip, written out or not, is undefined, so that equal plans have equal hashes. */
export const readClipping: Reader<AdaptiveClipping | undefined> = (value, context) => {
  if (value === undefined) return undefined;
  const isFixed = kindOf(value) === 'fixed';
  if (!isFixed) return { ...readAdaptive(value, context), kind: 'adaptive' };
  readFixed(value, context);
  return undefined;
};

/** The parts of a plan that the noise on the sum follows from. */
export interface ClippedRelease {
  readonly clipNorm: number;
  readonly noiseMultiplier: number;
  readonly clipping?: AdaptiveClipping | undefined;
}

/**
 * An adaptive clip with its defaults: learning rate 0.2, bounds at a thousandth and a thousand times the first clip, and
 * noise on the count of a twentieth of the expected batch, or twice the noise multiplier where that is more, so that the noise on
 * the sum rises by at most 3.3 %.
 *
 * @param plan - clipNorm: the first clip; noiseMultiplier: of the plan; expectedBatchSize: in units of the sampler
 * @example
 * ```ts
 * const plan = { clipNorm: 1, noiseMultiplier: 1, expectedBatchSize: 200 };
 * const clipping = adaptiveClipping({ targetQuantile: 0.5 }, plan);
 * clipping; // { kind: 'adaptive', targetQuantile: 0.5, learningRate: 0.2, countNoise: 10, minimum: 0.001, maximum: 1000 }
 * ```
 */
export function adaptiveClipping(
  question: AdaptiveClippingQuestion,
  plan: { clipNorm: number; noiseMultiplier: number; expectedBatchSize: number },
): AdaptiveClipping {
  const { clipNorm, noiseMultiplier, expectedBatchSize } = plan;
  return {
    kind: 'adaptive',
    targetQuantile: question.targetQuantile,
    learningRate: question.learningRate ?? 0.2,
    countNoise:
      question.countNoise ?? Math.max(expectedBatchSize * smallestShareOfBatch, 2 * noiseMultiplier),
    minimum: question.minimum ?? Math.max(smallestClip, clipNorm / 1000),
    maximum: question.maximum ?? Math.min(largestClip, clipNorm * 1000),
  };
}

/**
 * Standard deviation of the noise on the clipped sum ÷ the clip of the step. With a fixed clip it is the plan's noise multiplier z.
 *
 * With an adaptive one it is (z^-2 - (2 countNoise)^-2)^(-1/2) (arXiv 1905.03871, Theorem 1). A unit adds a vector of at most one
 * clip to the sum and at most 1/2 in size to the count: +1/2 within the clip, -1/2 beyond it, 0 with a gradient of zero. In units
 * of their noises that is a vector of length at most 1/z, so sum and count together are one Gaussian release of noise multiplier
 * z, whoever is sampled and how: two units differ by at most 2/z (the count by 1, the sum by two clips), a unit and
 * none, or one that is zeroed out, by 1/z. The accounting is the one of a fixed clip, under every sampler and relation. Its lower
 * bounds stay attained: units that pull by a clip in one direction, within it or beyond it, or by nothing, do so here too.
 *
 * @returns never less than the noise multiplier
 * @throws DpError `INVALID_ARGUMENT` where no noise on the sum makes up for so little noise on the count
 * @example
 * ```ts
 * const clipping = adaptiveClipping({ targetQuantile: 0.5 }, { clipNorm: 1, noiseMultiplier: 1, expectedBatchSize: 200 });
 * sumNoiseMultiplier({ clipNorm: 1, noiseMultiplier: 1, clipping }); // ~1.00125
 * ```
 */
export function sumNoiseMultiplier(
  release: Omit<ClippedRelease, 'clipNorm'>,
  verb = 'noise the sum',
): number {
  const { noiseMultiplier, clipping } = release;
  if (clipping === undefined) return noiseMultiplier;
  const { countNoise } = clipping;
  const share = noiseMultiplier / (2 * countNoise);
  // (1 - share)(1 + share) has no cancellation beyond that in 1 - share.
  const raised = share < 1 ? 1 / Math.sqrt((1 - share) * (1 + share)) : Infinity;
  if (raised <= mostRaised) return noiseMultiplier * raised;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: clipping.countNoise is ${countNoise} with noiseMultiplier ${noiseMultiplier}; no noise on the sum makes up for that. ` +
      `Give more than noiseMultiplier / 2 = ${noiseMultiplier / 2}, such as ${2 * noiseMultiplier}.`,
  );
}

/**
 * Holds an adaptive clip against the plan that it is part of.
 *
 * @throws DpError `INVALID_ARGUMENT`
 */
export function checkClipping(plan: ClippedRelease, { verb }: Pick<CheckContext, 'verb'>): void {
  const { clipping, clipNorm } = plan;
  sumNoiseMultiplier(plan, verb);
  if (clipping === undefined) return;
  const { minimum, maximum } = clipping;
  if (minimum <= clipNorm && clipNorm <= maximum) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: clipNorm is ${clipNorm} outside of clipping.minimum ${minimum} to clipping.maximum ${maximum}. ` +
      'Give bounds around the first clip.',
  );
}
