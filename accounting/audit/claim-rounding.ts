import type { Interval } from '../accountant.ts';
import type { Claim, ClaimMechanism } from './claim.ts';
import { readPrinted } from './claim-printed.ts';
import { isSampled, roundSteps } from './claim-settings.ts';

/** Which end of what the printed settings stand for: the best or the worst for privacy. */
export type RoundingEnd = 'best' | 'worst';

/** A setting that may have been another number than the one that was printed. */
export interface MovedSetting {
  /** JSON pointer. */
  readonly field: string;
  /** Such as `noise.multiplier`. */
  readonly name: string;
  readonly printed: string;
  /** The end that was taken. */
  readonly value: number;
  /** Share of the printed number by which that differs. */
  readonly slack: number;
  /** What to ask the author. */
  readonly question: string;
}

/** A claim with its settings at one end of their rounding. */
export interface RoundedClaim {
  /** Its numbers are exact. */
  readonly claim: Claim;
  /** Empty where all settings are exact. */
  readonly moved: readonly MovedSetting[];
}

/**
 * A claim with every setting at one end of what its digits stand for.
 *
 * A number with decimals stands for everything that rounds to it. Whole numbers are exact; so is a delta of one digit, which people
 * choose. Ends are taken one by one, so that what is between them is covered however the settings hang together.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * const claim = claimOf({ mechanisms: [{ kind: 'gaussian', noise: { multiplier: '0.71' } }] });
 * roundedClaim(claim, 'best').claim.mechanisms[0].noise.multiplier; // 0.715
 * roundedClaim(claim, 'worst').moved[0].value; // 0.705
 * ```
 */
export function roundedClaim(claim: Claim, end: RoundingEnd): RoundedClaim {
  const ends = claim.mechanisms.map((mechanism, index) =>
    isExact(mechanism) ? { mechanism, moved: [] } : new RunEnds(claim, index).at(end),
  );
  const { value: delta, moved } = deltaEnd(claim, end);
  const { digits: _, ...exact } = claim;
  return {
    claim: {
      ...exact,
      guarantee: { ...claim.guarantee, delta },
      mechanisms: ends.map(({ mechanism }) => ({ ...mechanism, settings: 'exact' })),
    },
    moved: [...ends.flatMap(found => found.moved), ...moved],
  };
}

/**
 * What the digits of a setting stand for.
 *
 * @param field - its JSON pointer
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * standsFor(claimOf({}), { field: '/mechanisms/0/noise/multiplier', value: 1.1 }); // { lower: 1.05, upper: 1.15 }
 * standsFor(claimOf({}), { field: '/mechanisms/0/noise/multiplier', value: 1 }); // { lower: 1, upper: 1 }
 * ```
 */
export function standsFor(
  claim: Claim,
  setting: { readonly field: string; readonly value: number },
): Interval {
  const text = printedDigits(claim, setting);
  return isWhole(text) ? only(setting.value) : readPrinted(text, '=').stands;
}

/** As {@link standsFor}; a delta of one digit, or of 0, is exact. */
export function deltaStands(
  claim: Claim,
  setting: { readonly field: string; readonly value: number },
): Interval {
  const mantissa = printedDigits(claim, setting).replace(/e.*$/i, '');
  const digits = mantissa.replace(/[^\d]/g, '').replace(/^0+/, '');
  if (digits.length <= 1 || isSettled(claim)) return only(setting.value);
  const { lower, upper } = standsFor(claim, setting);
  return { lower, upper: Math.min(upper, 1 - 2 ** -53) };
}

/**
 * The digits of a number of the claim as they were printed; its shortest form where only the number is known.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * printedDigits(claimOf({ guarantee: { delta: '1.0e-6' } }), { field: '/guarantee/delta', value: 1e-6 }); // '1.0e-6'
 * ```
 */
export function printedDigits(
  { digits }: Claim,
  { field, value }: { readonly field: string; readonly value: number },
): string {
  const text = digits?.[field];
  return text !== undefined && Number(text) === value ? text : String(value);
}

/**
 * What the digits of a bound that others published stand for; from 0 where there is none.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * evidenceStands(claimOf({ evidence: { kind: 'lower_bound', epsilon: '2.8' } })); // { lower: 2.75, upper: 2.85 }
 * ```
 */
export function evidenceStands(claim: Claim): Interval {
  const { epsilon } = claim.evidence;
  if (epsilon === null) return { lower: 0, upper: Infinity };
  return readPrinted(printedDigits(claim, { field: '/evidence/epsilon', value: epsilon }), '=').stands;
}

