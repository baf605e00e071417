import * as fc from 'fast-check';
import {
  claimOf,
  type Claim,
  type ClaimSamplerKind,
  type StatedMechanism,
} from '../../../accounting/audit/index.ts';
import { runEvents, settingsEpsilon } from '../../../accounting/audit/claim-bounds.ts';
import { settle, type Settings } from '../../../accounting/audit/claim-settings.ts';
import { conventionEpsilons } from '../../../accounting/audit/conventions.ts';
import { sequence } from '../../../accounting/index.ts';

/** One honest run: true settings, and how they are printed. */
export interface Honest {
  readonly kind: ClaimSamplerKind;
  readonly adjacency: 'add_remove' | 'replace_one' | 'zero_out';
  readonly stepsPerEpoch: number;
  readonly batch: number;
  readonly epochs: number;
  readonly multiplier: number;
  /** Records that fill no batch. */
  readonly rest: number;
  /** Minus the decimal logarithm. */
  readonly delta: number;
  readonly records: number;
  readonly accountant: number;
  /** Decimals of epsilon. */
  readonly digits: number;
  readonly isLimit: boolean;
  readonly relative: 'clip' | 'sensitivity';
  /** Decimals of every setting. */
  readonly settingDigits: number;
  readonly deltaDigits: number;
  /** What of batches and steps is printed. */
  readonly told: 'counts' | 'rate' | 'rate and counts' | 'epochs' | 'rate and epochs';
  /** Whether a batch was drawn with one over the batches of an epoch, as libraries do. */
  readonly isLoader: boolean;
  readonly scale: 'sum' | 'mean' | 'microbatches' | 'sensitivity';
  readonly omitted: readonly ('adjacency' | 'kind' | 'relative' | 'per' | 'records' | 'delta' | 'steps')[];
}

/** Settings that accountants answer in a fraction of a second, with every sampler. */
export const honestRuns: fc.Arbitrary<Honest> = fc.record({
  kind: fc.constantFrom<ClaimSamplerKind[]>(
    'poisson',
    'poisson',
    'shuffle_each_epoch',
    'shuffle_once',
    'fixed_order',
    'without_replacement',
    'balls_in_bins',
  ),
  adjacency: fc.constantFrom('add_remove', 'replace_one', 'zero_out'),
  stepsPerEpoch: fc.integer({ min: 4, max: 40 }),
  batch: fc.integer({ min: 8, max: 200 }),
  epochs: fc.integer({ min: 1, max: 8 }),
  multiplier: fc.double({ min: 0.9, max: 6, noNaN: true }),
  rest: fc.integer({ min: 0, max: 7 }),
  delta: fc.double({ min: 4, max: 7, noNaN: true }),
  records: fc.constantFrom(1, 1, 3),
  accountant: fc.nat({ max: 20 }),
  digits: fc.constantFrom(0, 1, 2, 3, 4),
  isLimit: fc.boolean(),
  relative: fc.constantFrom('clip', 'sensitivity'),
  settingDigits: fc.integer({ min: 1, max: 4 }),
  deltaDigits: fc.integer({ min: 1, max: 3 }),
  told: fc.constantFrom('counts', 'counts', 'rate', 'rate and counts', 'epochs', 'rate and epochs'),
  isLoader: fc.boolean(),
  scale: fc.constantFrom('sum', 'sum', 'mean', 'microbatches', 'sensitivity'),
  omitted: fc.subarray(['adjacency', 'kind', 'relative', 'per', 'records', 'delta', 'steps'], {
    maxLength: 3,
  }),
});

/** To the nearest, in decimals; in as many digits where nothing would be left of it. */
function rounded(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) > 0 ? text : value.toPrecision(digits);
}

/** A setting as it was, or as it is printed. */
type Say = (value: number, digits: number) => number | string;

const exactly: Say = value => value;

/** A delta of one digit is one that somebody chose. */
function deltaOf({ delta, deltaDigits }: Honest): number {
  const value = 10 ** -delta;
  return deltaDigits === 1 ? Number(value.toPrecision(1)) : value;
}

function unitsOf({ stepsPerEpoch, batch, rest }: Honest): number {
  return stepsPerEpoch * batch + rest;
}

function batchesOf({ stepsPerEpoch, rest }: Honest): number {
  return stepsPerEpoch + (rest > 0 ? 1 : 0);
}

function trueRate(honest: Honest): number {
  const isLoader = honest.isLoader && honest.kind === 'poisson';
  return isLoader ? 1 / batchesOf(honest) : honest.batch / unitsOf(honest);
}

/** Several sorts of noise of the same size on the sum; noise relative to the sensitivity grows with it. */
function noiseOf(honest: Honest, say: Say): Pick<StatedMechanism, 'noise' | 'clip' | 'sensitivity' | 'kind'> {
  const { multiplier, batch, settingDigits: digits, relative } = honest;
  const shared = { kind: 'dp_sgd', clip: { norm: 1, per: 'example' } } as const;
  switch (honest.scale) {
    case 'mean': {
      const noise = {
        multiplier: say(multiplier / batch, digits),
        applied_to: 'mean',
        relative_to: 'clip',
      } as const;
      return { ...shared, noise };
    }
    case 'microbatches': {
      const each = multiplier / Math.sqrt(batch);
      const noise = { multiplier: say(each, digits), per: 'microbatch', relative_to: 'clip' } as const;
      return { ...shared, noise, clip: { ...shared.clip, microbatch_size: 1 } };
    }
    default:
      return { ...shared, noise: { multiplier: say(multiplier, digits), relative_to: relative } };
  }
}

