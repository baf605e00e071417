import { checkCount } from '../accounting/check.ts';

/** Values of one power of two are told apart in this many steps of equal width. */
const steps = 512;

const verb = 'describe sizes';

/** Sizes of records or users at a glance; raw values, not private. */
export interface SizeStatistics {
  readonly count: number;
  readonly total: number;
  /** 0 where nothing was counted, as are `maximum`, `mean` and the quantiles. */
  readonly minimum: number;
  readonly maximum: number;
  readonly mean: number;
  readonly quantiles: readonly { readonly share: number; readonly value: number }[];
}

/** Quantiles that are shown unless others are asked for. */
export const defaultShares: readonly number[] = [0.25, 0.5, 0.75, 0.9, 0.99];

/** Values below 2 · steps have a slot each, then every power of two has `steps`. */
function slotOf(value: number): number {
  if (value < 2 * steps) return value;
  const exponent = exponentOf(value);
  return steps * exponent + Math.floor(value / 2 ** exponent);
}

/** How often a value has to be halved to lie below 2 · steps. */
function exponentOf(value: number): number {
  let exponent = Math.floor(Math.log2(value)) - Math.log2(steps);
  while (value / 2 ** exponent >= 2 * steps) exponent += 1;
  while (value / 2 ** exponent < steps) exponent -= 1;
  return exponent;
}

/** Least value of a slot. */
function valueOf(slot: number): number {
  if (slot < 2 * steps) return slot;
  const exponent = Math.floor(slot / steps) - 1;
  return (slot - steps * exponent) * 2 ** exponent;
}

/**
 * Counts whole numbers into slots, exactly below 1,024 and in steps of at most 1/512 of the value above: lengths of
 * records, or tokens of users, of which a table may hold as many different ones as it has rows. Any number of values
 * takes at most 200 kB; the sums of parts are the sums of the whole, whatever the parts.
 */
export class SizeHistogram {
  #slots: Float64Array = new Float64Array(4 * steps);
  #count = 0;
  #total = 0;
  #minimum = Infinity;
  #maximum = 0;

  /**
   * Counts one value, `times` times.
   *
   * @param value - whole, 0 to 2^53 - 1; not checked, since this is the inner loop of a pass over the table
   */
  add(value: number, times: number = 1): void {
    const slot = slotOf(value);
    if (slot >= this.#slots.length) this.#grow(slot);
    this.#slots[slot]! += times;
    this.#count += times;
    this.#total += value * times;
    if (value < this.#minimum) this.#minimum = value;
    if (value > this.#maximum) this.#maximum = value;
  }

  /** Adds what another one counted. */
  merge(other: SizeHistogram): void {
    if (other.#slots.length > this.#slots.length) this.#grow(other.#slots.length - 1);
    for (const [slot, times] of other.#slots.entries()) this.#slots[slot]! += times;
    this.#count += other.#count;
    this.#total += other.#total;
    this.#minimum = Math.min(this.#minimum, other.#minimum);
    this.#maximum = Math.max(this.#maximum, other.#maximum);
  }

  /**
   * Count, sum and extremes are exact; a quantile is the least value of its slot, so up to 1/512 below the true one.
   *
   * @param shares - each in (0, 1]; the quantile is the value at place ⌈share · count⌉ in ascending order
   */
  statistics(shares: readonly number[] = defaultShares): SizeStatistics {
    return {
      count: this.#count,
      total: this.#total,
      minimum: this.#count === 0 ? 0 : this.#minimum,
      maximum: this.#maximum,
      mean: this.#count === 0 ? 0 : this.#total / this.#count,
      quantiles: shares.map(share => ({ share, value: this.#quantile(share) })),
    };
  }

  #quantile(share: number): number {
    const place = Math.ceil(share * this.#count);
    let passed = 0;
    for (const [slot, times] of this.#slots.entries()) {
      passed += times;
      if (times > 0 && passed >= place) return Math.max(valueOf(slot), this.#minimum);
    }
    return this.#maximum;
  }

  #grow(slot: number): void {
    const grown = new Float64Array(Math.max(slot + 1, 2 * this.#slots.length));
    grown.set(this.#slots);
    this.#slots = grown;
  }
}

/**
 * Describes sizes: lengths of records, or tokens of users.
 *
 * @param sizes - whole numbers of at least 0, any order
 * @param options - `shares`: quantiles wanted; default 0.25, 0.5, 0.75, 0.9, 0.99
 * @returns quantiles exact below 1,024, at most 1/512 too low above; the rest exact
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const { total, maximum, quantiles } = sizeStatistics([5, 1, 3], { shares: [0.5] });
 * [total, maximum]; // [9, 5]
 * quantiles; // [{ share: 0.5, value: 3 }]
 * ```
 */
export function sizeStatistics(
  sizes: Iterable<number>,
  options: { shares?: readonly number[] } = {},
): SizeStatistics {
  const histogram = new SizeHistogram();
  for (const size of sizes) histogram.add(checkCount(size, { verb, name: 'a size', least: 0 }));
  return histogram.statistics(options.shares);
}
