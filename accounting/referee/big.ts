import { bignumberDependencies, create, type BigNumber } from 'mathjs';

/** A decimal number of 50 digits whose exponent has no limit worth the name. */
export type Big = BigNumber;

const precision = 50;
const math = create(bignumberDependencies ?? {}, { number: 'BigNumber', precision });

/**
 * The exact value of a double (0.1 is 0.1000000000000000055…), or a number written out in decimal.
 *
 * @example
 * ```ts
 * big(0.1).minus(big('0.1')).toNumber(); // ~5.551115123125783e-18
 * ```
 */
export function big(value: number | string): Big {
  return math.bignumber(
    typeof value === 'string' || Number.isInteger(value) ? String(value) : exactDecimal(value),
  );
}

/** All binary places of a double that 50 digits can show: whole multiples of a power of two have finite decimals. */
function exactDecimal(value: number): string {
  // oxlint-disable-next-line number-arg-out-of-range -- the language allows 100 digits
  return value.toPrecision(100);
}

export const zero: Big = big(0);
export const one: Big = big(1);
export const two: Big = big(2);

const half = big(0.5);
const pi = math.bignumber('3.14159265358979323846264338327950288419716939937510582097494459230781640629');
const rootPi = pi.sqrt();
const rootTwo = two.sqrt();
const rootTwoPi = rootPi.times(rootTwo);
const negligible = big(`1e-${precision + 4}`);

/**
 * Sum of a list; 0 for an empty one.
 *
 * @example
 * ```ts
 * sum([big(1), big(2)]).toNumber(); // 3
 * ```
 */
export function sum(values: readonly Big[]): Big {
  return values.reduce((total, value) => total.plus(value), zero);
}

/**
 * The larger of two or more numbers.
 *
 * @example
 * ```ts
 * largest([big(1), big(2)]).toNumber(); // 2
 * ```
 */
export function largest(values: readonly Big[]): Big {
  return values.reduce((most, value) => (value.gt(most) ? value : most));
}

/**
 * The complementary error function, to 40 digits of its own size.
 *
 * Below 4 by the series of positive terms (Abramowitz and Stegun, 7.1.6), which loses 7 digits to the difference from 1 at most;
 * above by the continued fraction (ibid., 7.1.14).
 *
 * @example
 * ```ts
 * erfc(big(1)).toNumber(); // ~0.15729920705028513
 * erfc(big(30)).toNumber(); // ~2.564656203756112e-393
 * ```
 */
export function erfc(x: Big): Big {
  if (x.isNegative()) return two.minus(erfc(x.neg()));
  const decay = x.times(x).neg().exp();
  if (x.lt(4)) return one.minus(decay.times(two).div(rootPi).times(erfSeries(x)));
  return decay.div(rootPi).times(erfcFraction(x));
}

function erfSeries(x: Big): Big {
  const square = x.times(x).times(two);
  let term = x;
  let total = x;
  for (let n = 3; term.gt(negligible.times(total)); n += 2) {
    term = term.times(square).div(n);
    total = total.plus(term);
  }
  return total;
}

/** From the inside out; after n terms the error is about exp(-2x·√(2n)). */
function erfcFraction(x: Big): Big {
  const terms = Math.ceil((precision * Math.LN10) ** 2 / 8 / x.toNumber() ** 2) * 2 + 20;
  let tail = x;
  for (let k = terms; k > 0; k -= 1) tail = x.plus(half.times(k).div(tail));
  return one.div(tail);
}

/**
 * Pr[N(0, 1) > x].
 *
 * @example
 * ```ts
 * normalTail(big(2)).toNumber(); // ~0.0227501319481792
 * ```
 */
export function normalTail(x: Big): Big {
  return erfc(x.div(rootTwo)).div(two);
}

/**
 * Density of N(0, 1).
 *
 * @example
 * ```ts
 * normalDensity(big(0)).toNumber(); // ~0.3989422804014327
 * ```
 */
export function normalDensity(x: Big): Big {
  return x.times(x).div(-2).exp().div(rootTwoPi);
}

/**
 * The doubles on either side: the nearest double and its neighbours leave no doubt.
 *
 * @example
 * ```ts
 * const { lower, upper } = enclosing(big('0.1'));
 * lower < 0.1 && 0.1 < upper; // true
 * ```
 */
export function enclosing(value: Big): { lower: number; upper: number } {
  const nearest = value.toNumber();
  if (!Number.isFinite(nearest)) return { lower: nearest, upper: nearest };
  const step = Math.max(Math.abs(nearest) * 2 ** -52, Number.MIN_VALUE);
  return { lower: value.isZero() ? 0 : nearest - step, upper: value.isZero() ? 0 : nearest + step };
}
