import { describe, expect, it } from 'vitest';
import {
  attemptDiscreteLaplace,
  discreteLaplace,
  type ExactRandom,
  exactRandom,
  noiseRate,
  type NoiseRate,
} from '../../selection/private-noise.ts';
import { chiSquareBounds, isPlausibleCount } from '../trainer/statistics.ts';
import { repeatableRandom } from './private-random.ts';

/** The law in closed form. */
function mass(value: number, epsilon: number): number {
  return Math.tanh(epsilon / 2) * Math.exp(-epsilon * Math.abs(value));
}

/** A generator that follows a script of outcomes and says which outcomes were possible after it. */
class Script implements ExactRandom {
  probability = 1;
  readonly #outcomes: readonly number[];
  #at = 0;

  constructor(outcomes: readonly number[]) {
    this.#outcomes = outcomes;
  }

  below(n: number): number {
    return this.#next(Array.from({ length: n }, () => 1 / n));
  }

  chance(numerator: number, denominator: number): boolean {
    const probability = numerator / denominator;
    return this.#next([1 - probability, probability]) === 1;
  }

  #next(chances: readonly number[]): number {
    const outcome = this.#outcomes[this.#at++];
    if (outcome === undefined) throw new Branches(chances);
    this.probability *= chances[outcome]!;
    return outcome;
  }
}

class Branches extends Error {
  readonly chances: readonly number[];

  constructor(chances: readonly number[]) {
    super('the script ends here');
    this.chances = chances;
  }
}

/** Runs the implementation along every sequence of outcomes but those of less than `least` probability. */
function enumerate(
  rate: NoiseRate,
  least: number,
): { laws: Map<number | undefined, number>; unexplored: number } {
  const laws = new Map<number | undefined, number>();
  const open: { outcomes: number[]; probability: number }[] = [{ outcomes: [], probability: 1 }];
  let unexplored = 0;
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const { outcomes, probability } = path;
    if (probability === 0) continue;
    if (probability < least) {
      unexplored += probability;
      continue;
    }
    try {
      const drawn = attemptDiscreteLaplace(rate, new Script(outcomes));
      laws.set(drawn, (laws.get(drawn) ?? 0) + probability);
    } catch (error) {
      if (!(error instanceof Branches)) throw error;
      for (const [outcome, chance] of error.chances.entries()) {
        open.push({ outcomes: [...outcomes, outcome], probability: probability * chance });
      }
    }
  }
  return { laws, unexplored };
}

const rates: readonly NoiseRate[] = [
  { numerator: 1, denominator: 1 },
  { numerator: 1, denominator: 3 },
  { numerator: 3, denominator: 2 },
];

describe('attemptDiscreteLaplace()', () => {
  it.each(rates)(
    'has the stated law at rate $numerator/$denominator, by enumeration of all coin tosses',
    rate => {
      const epsilon = rate.numerator / rate.denominator;
      const { laws, unexplored } = enumerate(rate, 1e-8);
      expect(unexplored).toBeLessThan(1e-4);
      const accepted = 1 - (laws.get(undefined) ?? 0);
      for (let value = -8; value <= 8; value++) {
        const found = (laws.get(value) ?? 0) / accepted;
        expect(Math.abs(found - mass(value, epsilon))).toBeLessThan(2 * (unexplored / accepted));
      }
      for (let value = 0; value <= 3; value++) {
        const ratio = laws.get(value)! / laws.get(value + 1)!;
        const doubt = unexplored / laws.get(value + 1)!;
        expect(Math.abs(ratio / Math.exp(epsilon) - 1)).toBeLessThan(2 * doubt);
        expect(laws.get(-value - 1)).toBe(laws.get(value + 1));
      }
    },
  );
});

