import { DpError } from '../check.ts';
import { parseEvent } from '../event-json.ts';
import { flattenEvent, type BasicEvent, type DpEvent, type Neighbours } from '../event.ts';
import { lawsOf, type LawOptions } from './event-laws.ts';
import { shuffledEpochs } from './shuffle.ts';
import type { DirectedLaws, EventLaws, LossLaw } from './law.ts';

/** Steps as the accountants see them: all plain Gaussians as one, and the other laws with their counts. */
export interface Composition {
  /** Sensitivity ÷ noise of all plain Gaussians together; 0 where there are none. */
  readonly gaussianRatio: number;
  readonly steps: readonly { readonly laws: DirectedLaws; readonly count: number }[];
}

/** One direction of a composition. */
export interface DirectedComposition {
  readonly direction: keyof DirectedLaws;
  readonly gaussianRatio: number;
  readonly steps: readonly { readonly law: LossLaw; readonly count: number }[];
}

/** What bounds come from: above from `dominating`, below from `attained`, which are the same object where all steps are tight. */
export interface Compositions {
  readonly dominating?: Composition | undefined;
  readonly attained?: Composition | undefined;
}

interface CountedLaws {
  readonly event: BasicEvent;
  readonly laws: EventLaws;
  readonly count: number;
}

/**
 * The first part of an event that has no laws under the relation, in words; undefined where all have.
 *
 * @example
 * ```ts
 * const event = { kind: 'randomised-response', randomProbability: 0.5, buckets: 2 } as const;
 * partWithoutLaws(event, 'add-or-remove'); // 'randomised-response under add-or-remove'
 * ```
 */
export function partWithoutLaws(event: DpEvent, neighbours: Neighbours): string | undefined {
  const part = flattenEvent(event).find(each => lawsOf(each.event, neighbours) === undefined);
  return part === undefined ? undefined : `${part.event.kind} under ${neighbours}`;
}

/**
 * Checks an event and sorts its steps.
 *
 * Gaussians compose exactly: the squares of sensitivity ÷ noise add up. A part without attained laws is left out below:
 * whoever doesn't see it knows no more.
 *
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT` naming the part without laws
 */
export function compositionsOf(
  event: DpEvent,
  { neighbours, verb, relativeGap }: LawOptions & { readonly neighbours: Neighbours; readonly verb: string },
): Compositions {
  const parts = flattenEvent(parseEvent(event)).map(({ event: basic, count }) => {
    const laws = lawsOf(basic, neighbours, { relativeGap });
    if (laws !== undefined) return { event: basic, count: count * repetitionsOf(basic), laws };
    const remedy = 'Use neighbours or an accountant that support it';
    const missing = `${basic.kind} under ${neighbours}`;
    throw new DpError('UNSUPPORTED_EVENT', `Cannot ${verb}: no bound is known for ${missing}. ${remedy}.`);
  });
  const isTight = parts.every(({ laws }) => laws.dominating === laws.attained);
  const attained = compose(parts, 'attained', neighbours);
  if (isTight) return { dominating: attained, attained };
  const isBounded = parts.every(({ laws }) => laws.dominating !== undefined);
  return { attained, dominating: isBounded ? compose(parts, 'dominating', neighbours) : undefined };
}

/** Whether neither direction reveals anything: then the step is as good as none. */
function isSilent({ remove, add }: DirectedLaws): boolean {
  const isNothing = ({ curves, atoms, infinite }: LossLaw): boolean =>
    curves.length === 0 && infinite === 0 && atoms.every(({ loss }) => loss === 0);
  return isNothing(remove) && isNothing(add);
}

/** How often the law of an event is composed with itself to make the event. */
function repetitionsOf(event: BasicEvent): number {
  return event.kind === 'shuffled-gaussian' ? shuffledEpochs(event) : 1;
}

function compose(parts: readonly CountedLaws[], side: keyof EventLaws, neighbours: Neighbours): Composition {
  const sensitivity = neighbours === 'replace' ? 2 : 1;
  let square = 0;
  const steps: { laws: DirectedLaws; count: number }[] = [];
  for (const { event, laws, count } of parts) {
    const directed = laws[side];
    const ratio = gaussianRatio(event);
    if (ratio !== undefined) square += count * (sensitivity * ratio) ** 2;
    else if (directed !== undefined && !isSilent(directed)) steps.push({ laws: directed, count });
  }
  // Rounded up, so that what rounding squares and their sum lost can't be missing above.
  return { gaussianRatio: Math.sqrt(square) * (square > 0 ? 1 + 4e-16 : 1), steps };
}

/** Sensitivity ÷ noise under add-or-remove of an event that is a plain Gaussian, or 0 where it reveals nothing. */
function gaussianRatio(event: BasicEvent): number | undefined {
  if (event.kind === 'gaussian') return 1 / event.noiseMultiplier;
  if (event.kind === 'poisson-subsampled-gaussian')
    return event.samplingProbability === 1 ? 1 / event.noiseMultiplier : undefined;
  if (event.kind !== 'mixture-of-gaussians') return undefined;
  const used = event.sensitivities.filter((_, index) => event.probabilities[index]! > 0);
  if (used.every(sensitivity => sensitivity === 0)) return 0;
  return used.length === 1 ? used[0]! / event.noiseMultiplier : undefined;
}

/**
 * The directions of a composition; one of them where all laws are their own reverse.
 *
 * @example
 * ```ts
 * const { dominating } = compositionsOf({ kind: 'guarantee', epsilon: 1, delta: 0 }, { neighbours: 'replace', verb: 'try' });
 * directionsOf(dominating).map(({ direction }) => direction); // ['remove']
 * ```
 */
export function directionsOf({ gaussianRatio, steps }: Composition): DirectedComposition[] {
  const isSymmetric = steps.every(({ laws }) => laws.remove === laws.add);
  const directions = isSymmetric ? (['remove'] as const) : (['remove', 'add'] as const);
  return directions.map(direction => ({
    direction,
    gaussianRatio,
    steps: steps.map(({ laws, count }) => ({ law: laws[direction], count })),
  }));
}
