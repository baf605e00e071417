import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { auditClaim, claimOf, type Claim, type StatedMechanism } from '../../../accounting/audit/index.ts';
import { runEvents, settingsEpsilon } from '../../../accounting/audit/claim-bounds.ts';
import { settle, type Settings } from '../../../accounting/audit/claim-settings.ts';
import { conventionEpsilons } from '../../../accounting/audit/conventions.ts';
import { sequence } from '../../../accounting/index.ts';

/** Settings that accountants answer in a fraction of a second, with every sampler. */
const settings = fc.record({
  kind: fc.constantFrom(
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
  delta: fc.constantFrom(1e-4, 1e-5, 1e-6),
  records: fc.constantFrom(1, 1, 3),
  accountant: fc.nat({ max: 20 }),
  digits: fc.constantFrom(0, 1, 2, 3, 4),
  isLimit: fc.boolean(),
  relative: fc.constantFrom('clip', 'sensitivity'),
  omitted: fc.subarray(['adjacency', 'kind', 'relative', 'per', 'records', 'delta', 'steps'], {
    maxLength: 3,
  }),
});

type Honest = typeof settings extends fc.Arbitrary<infer T> ? T : never;

function claimFor({ kind, adjacency, delta, records, ...rest }: Honest, epsilon: string): Claim {
  const mechanism: StatedMechanism = {
    kind: 'dp_sgd',
    n_units: rest.stepsPerEpoch * rest.batch + rest.rest,
    sampler: { kind, batch_size: rest.batch },
    steps: rest.epochs * (rest.stepsPerEpoch + (rest.rest > 0 ? 1 : 0)),
    clip: { norm: 1, per: 'example' },
    noise: { multiplier: rest.multiplier, relative_to: rest.relative },
  };
  return claimOf({
    guarantee: { epsilon, delta, relation: rest.isLimit ? '<=' : '=' },
    adjacency,
    unit: { kind: records === 1 ? 'example' : 'user', max_records_per_unit: records },
    mechanisms: [mechanism],
  });
}

/** Every upper bound that an honest author may print: the certified one, and those of RDP, whose orders are a choice. */
function honestEpsilons(stated: Settings): number[] {
  const { upper } = settingsEpsilon({ relativeGap: 5e-3 })(stated);
  const events = stated.runs.map(run => runEvents(run, stated.neighbours).upper);
  if (events.some(event => event === undefined)) return [];
  const found = conventionEpsilons(sequence(events.filter(event => event !== undefined)), stated);
  const { 'central limit': _, gaussian, ...bounds } = found;
  return [upper, ...Object.values(bounds), ...(gaussian === undefined ? [] : [gaussian * (1 + 1e-9)])].filter(
    value => Number.isFinite(value) && value > 0,
  );
}

/** Rounded up, as a limit has to be, or to the nearest. */
function print(epsilon: number, { digits, isLimit }: Honest): string {
  const scale = 10 ** digits;
  const rounded = isLimit ? Math.ceil(epsilon * scale) : Math.round(epsilon * scale);
  return (rounded / scale).toFixed(digits);
}

/** The claim without some of its facts; to leave out what noise is relative to says the clip norm, where nothing else could be meant. */
function without(claim: Claim, { omitted, adjacency }: Honest): Claim {
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

/** A claim that somebody may honestly print; undefined where no bound is known. */
function printedClaim(honest: Honest): Claim | undefined {
  const claim = claimFor(honest, '1');
  const choices = { scope: 'unit' };
  const bounds = honestEpsilons(settle(claim, { choices, fill: {} })!);
  if (bounds.length === 0) return undefined;
  const epsilon = bounds[honest.accountant < 10 ? 0 : honest.accountant % bounds.length]!;
  return claimFor(honest, print(epsilon, honest));
}

it('auditClaim() never accuses an honest claim', () => {
  fc.assert(
    fc.property(settings, honest => {
      const claim = printedClaim(honest);
      fc.pre(claim !== undefined);
      const { verdict, detail } = auditClaim(claim);
      expect(['refuted', 'privacy_overstated']).not.toContain(verdict);
      expect(['consistent', 'privacy_understated', 'conditional', 'borderline']).toContain(detail);
      if (honest.omitted.length === 0) return;
      const { verdict: ofLess } = auditClaim(without(claim, honest));
      expect(['refuted', 'privacy_overstated']).not.toContain(ofLess);
    }),
    { numRuns: 15 },
  );
}, 240_000);

it('auditClaim() accuses a claim of less than the truth', () => {
  fc.assert(
    fc.property(settings, honest => {
      const poisson: Honest = { ...honest, kind: 'poisson', records: 1, digits: 3 };
      const stated = settle(claimFor(poisson, '1'), { choices: {}, fill: {} })!;
      const { lower } = settingsEpsilon({ relativeGap: 5e-3 })(stated);
      if (lower < 0.05) return;
      const { verdict } = auditClaim(claimFor(poisson, (lower * 0.9).toFixed(4)));
      expect(verdict).toBe('privacy_overstated');
    }),
    { numRuns: 10 },
  );
});
