import { flattenEvent, type BasicEvent, type CountedEvent, type Neighbours } from '../event.ts';
import { truncatedSampling } from '../numerics/binomial-tail.ts';
import { fixedSizeMixture } from './fixed-size.ts';

/** Parts without what ruins every moment, and what leaving that out costs in δ and in ε. */
export interface Trimmed {
  readonly parts: CountedEvent[];
  readonly delta: number;
  readonly epsilon: number;
}

/** One step without some of its mass: lost from both tables alike, or from the larger one alone. */
interface TrimmedStep {
  readonly event: BasicEvent;
  /** Mass of P alone. */
  readonly mass: number;
  /** δ of what both tables may do with the same probability, over one step. */
  readonly delta: number;
}

/**
 * Rare large losses ruin every moment, so mass of at most `budget` over all steps is left out; δ of guarantees is, whatever it is.
 *
 * - Large sensitivities of mixtures: with P = (1 - m)·P' + m·P'' per step, P is within m·steps of P' (removal), and
 *   P' <= P / (1 - m) (addition).
 * - Guarantees: (ε, δ)-DP is dominated by a pair that shows which table it was with probability δ and is (ε, 0)-DP otherwise (Kairouz, Oh,
 *   Viswanath, arXiv 1311.0776, Theorem 3.4); either table has the same δ, so it adds to δ and costs no ε.
 * - Cut batches: they are rarer than the budget for both tables alike.
 * - Repetitions: some run does so with at most the mean number of runs times a run's δ; what is left are fewer runs
 *   of the same family.
 *
 * @example
 * ```ts
 * const parts = [{ event: { kind: 'guarantee', epsilon: 1, delta: 1e-8 }, count: 50 }] as const;
 * trim(parts, { budget: 0, neighbours: 'replace' }).delta; // ~5.000e-7
 * ```
 */
export function trim(
  parts: readonly CountedEvent[],
  { budget, neighbours }: { readonly budget: number; readonly neighbours: Neighbours },
): Trimmed {
  const steps = parts.reduce((sum, { count }) => sum + count, 0);
  let [lost, shift] = [0, 0];
  const kept = parts.map(({ event, count }) => {
    const rest = trimStep(event, budget / steps, neighbours);
    lost += count * rest.mass;
    lost += count * rest.delta * (1 + 1e-15);
    shift -= count * Math.log1p(-rest.mass);
    return { event: rest.event, count };
  });
  return { parts: kept, delta: lost, epsilon: shift };
}

function trimStep(event: BasicEvent, budget: number, neighbours: Neighbours): TrimmedStep {
  if (event.kind === 'mixture-of-gaussians') return trimMixture(event, budget);
  if (event.kind === 'fixed-size-gaussian' && neighbours === 'add-or-remove')
    return trimMixture(fixedSizeMixture(event), budget);
  return { ...setAside(event, budget), mass: 0 };
}

function setAside(event: BasicEvent, budget: number): { event: BasicEvent; delta: number } {
  if (event.kind === 'guarantee') return { event: { ...event, delta: 0 }, delta: event.delta };
  if (event.kind === 'truncated-poisson-gaussian') {
    const { noiseMultiplier, samplingProbability } = event;
    const { truncationProbability: delta } = truncatedSampling(event);
    if (delta > budget) return { event, delta: 0 };
    return { event: { kind: 'poisson-subsampled-gaussian', noiseMultiplier, samplingProbability }, delta };
  }
  if (event.kind === 'repeat-and-select') {
    const inner = flattenEvent(event.event);
    const runs = inner.reduce((sum, { count }) => sum + count, 0) * event.meanRuns;
    const parts = inner.map(part => ({ ...part, ...setAside(part.event, budget / runs), count: part.count }));
    const delta = parts.reduce((sum, part) => sum + part.count * part.delta, 0) * event.meanRuns;
    const events = parts.map(part => ({ kind: 'repeated', event: part.event, count: part.count }) as const);
    return { event: { ...event, event: { kind: 'sequence', events } }, delta: delta * (1 + 1e-15) };
  }
  return { event, delta: 0 };
}

type Mixture = Extract<BasicEvent, { kind: 'mixture-of-gaussians' }>;

function trimMixture(event: Mixture, budget: number): TrimmedStep {
  let mass = 0;
  let kept = event.probabilities.length;
  while (kept > 1 && mass + event.probabilities[kept - 1]! <= budget) {
    kept -= 1;
    mass += event.probabilities[kept]!;
  }
  const probabilities = event.probabilities.slice(0, kept).map(value => value / (1 - mass));
  const trimmed = { ...event, sensitivities: event.sensitivities.slice(0, kept), probabilities };
  return { event: trimmed, mass, delta: 0 };
}
