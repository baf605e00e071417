const seriesTerms = 40;

/**
 * The function φ(r) = r^power - 1 - power·(r - 1), whose mean over Q at r = P/Q is a Rényi moment minus 1.
 *
 * Every value is >= 0, so that moments that differ from 1 by 1e-30 keep their digits. Near r = 1 the
 * binomial series is summed from its second term. Not below the exact value by more than rounding.
 *
 * @example
 * ```ts
 * new ConvexPart(2).at(Math.log(3), 2); // ~4.00000000
 * ```
 */
export class ConvexPart {
  readonly power: number;
  /** |r - 1| below this is left to the series. */
  readonly #near: number;
  /** Ratios of neighbouring terms of the binomial series. */
  readonly #ratios = new Float64Array(seriesTerms);

  constructor(power: number) {
    this.power = power;
    this.#near = 0.1 / Math.max(2, Math.abs(power));
    for (let i = 2; i < seriesTerms; i += 1) this.#ratios[i] = (power - i) / (i + 1);
  }

  /**
   * φ(r), for power·log r and log r of at most 700.
   *
   * @param loss - log r
   * @param excess - r - 1
   */
  at(loss: number, excess: number): number {
    const { power } = this;
    if (excess < this.#near && excess > -this.#near) return this.#series(excess);
    if (power > 0 && power < 2) return (1 + excess) * Math.expm1((power - 1) * loss) - (power - 1) * excess;
    if (power < 0 && power > -1) return Math.expm1(power * loss) - power * excess;
    // Away from r = 1 nothing is lost by exp, which takes half the time of expm1.
    return Math.exp(power * loss) - 1 - power * excess;
  }

  /**
   * log φ(r) for any r.
   *
   * @param loss - log r
   * @param excess - r - 1, Infinity where that overflows
   * @returns -Infinity at r = 1
   */
  logAt(loss: number, excess: number): number {
    const { power } = this;
    if (power * loss > 600) {
      // φ(r) <= r (r^(power - 1) - 1) keeps the factor power - 1 of orders near 1.
      const rise = (power - 1) * loss;
      return power > 1 && rise < 30 ? loss + Math.log(Math.expm1(rise)) : power * loss;
    }
    if (power < 0 && loss > 600) return Math.log(-power) + loss;
    return Math.log(this.at(loss, excess));
  }

  /** The binomial series from its second term; the terms fall at least twentyfold each. */
  #series(excess: number): number {
    const { power } = this;
    const ratios = this.#ratios;
    let term = ((power * (power - 1)) / 2) * excess * excess;
    let total = 0;
    for (let i = 2; i < seriesTerms && Math.abs(term) > total * 1e-18; i += 1) {
      total += term;
      term *= ratios[i]! * excess;
    }
    return total;
  }
}

/** Sum of positive numbers given by their logs. */
export class LogSum {
  #largest = -Infinity;
  #scaled = 0;

  get value(): number {
    return this.#scaled === 0 ? -Infinity : this.#largest + Math.log(this.#scaled);
  }

  add(log: number): void {
    if (log === -Infinity) return;
    if (log > this.#largest) {
      this.#scaled *= Math.exp(this.#largest - log);
      this.#largest = log;
      this.#scaled += 1;
      return;
    }
    // The sum is at least 1, so that smaller terms would be rounded away.
    if (log - this.#largest > -38) this.#scaled += Math.exp(log - this.#largest);
  }
}

/**
 * log(1 + exp(value)) without overflow or cancellation.
 *
 * @example
 * ```ts
 * logOnePlusExp(0); // ~0.69314718056
 * ```
 */
export function logOnePlusExp(value: number): number {
  return value > 0 ? value + Math.log1p(Math.exp(-value)) : Math.log1p(Math.exp(value));
}
