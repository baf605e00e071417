import type { DpEvent } from '../event.ts';
import type { ClaimReading } from './claim.ts';
import { upperEvent, type EpsilonOfSettings } from './claim-bounds.ts';
import { givesPrint, type PrintedNumber } from './claim-printed.ts';
import type { Settings } from './claim-settings.ts';
import {
  conventionEpsilons,
  conventionTexts,
  usualEpsilons,
  type ConventionEpsilons,
} from './conventions.ts';
import { groupEpsilons } from './group-conventions.ts';
import { libraryEpsilons } from './library-conventions.ts';
import { directionEpsilons } from './one-direction.ts';
import { readingsOf, refinementsOf, type Reading } from './readings.ts';

/** What a search for the printed number found. */
export interface Explanation {
  /** By convention, from the stated settings. */
  readonly stated: ConventionEpsilons;
  /** The best of each reading that was tried, the best of all first. */
  readonly readings: readonly ClaimReading[];
  readonly text: string | null;
}

/** What is looked for. */
export interface ExplainOptions {
  readonly claimed: PrintedNumber | null;
  /** Of one unit, where several are possible. */
  readonly records: number | null;
  readonly epsilon: EpsilonOfSettings;
}

/** Readings that differ from the stated settings by rounding only. */
const simple = /^(stated|steps-|rate-one-of-)/;

/**
 * Whether a reading is what was stated, but for rounding, and gives the printed number.
 *
 * @example
 * ```ts
 * isStatedMatch({ name: 'batch-512', matches: true }); // false
 * ```
 */
export function isStatedMatch({ name, matches }: Pick<ClaimReading, 'name' | 'matches'>): boolean {
  return matches && simple.test(name);
}

type Scored = ClaimReading & { readonly cost: number };

/**
 * Searches for a reading of the settings, and a convention of the time, that give the printed number.
 */
export function explain(settings: Settings, options: ExplainOptions): Explanation {
  const { claimed, records, epsilon } = options;
  const readings = readingsOf(settings, { records }).filter((reading, _, [stated]) =>
    isAsked(reading, stated!),
  );
  const stated = {
    ...conventionsOf(readings[0]!, conventionEpsilons),
    ...libraryEpsilons(settings, { most: nearby(epsilon(settings).upper, claimed) }),
    ...(epsilon(settings).lower < mostOfGroup && groupEpsilons(settings)),
  };
  if (claimed === null) return { stated, readings: [], text: null };
  const cheap = readings.map((reading, index) =>
    scored(reading, claimed, index === 0 ? stated : conventionsOf(reading, usualEpsilons)),
  );
  const own = scored(readings[0]!, claimed, exactOf(settings, epsilon));
  const dear = dearReadings(readings, [own, ...cheap], { ...options, claimed });
  const single = [own, ...cheap, ...dear];
  const all = [...single, ...(isFoundIn(single) ? [] : pairsOf(readings, cheap, claimed))].toSorted(better);
  const best = firstOfEach(all);
  return {
    stated,
    readings: best.map(withoutCost),
    text: sentence(best[0], claimed),
  };
}

/** With a choice among runs no accountant is exact. */
function exactOf(settings: Settings, epsilon: EpsilonOfSettings): Readonly<Record<string, number>> {
  return settings.selection === null ? { exact: epsilon(settings).upper } : {};
}

/** An upper bound that is so far from the print that nobody could have meant it counts as none. */
function nearby(upper: number, claimed: PrintedNumber | null): number {
  if (claimed === null) return Infinity;
  return upper < 2 * claimed.value && claimed.value < 2 * upper ? upper : Infinity;
}

function isFoundIn(found: readonly Scored[], most = Infinity): boolean {
  return found.some(({ matches, cost }) => matches && cost <= most);
}

/** What takes an exact accountant: a few readings, and the stated one in one direction where the print is below both together. */
function dearReadings(
  readings: readonly Reading[],
  cheap: readonly Scored[],
  { claimed, epsilon }: ExplainOptions & { readonly claimed: PrintedNumber },
): Scored[] {
  const exact = epsilon(readings[0]!.settings);
  const isNear = exact.upper < farOff * claimed.value && claimed.value < farOff * exact.upper;
  const exactly = (reading: Reading): Scored =>
    scored(reading, claimed, { exact: epsilon(reading.settings).upper });
  const found = readings
    .slice(0, isFoundIn(cheap, 1) || !isNear || claimed.stands.lower === 0 ? 1 : mostExact)
    .map(exactly);
  const isBeyond = claimed.stands.upper < exact.lower;
  const isOpen = !isFoundIn([...cheap, ...found], 1);
  return [
    ...found,
    // Several times the epsilon of one record costs no accountant anything.
    ...readings.filter(({ times }) => times > 1).map(exactly),
    ...(isOpen && isBeyond ? readings.filter(({ name }) => name === 'one-epoch').map(exactly) : []),
    ...(isOpen && isBeyond && isNear ? directed(readings[0]!, claimed) : []),
  ];
}

function directed(stated: Reading, claimed: PrintedNumber): Scored[] {
  const found = askedOf(stated, directionEpsilons) ?? {};
  return Object.entries(found).map(([direction, { upper }]) => {
    const pair = direction === 'add' ? 'with one unit more' : 'with one unit less';
    const text = `from the stated settings in one direction only, for a table ${pair}`;
    return scored({ ...stated, name: `direction-${direction}`, text, cost: 1 }, claimed, { exact: upper });
  });
}

