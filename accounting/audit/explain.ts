import type { DpEvent } from '../event.ts';
import { sequence } from '../event.ts';
import type { ClaimReading } from './claim.ts';
import { runEvents, type EpsilonOfSettings } from './claim-bounds.ts';
import { givesPrint, type PrintedNumber } from './claim-printed.ts';
import type { Settings } from './claim-settings.ts';
import {
  conventionEpsilons,
  conventionTexts,
  usualEpsilons,
  type ConventionEpsilons,
} from './conventions.ts';
import { readingsOf, type Reading } from './readings.ts';

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
export function explain(settings: Settings, { claimed, records, epsilon }: ExplainOptions): Explanation {
  const readings = readingsOf(settings, { records }).filter((reading, _, [stated]) =>
    isAsked(reading, stated!),
  );
  const stated = conventionsOf(readings[0]!, conventionEpsilons);
  if (claimed === null) return { stated, readings: [], text: null };
  const cheap = readings.map((reading, index) =>
    scored(reading, claimed, index === 0 ? stated : conventionsOf(reading, usualEpsilons)),
  );
  const isFound = cheap.some(({ matches, cost }) => matches && cost <= 1);
  const exact = epsilon(readings[0]!.settings).upper;
  const isNear = exact < farOff * claimed.value && claimed.value < farOff * exact;
  const dear = readings
    .slice(0, isFound || !isNear ? 1 : mostExact)
    .map(reading => scored(reading, claimed, { exact: epsilon(reading.settings).upper }));
  const all = [...cheap, ...dear].toSorted(better);
  const best = firstOfEach(all);
  return {
    stated,
    readings: best.map(withoutCost),
    text: sentence(best[0], claimed),
  };
}

/** RDP under replacement takes long, and hardly anyone printed it: only rounding is looked at there. */
function isAsked({ settings, cost }: Reading, stated: Reading): boolean {
  return stated.settings.neighbours !== 'replace' || settings.neighbours !== 'replace' || cost <= 1;
}

/** An exact answer takes a hundred times as long as a convention's, so only the simplest readings get one. */
const mostExact = 3;

/** Simple readings move epsilon by less than this factor. */
const farOff = 3;

function conventionsOf({ settings }: Reading, ask: typeof conventionEpsilons): ConventionEpsilons {
  const events = settings.runs.map(run => runEvents(run, settings.neighbours).upper);
  const known = events.filter((event): event is DpEvent => event !== undefined);
  if (known.length < events.length) return {};
  return ask(sequence(known), settings);
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
      matches: givesPrint(epsilon, claimed, { within: cost === 0 ? 0.02 : 0.005 }),
    };
    if (best === undefined || Math.abs(difference) < Math.abs(best.difference) - sameConvention) best = next;
  }
  return (
    best ?? { name, text, cost, convention: 'none', epsilon: Infinity, difference: Infinity, matches: false }
  );
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

function sentence(best: Scored | undefined, { text }: PrintedNumber): string | null {
  if (best === undefined || !best.matches) return null;
  return `${text} is what comes out ${best.text}, by ${conventionText(best.convention)} (${best.epsilon.toPrecision(5)}).`;
}

function conventionText(convention: string): string {
  const known = Object.entries(conventionTexts).find(([name]) => name === convention);
  return known?.[1] ?? 'an exact accountant';
}
