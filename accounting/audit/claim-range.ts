import type { Interval } from '../accountant.ts';
import { findThreshold } from '../numerics/threshold.ts';
import type { Claim } from './claim.ts';
import type { EpsilonOfSettings } from './claim-bounds.ts';
import type { MissingFact } from './claim-open.ts';
import { settle, type Choices, type Fill, type OpenFact } from './claim-settings.ts';
import { isNeverPure } from './pure.ts';
import { downwardDigits, upwardDigits } from './safe-digits.ts';

/** What is asked about a claim with missing numbers. */
export interface RangeQuestion {
  readonly missing: readonly MissingFact[];
  readonly epsilon: EpsilonOfSettings;
}

/** Facts that can be so good that epsilon is 0, and so bad that it has no bound. */
const [endless, boundless]: readonly ReadonlySet<OpenFact>[] = [
  new Set(['noise', 'units', 'rate', 'batch', 'sensitivity']),
  new Set(['noise', 'steps', 'records', 'sensitivity']),
] as const;

/** No delta beyond these is taken for one that was meant. */
const [leastDelta, mostDelta] = [1e-12, 1e-2];

/**
 * Epsilon over everything that a claim leaves out.
 *
 * @param options - best, worst: how open words are read at either end
 */
export function rangeOf(
  claim: Claim,
  options: RangeQuestion & { readonly best: Choices; readonly worst: Choices },
): Interval {
  const { missing, epsilon, best, worst } = options;
  if (isNeverPure(claim)) return { lower: Infinity, upper: Infinity };
  const facts = missing.map(({ fact }) => fact);
  const bound = (choices: Choices, fill: Fill): Interval => {
    const settings = settle(claim, { choices, fill });
    return settings === undefined ? { lower: 0, upper: Infinity } : epsilon(settings);
  };
  return {
    lower: facts.some(fact => endless!.has(fact)) ? 0 : bound(best, bestFill(claim)).lower,
    upper: facts.some(fact => boundless!.has(fact)) ? Infinity : bound(worst, worstFill(claim)).upper,
  };
}

function unitsOf({ mechanisms }: Claim): number | null {
  return mechanisms.find(({ n_units: units }) => units !== null)?.n_units ?? null;
}

function batchOf({ mechanisms }: Claim): number | null {
  return mechanisms.find(({ sampler }) => sampler.batch_size !== null)?.sampler.batch_size ?? null;
}

/** Values of missing numbers that are best for privacy; a noise multiplier has none. */
export function bestFill(claim: Claim): Fill {
  const units = unitsOf(claim);
  return { steps: 1, records: 1, delta: units === null ? mostDelta : Math.min(mostDelta, 1 / units) };
}

function worstFill(claim: Claim): Fill {
  const [units, batch] = [unitsOf(claim), batchOf(claim)];
  return { rate: 1, delta: leastDelta, ...(batch && { units: batch }), ...(units && { batch: units }) };
}

/** How a missing number is searched: as a function of x that is the better for privacy the larger x is. */
interface Search {
  readonly at: (x: number) => Fill;
  readonly limits: readonly [number, number];
  readonly start: number;
  readonly say: (x: number) => string;
}

function searchFor(fact: OpenFact, claim: Claim): Search | undefined {
  const down = (x: number): number => Math.max(1, Math.floor(Math.exp(-x)));
  switch (fact) {
    case 'noise':
      return {
        at: x => ({ noise: Math.exp(x) }),
        limits: [Math.log(0.05), Math.log(1e4)],
        start: 0,
        say: x => `noise.multiplier of at least ${upwardDigits(Math.exp(x))}`,
      };
    case 'units': {
      const batch = batchOf(claim) ?? 1;
      const units = (x: number): number => Math.ceil(batch * (1 + Math.exp(x)));
      return {
        at: x => ({ units: units(x) }),
        limits: [Math.log(0.001), Math.log(1e9)],
        start: Math.log(100),
        say: x => `n_units of at least ${units(x)}`,
      };
    }
    case 'steps':
      return {
        at: x => ({ steps: down(x) }),
        limits: [-Math.log(1e7), 0],
        start: -Math.log(1e3),
        say: x => `at most ${down(x)} steps`,
      };
    case 'rate':
      return {
        at: x => ({ rate: Math.exp(-x) }),
        limits: [0, Math.log(1e9)],
        start: Math.log(100),
        say: x => `sampler.rate of at most ${downwardDigits(Math.exp(-x))}`,
      };
    case 'records':
      return {
        at: x => ({ records: down(x) }),
        limits: [-Math.log(1e3), 0],
        start: -Math.log(4),
        say: x => `unit.max_records_per_unit of at most ${down(x)}`,
      };
    case 'sensitivity':
      return {
        at: x => ({ sensitivity: Math.exp(-x) }),
        limits: [-Math.log(1e6), Math.log(1e3)],
        start: 0,
        say: x => `sensitivity of at most ${downwardDigits(Math.exp(-x))}`,
      };
    case 'delta':
      return {
        at: x => ({ delta: Math.exp(x) }),
        limits: [Math.log(1e-30), Math.log(0.5)],
        start: Math.log(1e-6),
        say: x => `guarantee.delta of at least ${upwardDigits(Math.exp(x))}`,
      };
    default:
      return undefined;
  }
}

const closeEnough = 1e-3;

/**
 * What a single missing number has to be for the claim to hold; empty where more than one is missing, or none would do.
 *
 * @param options - most: the largest epsilon that the print stands for
 */
export function needsOf(
  claim: Claim,
  options: RangeQuestion & { readonly choices: Choices; readonly most: number },
): string[] {
  const { missing, epsilon, choices, most } = options;
  const search = missing.length === 1 ? searchFor(missing[0]!.fact, claim) : undefined;
  if (search === undefined || !(most > 0)) return [];
  const excess = (x: number): number => {
    const settings = settle(claim, { choices, fill: search.at(x) });
    if (settings === undefined) return Infinity;
    return Math.log(epsilon(settings, { side: 'upper', limit: most }).upper / most);
  };
  const { start, limits } = search;
  const found = findThreshold(excess, { start, limits, slope: -1, tolerance: closeEnough });
  return found.value > 0 ? [] : [search.say(found.at)];
}