/** A second change explains nothing unless the first one comes this near, and the print is this fine. */
const [nearEnough, finePrint] = [0.02, 1e-3];

function pairsOf(readings: readonly Reading[], cheap: readonly Scored[], claimed: PrintedNumber): Scored[] {
  if (claimed.unit / 2 > finePrint * claimed.value || claimed.stands.lower === 0) return [];
  const pairs = readings.flatMap((reading, index) => {
    const { difference, convention } = cheap[index]!;
    if (Math.abs(difference) > nearEnough) return [];
    return refinementsOf(reading).map(pair => {
      const found = Object.entries(conventionsOf(pair, usualEpsilons));
      return scored(pair, claimed, Object.fromEntries(found.filter(([name]) => name === convention)));
    });
  });
  // One that misses is no help beside the single change that it came from.
  return pairs.filter(({ matches }) => matches);
}

/** RDP under replacement takes long, and hardly anyone printed it: only rounding is looked at there. */
function isAsked({ settings, cost }: Reading, stated: Reading): boolean {
  return stated.settings.neighbours !== 'replace' || settings.neighbours !== 'replace' || cost <= 1;
}

/** Nobody prints more than this for a unit with several records, and the lemma takes long there. */
const mostOfGroup = 100;

/** An exact answer takes a hundred times as long as a convention's, so only the simplest readings get one. */
const mostExact = 3;

/** Simple readings move epsilon by less than this factor. */
const farOff = 3;

function conventionsOf(reading: Reading, ask: typeof conventionEpsilons): ConventionEpsilons {
  return askedOf(reading, ask) ?? {};
}

function askedOf<Answer>(
  { settings }: Reading,
  ask: (event: DpEvent, settings: Settings) => Answer,
): Answer | undefined {
  const event = upperEvent(settings);
  return event === undefined ? undefined : ask(event, settings);
}

/** Of conventions that differ by less the one listed first, which is the commoner, is named. */
const sameConvention = 5e-4;

function scored(
  { name, text, cost, times }: Reading,
  claimed: PrintedNumber,
  found: Readonly<Record<string, number | undefined>>,
): Scored {
  let best: Scored | undefined;
  for (const [convention, single] of Object.entries(found)) {
    if (single === undefined || !Number.isFinite(single)) continue;
    const epsilon = single * times;
    const difference = epsilon / claimed.value - 1;
    const next = {
      name,
      text,
      cost,
      convention,
      epsilon,
      difference,
      matches: isMatch(epsilon, claimed, { name, cost }),
    };
    if (best === undefined || Math.abs(difference) < Math.abs(best.difference) - sameConvention) best = next;
  }
  return (
    best ?? { name, text, cost, convention: 'none', epsilon: Infinity, difference: Infinity, matches: false }
  );
}

/** How near a reading has to come, by its cost, however coarse the print is. */
const nearness: readonly number[] = [0.02, 0.005, 0.003, 0.003];

/** From here on a reading is one of many, and some of them hit by chance. */
const farFetched = 4;

/** The more far-fetched a reading is, the nearer it has to come. */
function isMatch(
  epsilon: number,
  claimed: PrintedNumber,
  { name, cost }: Pick<Scored, 'name' | 'cost'>,
): boolean {
  // Epsilon of one epoch is printed too often to be a chance.
  const within = name === 'one-epoch' ? 0.02 : (nearness[cost] ?? 0.02);
  if (cost < farFetched) return givesPrint(epsilon, claimed, { within });
  // A limit was chosen beforehand; nothing has to give it.
  if (claimed.stands.lower === 0) return false;
  const limit = Math.min(claimed.unit / 2, 0.003 * claimed.value);
  return Math.abs(epsilon - claimed.value) <= limit * (1 + 1e-9);
}

function better(a: Scored, b: Scored): number {
  if (a.matches !== b.matches) return a.matches ? -1 : 1;
  const byCost = a.matches ? a.cost - b.cost : 0;
  return byCost || Math.abs(a.difference) - Math.abs(b.difference) || 0;
}

function withoutCost(scored: Scored): ClaimReading {
  const { name, text, convention, epsilon, difference, matches } = scored;
  return { name, text, convention, epsilon, difference, matches };
}

function firstOfEach(readings: readonly Scored[]): Scored[] {
  const known = new Set<string>();
  return readings.filter(({ name }) => !known.has(name) && known.add(name) !== undefined);
}

function sentence(best: Scored | undefined, claimed: PrintedNumber): string | null {
  if (best === undefined || !best.matches) return null;
  const isChance = best.cost >= farFetched && claimed.unit / 2 > finePrint * claimed.value;
  const chance = isChance ? ' Many readings were tried, so that may be chance.' : '';
  return `${claimed.text} is what comes out ${best.text}, by ${conventionText(best.convention)} (${best.epsilon.toPrecision(5)}).${chance}`;
}

/**
 * A convention in words, as the end of "by ...".
 *
 * @example
 * ```ts
 * conventionText('group lemma'); // 'the group-privacy lemma from the epsilon of one record'
 * ```
 */
export function conventionText(convention: string): string {
  const known = Object.entries(conventionTexts).find(([name]) => name === convention);
  return known?.[1] ?? 'an exact accountant';
}