function isWhole(text: string): boolean {
  return !/\.\d/.test(text) && Number.isInteger(Number(text));
}

function only(value: number): Interval {
  return { lower: value, upper: value };
}

function isExact({ settings }: ClaimMechanism): boolean {
  return settings === 'exact';
}

/** Whether all settings are exact, so that delta is. */
function isSettled({ mechanisms }: Claim): boolean {
  return mechanisms.length > 0 && mechanisms.every(isExact);
}

function deltaEnd(claim: Claim, end: RoundingEnd): { value: number | null; moved: readonly MovedSetting[] } {
  const { delta } = claim.guarantee;
  if (delta === null) return { value: null, moved: [] };
  const field = '/guarantee/delta';
  const stands = deltaStands(claim, { field, value: delta });
  const value = end === 'best' ? stands.upper : stands.lower;
  if (value === delta) return { value, moved: [] };
  const printed = printedDigits(claim, { field, value: delta });
  const moved = { field, name: 'delta', printed, value, slack: slackOf(value, delta) };
  return { value, moved: [{ ...moved, question: moreDigits(moved) }] };
}

function slackOf(value: number, stated: number): number {
  return Math.abs(value / stated - 1);
}

function moreDigits({ name, printed }: Pick<MovedSetting, 'name' | 'printed'>): string {
  return `What is ${name} in more digits than ${printed}?`;
}

/** Names of settings with decimals by their place in a mechanism. */
const names = {
  'noise/multiplier': 'noise.multiplier',
  'sampler/rate': 'sampler.rate',
  'sampler/batch_size': 'sampler.batch_size',
  epochs: 'epochs',
  sensitivity: 'sensitivity',
} as const;

type Place = keyof typeof names;

interface Stands extends Interval {
  readonly printed: string;
  readonly value: number;
  readonly question?: string;
}

/** What the settings of one mechanism stand for. */
class RunEnds {
  readonly #claim: Claim;
  readonly #mechanism: ClaimMechanism;
  readonly #path: string;
  readonly #stands: ReadonlyMap<Place, Stands>;

  constructor(claim: Claim, index: number) {
    this.#claim = claim;
    this.#mechanism = claim.mechanisms[index]!;
    this.#path = `/mechanisms/${index}`;
    this.#stands = this.#read();
  }

  at(end: RoundingEnd): { readonly mechanism: ClaimMechanism; readonly moved: readonly MovedSetting[] } {
    const better = end === 'best' ? ('upper' as const) : ('lower' as const);
    const other = end === 'best' ? ('lower' as const) : ('upper' as const);
    const { noise, sampler, epochs, sensitivity, steps, ...rest } = this.#mechanism;
    const multiplier = this.#end('noise/multiplier', better) ?? noise.multiplier;
    const mechanism: ClaimMechanism = {
      ...rest,
      noise: { ...noise, multiplier: multiplier === null ? null : multiplier * this.#noiseOfBatch(better) },
      sampler: {
        ...sampler,
        rate: this.#end('sampler/rate', other) ?? sampler.rate,
        batch_size: this.#end('sampler/batch_size', other) ?? sampler.batch_size,
      },
      epochs: this.#end('epochs', other) ?? epochs,
      sensitivity: this.#end('sensitivity', other) ?? sensitivity,
      steps: steps ?? this.#stepsAt(other),
    };
    return { mechanism, moved: this.#moved(end) };
  }

  #moved(end: RoundingEnd): MovedSetting[] {
    return [...this.#stands].flatMap(([place, { printed, value: stated, lower, upper, question }]) => {
      const isMoreBetter = place === 'noise/multiplier';
      const value = isMoreBetter === (end === 'best') ? upper : lower;
      const moved = { field: `${this.#path}/${place}`, name: names[place], printed, value };
      const asked = question ?? moreDigits(moved);
      return value === stated ? [] : [{ ...moved, slack: slackOf(value, stated), question: asked }];
    });
  }

