import { convertGroup } from '../group.ts';
import type { Settings } from './claim-settings.ts';
import type { ConventionEpsilons } from './conventions.ts';

/** With less noise the lemma takes long, and nobody printed what comes out. */
const leastNoise = 0.3;

/**
 * Epsilon of a unit with several sampled records from that of one of them: by the lemma, with delta solved anew, and by RDP. Both are
 * upper bounds, and far above what the mixture gives; this is how most user-level numbers were made.
 *
 * @returns nothing where a unit has one record, or where these two don't apply
 */
export function groupEpsilons({ runs, neighbours, delta, selection }: Settings): ConventionEpsilons {
  const [run] = runs;
  if (run === undefined || runs.length > 1 || selection !== null || delta === 0) return {};
  const { law, sampling, physicalCap, noise, rate, steps, groupSize } = run;
  const isPlain = law === 'gaussian' && sampling === 'poisson' && physicalCap === null && noise > leastNoise;
  if (groupSize === 1 || !isPlain || neighbours === 'replace') return {};
  const options = { noiseMultiplier: noise, samplingProbability: rate, steps, groupSize, delta, neighbours };
  const [lemma, rdp] = [convertGroup(options, 'lemma').bound.upper, convertGroup(options, 'rdp').bound.upper];
  return { ...(lemma < Infinity && { 'group lemma': lemma }), ...(rdp < Infinity && { 'group rdp': rdp }) };
}