/** Correlated noise of a stated sensitivity, in place of batches. */
function correlatedOf({ multiplier, epochs, settingDigits: digits }: Honest, say: Say): StatedMechanism {
  return {
    kind: 'matrix_factorization',
    steps: 100,
    sampler: { kind: 'min_separation', min_separation: 10 },
    sensitivity: say(Math.sqrt(epochs + 0.1), digits),
    noise: { multiplier: say(multiplier, digits), relative_to: 'clip' },
    clip: { norm: 1, per: 'example' },
  };
}

function batchesTold(
  honest: Honest,
  say: Say,
): Pick<StatedMechanism, 'n_units' | 'sampler' | 'steps' | 'epochs' | 'rounding'> {
  const { kind, batch, told, settingDigits: digits, epochs } = honest;
  const isTrue = say === exactly;
  const isCounted = isTrue || told.includes('counts') || told === 'epochs' || kind === 'without_replacement';
  const hasRate = isTrue || told.startsWith('rate');
  const inEpochs = told.includes('epochs');
  const sampler = {
    kind,
    ...(isCounted && { batch_size: batch }),
    ...(hasRate && { rate: say(trueRate(honest), digits) }),
  };
  const steps = inEpochs
    ? { epochs: say(epochs + (honest.delta - 4) / 3, 1), rounding: isTrue ? ('floor' as const) : null }
    : { steps: epochs * batchesOf(honest) };
  return { sampler, ...((isCounted || honest.scale === 'mean') && { n_units: unitsOf(honest) }), ...steps };
}

function claimWith(honest: Honest, { epsilon, say }: { readonly epsilon: string; readonly say: Say }): Claim {
  const { adjacency, records, isLimit, deltaDigits, scale } = honest;
  const delta = deltaOf(honest);
  const mechanism: StatedMechanism =
    scale === 'sensitivity'
      ? correlatedOf(honest, say)
      : { ...batchesTold(honest, say), ...noiseOf(honest, say) };
  return claimOf({
    guarantee: {
      epsilon,
      delta: say === exactly ? delta : delta.toPrecision(deltaDigits),
      relation: isLimit ? '<=' : '=',
    },
    adjacency,
    unit: { kind: records === 1 ? 'example' : 'user', max_records_per_unit: records },
    mechanisms: [{ ...mechanism, settings: say === exactly ? 'exact' : null }],
  });
}

/** The run as it was. */
export function trueClaim(honest: Honest, epsilon = '1'): Claim {
  return claimWith(honest, { epsilon, say: exactly });
}

/** The run as it is printed. */
export function roundedPrint(honest: Honest, epsilon: string): Claim {
  return claimWith(honest, { epsilon, say: rounded });
}

/** Every upper bound that an honest author may print: the certified one, and those of RDP, whose orders are a choice. */
function honestEpsilons(stated: Settings): number[] {
  const { upper } = settingsEpsilon({ relativeGap: 5e-3 })(stated);
  const events = stated.runs.map(run => runEvents(run, stated.neighbours).upper);
  if (events.some(event => event === undefined)) return [];
  const found = conventionEpsilons(sequence(events.filter(event => event !== undefined)), stated);
  const { 'central limit': _, 'gaussian textbook': __, gaussian, ...bounds } = found;
  return [upper, ...Object.values(bounds), ...(gaussian === undefined ? [] : [gaussian * (1 + 1e-9)])].filter(
    value => Number.isFinite(value) && value > 0,
  );
}

/** Rounded up, as a limit has to be, or to the nearest. */
function printedEpsilon(epsilon: number, { digits, isLimit }: Honest): string {
  const scale = 10 ** digits;
  const rounded = isLimit ? Math.ceil(epsilon * scale) : Math.round(epsilon * scale);
  return (rounded / scale).toFixed(digits);
}

/** A claim that somebody may honestly print; undefined where no bound is known. */
export function printedClaim(honest: Honest): Claim | undefined {
  const bounds = honestEpsilons(settle(trueClaim(honest), { choices: { scope: 'unit' }, fill: {} })!);
  if (bounds.length === 0) return undefined;
  const epsilon = bounds[honest.accountant < 10 ? 0 : honest.accountant % bounds.length]!;
  return roundedPrint(honest, printedEpsilon(epsilon, honest));
}

/** The claim without some of its facts; to leave out what noise is relative to says the clip norm, where nothing else could be meant. */
export function without(claim: Claim, { omitted, adjacency }: Honest): Claim {
  const has = (fact: (typeof omitted)[number]): boolean => omitted.includes(fact);
  const isDoubtful = adjacency === 'replace_one';
  const mechanisms = claim.mechanisms.map(mechanism => ({
    ...mechanism,
    steps: has('steps') ? null : mechanism.steps,
    sampler: { ...mechanism.sampler, kind: has('kind') ? null : mechanism.sampler.kind },
    clip: { ...mechanism.clip, per: has('per') ? null : mechanism.clip.per },
    noise: {
      ...mechanism.noise,
      relative_to: has('relative') && isDoubtful ? null : mechanism.noise.relative_to,
    },
  }));
  const { guarantee, unit } = claim;
  return {
    ...claim,
    adjacency: has('adjacency') ? null : claim.adjacency,
    guarantee: { ...guarantee, delta: has('delta') ? null : guarantee.delta },
    unit: { ...unit, max_records_per_unit: has('records') ? null : unit.max_records_per_unit },
    mechanisms,
  };
}