describe('discreteLaplace()', () => {
  /** Pearson's statistic of the draws against the law, with all values whose expected number is below 20 in two tails. */
  it.each([
    { epsilon: 0.05, draws: 20_000 },
    { epsilon: 0.7, draws: 20_000 },
    { epsilon: 3, draws: 20_000 },
  ])('draws from the law at epsilon $epsilon', ({ epsilon, draws }) => {
    const random = repeatableRandom(1);
    const counts = new Map<number, number>();
    for (let i = 0; i < draws; i++) {
      const value = discreteLaplace(noiseRate(epsilon), random);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    let inner = 0;
    while (draws * mass(inner + 1, epsilon) >= 20) inner += 1;
    let statistic = 0;
    let innerCount = 0;
    let innerMass = 0;
    for (let value = -inner; value <= inner; value++) {
      const expected = draws * mass(value, epsilon);
      statistic += ((counts.get(value) ?? 0) - expected) ** 2 / expected;
      innerCount += counts.get(value) ?? 0;
      innerMass += mass(value, epsilon);
    }
    const expectedTails = draws * (1 - innerMass);
    statistic += (draws - innerCount - expectedTails) ** 2 / expectedTails;
    const { lower, upper } = chiSquareBounds(2 * inner + 1);
    // Rate 1e-6 for a chi-square variable, to which Pearson's statistic is close where all expected counts are above 20.
    expect(statistic).toBeLessThan(upper);
    expect(statistic).toBeGreaterThan(lower);
  });

  it('has mean 0 and the variance of the law', () => {
    const epsilon = 0.25;
    const draws = 40_000;
    const random = repeatableRandom(2);
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < draws; i++) {
      const value = discreteLaplace(noiseRate(epsilon), random);
      sum += value;
      squares += value ** 2;
    }
    const decay = Math.exp(-epsilon);
    const variance = (2 * decay) / (1 - decay) ** 2;
    const fourth = (2 * decay * (1 + 10 * decay + decay ** 2)) / (1 - decay) ** 4;
    // Five standard errors each: a false alarm once in about 1.7 million by the normal approximation.
    expect(Math.abs(sum / draws)).toBeLessThan(5 * Math.sqrt(variance / draws));
    expect(Math.abs(squares / draws - variance)).toBeLessThan(
      5 * Math.sqrt((fourth - variance ** 2) / draws),
    );
  });
});

describe('noiseRate()', () => {
  it('is a fraction that never exceeds epsilon and is less than 2^-30 below', () => {
    for (const epsilon of [1e-4, 0.1, 1 / 3, 1, Math.PI, 100]) {
      const { numerator, denominator } = noiseRate(epsilon);
      expect(numerator / denominator).toBeLessThanOrEqual(epsilon);
      expect(epsilon - numerator / denominator).toBeLessThan(2 ** -30);
      expect(Number.isSafeInteger(numerator)).toBe(true);
    }
  });
});

describe('exactRandom()', () => {
  it('takes as many bits as it needs and throws away what lies beyond', () => {
    const words = [0xffffffff, 0x80000000, 0x60000000, 0x40000000, 0x00000000];
    let at = 0;
    const random = exactRandom(target => {
      for (let i = 0; i < target.length; i++) target[i] = words[at++ % words.length]!;
    });
    expect(Array.from({ length: 3 }, () => random.below(3))).toEqual([2, 1, 1]);
    expect(random.below(3)).toBe(0);
  });

  it('fills numbers of up to 53 bits', () => {
    const random = exactRandom(target => void target.fill(0xffffffff));
    expect(random.below(2 ** 53)).toBe(2 ** 53 - 1);
    expect(random.below(2 ** 40)).toBe(2 ** 40 - 1);
    expect(random.below(1)).toBe(0);
  });

  it('is uniform, with the system generator too', () => {
    for (const random of [repeatableRandom(3), exactRandom()]) {
      const counts = [0, 0, 0, 0, 0];
      for (let i = 0; i < 5000; i++) counts[random.below(5)]! += 1;
      // Chernoff at rate 1e-6 for each of the five.
      for (const count of counts) {
        expect(isPlausibleCount(count, { trials: 5000, probability: 0.2 })).toBe(true);
      }
    }
  });
});
