import {
  flattenEvent,
  gaussianEvent,
  repeat,
  sequence,
  type BasicEvent,
  type DpEvent,
  type MixtureOfGaussiansEvent,
} from '../event.ts';

/** An event that costs no more, and one that costs no less, where tables for the event itself would take long. */
export interface Cover {
  readonly lower: DpEvent;
  readonly upper: DpEvent;
  /** Whether noise was added below, so that the two are far from each other and only RDP is quick above. */
  readonly isFar: boolean;
}

/** A shift of more deviations of the noise than this takes a table of thousands of pieces. */
const largestShift = 60;

/** A mixture of more Gaussians than this takes long, for each of thousands of places; of fewer than this hardly any shift is moved far. */
const [mostShifts, fewShifts] = [80, 64];

/**
 * Simpler events around one with hardly any noise, or of a unit with hundreds of records; undefined where there is no need.
 *
 * More noise never costs more, nor do smaller shifts; no mixture of shifts costs more than the largest of them.
 *
 * @example
 * ```ts
 * const bare = { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 0.001, samplingProbability: 0.1 } as const;
 * coverOf(bare).lower.events[0].noiseMultiplier; // ~0.016667
 * coverOf({ ...bare, noiseMultiplier: 1 }); // undefined
 * ```
 */
export function coverOf(event: DpEvent): Cover | undefined {
  const parts = flattenEvent(event);
  const isFar = parts.some(({ event: part }) => isBare(part));
  if (!isFar && parts.every(({ event: part }) => !isMany(part))) return undefined;
  const all = (cover: (part: BasicEvent) => BasicEvent): DpEvent =>
    sequence(parts.map(({ event: part, count }) => repeat(cover(part), count)));
  return { lower: all(lowerPart), upper: all(upperPart), isFar };
}

function isBare(part: BasicEvent): boolean {
  const shift = shiftOf(part);
  return shift !== undefined && 'noiseMultiplier' in part && part.noiseMultiplier < shift / largestShift;
}

function isMany(part: BasicEvent): part is MixtureOfGaussiansEvent {
  return part.kind === 'mixture-of-gaussians' && part.sensitivities.length > mostShifts;
}

/** By how much one step can move, in clip norms, of laws that take tables. */
function shiftOf(part: BasicEvent): number | undefined {
  switch (part.kind) {
    case 'mixture-of-gaussians':
      return Math.max(...part.sensitivities);
    case 'fixed-size-gaussian':
      return 2 * part.groupSize;
    case 'truncated-poisson-gaussian':
      return 2;
    case 'poisson-subsampled-gaussian':
      return part.samplingProbability === 1 ? undefined : 1;
    case 'balls-in-bins-gaussian':
      return 1;
    default:
      return undefined;
  }
}

function lowerPart(part: BasicEvent): BasicEvent {
  const enough =
    isBare(part) && 'noiseMultiplier' in part
      ? { ...part, noiseMultiplier: shiftOf(part)! / largestShift }
      : part;
  return isMany(enough) ? withFewShifts(enough, Math.min) : enough;
}

function upperPart(part: BasicEvent): BasicEvent {
  const isMixed = part.kind === 'mixture-of-gaussians' || part.kind === 'balls-in-bins-gaussian';
  if (isMixed && isBare(part)) return gaussianEvent(part.noiseMultiplier / shiftOf(part)!);
  return isMany(part) ? withFewShifts(part, Math.max) : part;
}

/** Neighbouring shifts as one: as the least of them from below, as the largest from above. */
function withFewShifts(
  event: MixtureOfGaussiansEvent,
  choose: (...shifts: number[]) => number,
): MixtureOfGaussiansEvent {
  const { sensitivities, probabilities } = event;
  const size = Math.ceil(sensitivities.length / fewShifts);
  const order = sensitivities.map((_, index) => index).sort((a, b) => sensitivities[a]! - sensitivities[b]!);
  const groups = Array.from({ length: Math.ceil(order.length / size) }, (_, group) =>
    order.slice(group * size, (group + 1) * size),
  );
  return {
    ...event,
    sensitivities: groups.map(group => choose(...group.map(index => sensitivities[index]!))),
    probabilities: groups.map(group => group.reduce((sum, index) => sum + probabilities[index]!, 0)),
  };
}