  #end(place: Place, side: keyof Interval): number | undefined {
    return this.#stands.get(place)?.[side];
  }

  #read(): Map<Place, Stands> {
    const { noise, sampler, epochs, sensitivity, steps } = this.#mechanism;
    const found = new Map<Place, Stands>();
    const read = (place: Place, value: number | null): void => {
      if (value === null) return;
      const setting = { field: `${this.#path}/${place}`, value };
      const stands = {
        value,
        printed: printedDigits(this.#claim, setting),
        ...standsFor(this.#claim, setting),
      };
      if (stands.lower < stands.upper) found.set(place, stands);
    };
    read('noise/multiplier', noise.multiplier);
    read('sampler/batch_size', sampler.batch_size);
    if (sampler.rate !== 1) read('sampler/rate', sampler.rate);
    // Where steps are stated, too, they say how many epochs were whole.
    if (steps === null) read('epochs', epochs);
    read('sensitivity', sensitivity);
    const rate = this.#rate(found);
    if (rate === undefined) found.delete('sampler/rate');
    else found.set('sampler/rate', rate);
    return found;
  }

  /** Where batch and table are known a rate is one of few: batch ÷ table, or one over the batches of an epoch, as libraries have it. */
  #rate(found: ReadonlyMap<Place, Stands>): Stands | undefined {
    const { sampler, n_units: units } = this.#mechanism;
    const { batch_size: batch, kind } = sampler;
    const stated = found.get('sampler/rate');
    if (units === null || batch === null || found.has('sampler/batch_size')) return stated && capped(stated);
    if (batch > units || kind === 'cyclic_poisson' || !isSampled(this.#mechanism))
      return stated && capped(stated);
    const batches = Number((units / batch).toPrecision(14));
    const known = { lower: 1 / Math.ceil(batches), upper: 1 / Math.floor(batches) };
    if (stated !== undefined) return narrowed(stated, known);
    if (sampler.rate !== null || !loaderKinds.has(kind)) return undefined;
    const value = batch / units;
    if (known.lower >= value) return undefined;
    const printed = `${batch} ÷ ${units}`;
    const question = `Was a unit drawn with probability ${printed}, or with one over the ${Math.ceil(batches)} batches of an epoch?`;
    return { value, printed, question, lower: known.lower, upper: value };
  }

  /** Steps that follow from epochs are counted at the other end of rate and epochs, since fewer are better at any rate. */
  #stepsAt(side: keyof Interval): number | null {
    const { epochs: stated, rounding, sampler, n_units: units, steps } = this.#mechanism;
    const isMoved =
      this.#stands.has('epochs') ||
      this.#stands.has('sampler/rate') ||
      this.#stands.has('sampler/batch_size');
    const epochs = this.#end('epochs', side) ?? stated;
    const batch = this.#end('sampler/batch_size', side === 'lower' ? 'upper' : 'lower') ?? sampler.batch_size;
    const ofBatch = batch === null || units === null ? null : Math.min(1, batch / units);
    const rate = this.#end('sampler/rate', side === 'lower' ? 'upper' : 'lower') ?? sampler.rate ?? ofBatch;
    if (!isMoved || epochs === null || rate === null || !isSampled(this.#mechanism)) return steps;
    return Math.max(1, roundSteps(epochs, 1 / rate, rounding ?? (side === 'lower' ? 'floor' : 'ceil')));
  }

  /** Noise that grows with the batch has to be that of the other end of the batch. */
  #noiseOfBatch(side: keyof Interval): number {
    const { noise, sampler } = this.#mechanism;
    const batch = this.#stands.get(sampler.batch_size === null ? 'sampler/rate' : 'sampler/batch_size');
    if (batch === undefined || !(batch.lower > 0)) return 1;
    const onMean = noise.applied_to === 'mean' && noise.relative_to !== 'sensitivity' ? 1 : 0;
    const power = onMean + (noise.per === 'microbatch' ? 0.5 : 0);
    const best = (batch.upper / batch.lower) * this.#fillOfBatch(batch.upper);
    return (side === 'upper' ? best : batch.lower / batch.upper) ** power;
  }

  /** A batch that is not stated ÷ its expected size, at most: one over a whole number of batches may be the rate of larger ones. */
  #fillOfBatch(rate: number): number {
    const { sampler } = this.#mechanism;
    if (sampler.batch_size !== null || !loaderKinds.has(sampler.kind)) return 1;
    return Math.min(1 / rate, 1 / (1 - rate));
  }
}

/** Batches that may have been drawn with one over the number of batches. */
const loaderKinds: ReadonlySet<ClaimMechanism['sampler']['kind']> = new Set(['poisson', 'unknown', null]);

function capped(rate: Stands): Stands {
  return { ...rate, upper: Math.min(1, rate.upper) };
}

/** What both say, and the printed number itself; the print alone where they have nothing in common. */
function narrowed(printed: Stands, known: Interval): Stands | undefined {
  const [lower, upper] = [Math.max(printed.lower, known.lower), Math.min(printed.upper, known.upper)];
  if (lower > upper) return capped(printed);
  const both = { ...printed, lower: Math.min(lower, printed.value), upper: Math.max(upper, printed.value) };
  return both.lower < both.upper ? both : undefined;
}
