import { describe, expect, expectTypeOf, it } from 'vitest';
import { epsilonOf, gaussianEvent, sequence } from '../../accounting/index.ts';
import {
  type CrossUserChoice,
  eventsOfCosts,
  type Origin,
  parsePrivacyCost,
  type PrivacyCost,
  privacyCostOf,
  type PrivateOrigin,
  type PublicOrigin,
  type SelectionChoice,
  type SourcedCap,
  spendingChoices,
  statusOf,
} from '../../selection/safety.ts';
import { failureOf } from './fixtures.ts';

const quantile: PrivateOrigin = {
  kind: 'private',
  epsilon: 0.5,
  delta: 1e-7,
  neighbours: 'add-or-remove',
  unit: 'user',
  mechanism: 'quantile',
  release: 'a1',
};

/** A choice as it may come from JSON, where no type holds. */
function untyped(choice: object): SelectionChoice {
  // oxlint-disable-next-line no-unsafe-type-assertion -- what the checks at run time are for
  return choice as SelectionChoice;
}

describe('Origin', () => {
  it('has no private form without a cost, for caps and for every other choice', () => {
    expectTypeOf<{ kind: 'public'; recordsPerUser: number }>().toExtend<SourcedCap>();
    expectTypeOf<PrivateOrigin & { recordsPerUser: number }>().toExtend<SourcedCap>();
    expectTypeOf<{ kind: 'private'; recordsPerUser: number }>().not.toExtend<SourcedCap>();
    expectTypeOf<{ recordsPerUser: number }>().not.toExtend<SourcedCap>();
    expectTypeOf<Omit<PrivateOrigin, 'epsilon'>>().not.toExtend<Origin>();
    expectTypeOf<{ name: 'records-per-user' }>().not.toExtend<SelectionChoice>();
    expectTypeOf<{ name: CrossUserChoice; origin: PublicOrigin }>().not.toExtend<SelectionChoice>();
    expect(statusOf({ name: 'records-per-user', origin: quantile })).toBe('spends');
  });
});

describe('statusOf()', () => {
  it('takes user-local choices and public values as free', () => {
    for (const name of ['strategy', 'seed', 'null-users', 'record-filter', 'user-normalisation'] as const) {
      expect(statusOf({ name })).toBe('free');
    }
    expect(statusOf({ name: 'score', origin: { kind: 'public' } })).toBe('public');
    expect(statusOf({ name: 'owner-graph', origin: { kind: 'public' } })).toBe('public');
  });

  it.each(spendingChoices)('refuses %s of unknown or unpaid origin, and says what to do', async name => {
    for (const origin of [undefined, {}, { kind: 'private' }, { kind: 'dp' }, { ...quantile, release: '' }]) {
      const { code, message } = await failureOf(() => statusOf(untyped({ name, origin })));
      expect(code).toBe('INVALID_ARGUMENT');
      expect(message).toMatch(
        new RegExp(`^Cannot select: "${name}" .+\\. [A-Z].+ or give the epsilon and delta`),
      );
    }
    expect(statusOf(untyped({ name, origin: quantile }))).toBe('spends');
  });

  it('refuses a public origin of what compares users with each other', async () => {
    const names: CrossUserChoice[] = ['cross-user-duplicates', 'score-ranking', 'top-users', 'stop-at-total'];
    for (const name of names) {
      const choice = untyped({ name, origin: { kind: 'public' } });
      expect((await failureOf(() => statusOf(choice))).message).toMatch(
        /decide which records of others are kept/,
      );
    }
  });

  it('refuses costs that are none and choices it does not know', async () => {
    const bad = [
      { epsilon: 0 },
      { epsilon: NaN },
      { delta: 1 },
      { delta: -1 },
      { neighbours: 'replace' },
      { unit: 'record' },
    ];
    for (const change of bad) {
      const choice = untyped({ name: 'score', origin: { ...quantile, ...change } });
      expect((await failureOf(() => statusOf(choice))).code).toBe('INVALID_ARGUMENT');
    }
    const unknown = await failureOf(() => statusOf(untyped({ name: 'sort-by-mood' })));
    expect(unknown.message).toMatch(/one of records-per-user/);
  });
});

describe('privacyCostOf()', () => {
  it('lists each release once, with the choices that rest on it', () => {
    const other = { ...quantile, release: 'b2', epsilon: 1 };
    const costs = privacyCostOf([
      { name: 'strategy' },
      { name: 'records-per-user', origin: quantile },
      { name: 'score', origin: other },
      { name: 'length-limit', origin: quantile },
      { name: 'vocabulary', origin: { kind: 'public' } },
    ]);
    const { kind: _, ...cost } = quantile;
    expect(costs).toEqual([
      { ...cost, choices: ['records-per-user', 'length-limit'] },
      { ...cost, release: 'b2', epsilon: 1, choices: ['score'] },
    ]);
    expect(parsePrivacyCost(JSON.parse(JSON.stringify(costs)))).toEqual(costs);
  });

  it('refuses one release at two prices', async () => {
    const choices: SelectionChoice[] = [
      { name: 'records-per-user', origin: quantile },
      { name: 'length-limit', origin: { ...quantile, epsilon: 0.1 } },
    ];
    expect((await failureOf(() => privacyCostOf(choices))).message).toMatch(/epsilon 0.5 and 0.1/);
  });
});

describe('eventsOfCosts()', () => {
  const costs: PrivacyCost[] = privacyCostOf([{ name: 'score', origin: quantile }]);

  it('gives events that compose with a run', () => {
    const [event] = eventsOfCosts(costs, 'add-or-remove');
    expect(event).toEqual({ kind: 'guarantee', epsilon: 0.5, delta: 1e-7 });
    const options = { delta: 1e-5, neighbours: 'add-or-remove' } as const;
    const run = epsilonOf(gaussianEvent(2), options).epsilon.upper;
    const both = epsilonOf(sequence([gaussianEvent(2), event!]), options).epsilon.upper;
    expect(both).toBeGreaterThan(run);
    expect(both).toBeLessThan(run + 0.51);
  });

  it('costs twice under replacement, as two neighbours in a row do, and the same where users are zeroed out', () => {
    const [replaced] = eventsOfCosts(costs, 'replace');
    expect(replaced).toEqual({ kind: 'guarantee', epsilon: 1, delta: 1e-7 * (1 + Math.exp(0.5)) });
    expect(eventsOfCosts(costs, 'zero-out')).toEqual(eventsOfCosts(costs, 'add-or-remove'));
  });
});

describe('parsePrivacyCost()', () => {
  it('refuses what is no list of costs', async () => {
    const [cost] = privacyCostOf([{ name: 'score', origin: quantile }]);
    const bad: unknown[] = [
      null,
      {},
      [null],
      [{ ...cost, epsilon: 0 }],
      [{ ...cost, delta: 2 }],
      [{ ...cost, choices: [1] }],
      [{ ...cost, more: 1 }],
      [{ ...cost, unit: 'record' }],
    ];
    for (const json of bad) {
      expect((await failureOf(() => parsePrivacyCost(json))).code).toBe('INVALID_ARGUMENT');
    }
  });
});
