import { describe, expect, it } from 'vitest';
import { mixtureBound } from '../../accounting/group.ts';
import { epsilonByContribution } from '../../accounting/ragged.ts';

const options = {
  noiseMultiplier: 2,
  samplingProbability: 0.01,
  steps: 200,
  groupSize: 5,
  delta: 1e-6,
  neighbours: 'add-or-remove',
} as const;

describe('epsilonByContribution()', () => {
  const rows = epsilonByContribution([3, 1, 0, 9, 5, 1, 3, 1], options);

  it('has one row for each number of records, ascending, with how many users have it', () => {
    expect(rows.map(({ records, users }) => [records, users])).toEqual([
      [1, 3],
      [3, 2],
      [5, 2],
    ]);
  });

  it('each row is the epsilon of a group of that size', () => {
    for (const { records, epsilon } of rows) {
      const { lower, upper } = mixtureBound({ ...options, groupSize: records }).bound;
      expect(epsilon).toEqual({ lower, upper });
    }
  });

  it('whoever has more records has more to lose', () => {
    for (let index = 1; index < rows.length; index += 1)
      expect(rows[index]!.epsilon.lower).toBeGreaterThan(rows[index - 1]!.epsilon.upper);
  });

  it('with another conversion no row is below the tight one', () => {
    const loose = epsilonByContribution([1, 3], { ...options, conversion: 'rdp' });
    expect(loose[0]!.epsilon.upper).toBeGreaterThanOrEqual(rows[0]!.epsilon.lower);
    expect(loose[1]!.epsilon.upper).toBeGreaterThan(rows[1]!.epsilon.upper);
    expect(loose[1]!.epsilon.lower).toBe(0);
  });

  it('users without records have no row', () => {
    expect(epsilonByContribution([0, 0], options)).toEqual([]);
    expect(epsilonByContribution([], options)).toEqual([]);
  });

  it.each([-1, 1.5, Number.NaN, 2 ** 60])('refuses %d records with the value', records => {
    expect(() => epsilonByContribution([1, records], options)).toThrow(`a number of records is ${records}.`);
  });
});
