import type { ClaimMechanism } from './claim.ts';
import { isClippedTogether } from './claim-settings.ts';
import { inWords, type FindingContext, type FindingRule } from './findings-context.ts';
import type { Reason } from './verdict.ts';

type MechanismRule = (
  mechanism: ClaimMechanism,
  context: FindingContext,
) =>
  (Omit<Reason, 'field' | 'epsilon'> & { readonly field: string; readonly hasEpsilon?: boolean }) | undefined;

function perMechanism(rule: MechanismRule): FindingRule {
  return context =>
    context.claim.mechanisms.flatMap((mechanism, index) => {
      const found = rule(mechanism, context);
      if (found === undefined) return [];
      const { hasEpsilon = false, ...reason } = found;
      const epsilon = hasEpsilon ? (context.judgement.best?.epsilon ?? null) : null;
      return [{ ...reason, epsilon, field: `/mechanisms/${index}/${found.field}` }];
    });
}

function recomputed({ judgement: { best } }: FindingContext): string {
  return best === undefined ? '' : ` With that epsilon is ${inWords(best.epsilon)}.`;
}

const clippedTogether: MechanismRule = (mechanism, context) =>
  !isClippedTogether(mechanism, {})
    ? undefined
    : {
        code: mechanism.clip.per === 'batch' ? 'DPC-C2-clipped-per-batch' : 'DPC-C1-microbatch-clipping',
        level: 'error',
        text: `Several examples were clipped together, so one of them can turn the clipped sum around: the sensitivity is twice the clip norm.${recomputed(context)}`,
        source: 'tensorflow/privacy issue 620; arXiv:2303.00654 section 5.6',
        field: 'clip/per',
        hasEpsilon: true,
      };

const clippedPerLayer: MechanismRule = ({ clip }) =>
  clip.per !== 'layer'
    ? undefined
    : {
        code: 'DPC-C3-clipped-per-layer',
        level: 'warning',
        text: 'Each layer was clipped on its own. The sensitivity is the root of the sum of the squared clip norms of all layers, and the noise has to be relative to that.',
        source: 'auditing catalogue, mechanism code',
        field: 'clip/per',
      };

const adaptiveClip: MechanismRule = ({ clip }) =>
  clip.adaptive !== 'unnoised'
    ? undefined
    : {
        code: 'DPC-C4-adaptive-clip-without-noise',
        level: 'error',
        text: 'The clip norm was set from private data without noise; what it reveals is covered by no step.',
        source: 'arXiv:1905.03871; ftramer/Handcrafted-DP',
        field: 'clip/adaptive',
      };

const noisePerWorker: MechanismRule = ({ noise }, context) => {
  if (noise.per !== 'worker' || (noise.workers ?? 2) === 1) return undefined;
  const isSafe =
    noise.divided_by === 'none' || (noise.divided_by === 'sqrt_workers' && noise.seeds !== 'same');
  if (isSafe && noise.seeds !== null) return undefined;
  return {
    code: 'DPC-N1-noise-per-worker',
    level: noise.divided_by === 'workers' ? 'error' : 'warning',
    text: `Each of ${noise.workers ?? 'several'} workers added noise. Noise from different seeds adds up by the root of their number only, so dividing it by more leaves too little.${recomputed(context)}`,
    source: 'auditing catalogue, distributed noise',
    field: 'noise/per',
    hasEpsilon: true,
  };
};

/**
 * Whether noise in units of the clip norm, or of what is not stated, was added to a mean.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * isNoiseOnMean(claimOf({ mechanisms: [{ kind: 'dp_sgd', noise: { applied_to: 'mean' } }] }).mechanisms[0]); // true
 * ```
 */
export function isNoiseOnMean({ noise }: ClaimMechanism): boolean {
  return noise.applied_to === 'mean' && noise.relative_to !== 'sensitivity';
}

const noiseOnMean: MechanismRule = mechanism =>
  !isNoiseOnMean(mechanism)
    ? undefined
    : {
        code: 'DPC-N2-noise-on-mean',
        level: 'note',
        text: 'Noise was added to a mean, whose sensitivity is the clip norm over the batch size. The multiplier is read as relative to the clip norm, which is a batch size times as much noise as on a sum; few mean that.',
        source: 'tensorflow/privacy issue 88',
        field: 'noise/applied_to',
      };

const realised: MechanismRule = ({ normalise_by: by }) => {
  if (by === 'realised')
    return {
      code: 'DPC-E1-divided-by-realised-batch',
      level: 'error',
      text: 'The noisy sum was divided by the number of units really drawn, which is private; no step covers it.',
      source: 'arXiv:2605.15648; tensorflow/privacy issue 88',
      field: 'normalise_by',
    };
  if (by !== 'expected_private') return undefined;
  return {
    code: 'DPC-E2-divided-by-private-size',
    level: 'warning',
    text: 'The noisy sum was divided by an expected batch size that follows from the private number of units. Under add-or-remove that number has to be a public constant.',
    source: 'arXiv:2605.15648; pytorch/opacus issue 571',
    field: 'normalise_by',
  };
};

const correlated: MechanismRule = ({ kind, sampler }) => {
  if (kind !== 'dp_ftrl_tree' && kind !== 'matrix_factorization') return undefined;
  const { min_separation: apart, max_participations: often } = sampler;
  // Whoever takes part once is apart from nothing.
  if (apart !== null || often === 1) return undefined;
  return {
    code: 'DPC-M2-participation-not-stated',
    level: 'warning',
    text: `The sensitivity of correlated noise depends on how often, and how far apart, a unit takes part; ${often === null ? 'neither' : 'how far apart'} is${often === null ? '' : ' not'} stated.`,
    source: 'arXiv:2103.00039, arXiv:2211.06530',
    field: 'sampler/min_separation',
  };
};

const layerless: MechanismRule = ({ kind, clip }) =>
  kind !== 'dp_sgd' || clip.norm !== null || clip.per !== null
    ? undefined
    : {
        code: 'DPC-C5-clipping-not-stated',
        level: 'note',
        text: 'Clipping is not stated. Without it nothing bounds what one unit adds.',
        source: 'arXiv:2303.00654 section 5.3',
        field: 'clip/norm',
      };

/** Clipping, noise and normalisation. */
export const mechanismRules: readonly FindingRule[] = [
  clippedTogether,
  clippedPerLayer,
  adaptiveClip,
  noisePerWorker,
  noiseOnMean,
  realised,
  correlated,
  layerless,
].map(perMechanism);
