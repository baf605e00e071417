import {
  flattenEvent,
  type BasicEvent,
  type DpEvent,
  type Neighbours,
  type TruncatedPoissonGaussianEvent,
} from '../event.ts';
import { directionsOf, type Composition } from '../laws/composition.ts';
import { lawsOf } from '../laws/event-laws.ts';
import { gaussianLaws } from '../laws/gaussian.ts';
import type { DirectedLaws, LossLaw } from '../laws/law.ts';
import { joined, weighted } from '../laws/truncated.ts';
import { truncatedSampling } from '../numerics/binomial-tail.ts';
import { gridComposer } from '../pld/pld.ts';
import { composedEpsilon } from '../profiles/search.ts';
import { upperEvent } from './claim-bounds.ts';
import type { Settings } from './claim-settings.ts';

/** Beyond these the grid takes long, and nobody printed what comes out. */
const [largestEpsilon, mostSteps] = [20, 1e5];

/**
 * Epsilon of truncated batches as dp_accounting has it: its `TruncatedSubsampledGaussianDpEvent` takes the truncated part as Poisson
 * sampling at half the noise with one record replaced, 4 clip norms apart, where 2 are enough.
 *
 * @param options - most: an upper bound on the true epsilon, to tell what is far out
 * @returns undefined where no batch is truncated, where several records of a unit are sampled, or far out
 */
export function truncatedLibraryEpsilon(
  settings: Settings,
  { most }: { readonly most: number },
): number | undefined {
  const { runs, neighbours, delta } = settings;
  const isFar = most > largestEpsilon || runs.some(({ steps }) => steps > mostSteps);
  if (isFar || runs.every(({ physicalCap }) => physicalCap === null)) return undefined;
  const event = upperEvent(settings);
  const composition = event === undefined ? undefined : compositionOf(event, neighbours);
  if (composition === undefined) return undefined;
  const question = { delta, relativeGap: 2e-4 };
  const { lower, upper } = composedEpsilon(directionsOf(composition), question, gridComposer).bound;
  return (lower + upper) / 2;
}

function compositionOf(whole: DpEvent, neighbours: Neighbours): Composition | undefined {
  const steps: { laws: DirectedLaws; count: number }[] = [];
  let square = 0;
  for (const { event, count } of flattenEvent(whole)) {
    if (event.kind === 'gaussian')
      square += count * ((neighbours === 'replace' ? 2 : 1) / event.noiseMultiplier) ** 2;
    else {
      const laws = lawsFor(event, neighbours);
      if (laws === undefined) return undefined;
      steps.push({ laws, count });
    }
  }
  return { gaussianRatio: Math.sqrt(square), steps };
}

function lawsFor(event: BasicEvent, neighbours: Neighbours): DirectedLaws | undefined {
  return event.kind === 'truncated-poisson-gaussian'
    ? libraryLaws(event, neighbours)
    : lawsOf(event, neighbours)?.dominating;
}

function libraryLaws(event: TruncatedPoissonGaussianEvent, neighbours: Neighbours): DirectedLaws | undefined {
  const { noiseMultiplier, samplingProbability } = event;
  const kind = 'poisson-subsampled-gaussian';
  const whole = gaussianLaws({ kind, noiseMultiplier, samplingProbability }, neighbours)?.dominating;
  const cut = truncatedSampling(event);
  if (whole === undefined || cut.truncationProbability < 1e-300) return whole;
  const halved = {
    noiseMultiplier: noiseMultiplier / 2,
    samplingProbability: cut.samplingProbabilityWhenTruncated,
  };
  const replaced = gaussianLaws({ kind, ...halved }, 'replace')?.dominating;
  if (replaced === undefined) return undefined;
  const truncated = weighted(replaced.remove, Math.log(cut.truncationProbability));
  const logWhole = Math.log1p(-cut.truncationProbabilityAtLeast);
  const blend = (law: LossLaw): LossLaw => joined(weighted(law, logWhole), truncated);
  const remove = blend(whole.remove);
  return { remove, add: whole.add === whole.remove ? remove : blend(whole.add) };
}
