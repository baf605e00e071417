import { tableFromArrays } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { readRecords } from '../../../selection/index.ts';
import { byContribution, perplexityOfGroups } from '../../../src/study/groups.ts';

describe('byContribution()', () => {
  it('orders users by what the table has of them, not by what is evaluated', () => {
    const table = tableFromArrays({
      user: ['a', 'b', 'b', 'c', 'c', 'c', 'd'],
      id: ['1', '2', '3', '4', '5', '6', '7'],
    });
    const records = readRecords(table, {
      user: 'user',
      id: 'id',
      nullUsers: 'error',
      duplicates: 'error',
      file: 'x',
    });
    const users = ['c', 'd', 'b', 'a'].map(user => ({ user, records: [] }));
    expect(byContribution(users, records).map(({ user }) => user)).toEqual(['a', 'd', 'b', 'c']);
  });
});

describe('perplexityOfGroups()', () => {
  it('takes the quarters from the ends', () => {
    const users = [2, 3, 5, 7, 11].map(perplexity => [{ loss: 4 * Math.log(perplexity), tokens: 4 }]);
    const found = perplexityOfGroups(users);
    expect(found.fewestRecords).toBeCloseTo(2.5, 12);
    expect(found.mostRecords).toBeCloseTo(9, 12);
    expect(found.worstTenth).toBeCloseTo(11, 12);
    expect(found.byUser).toBeCloseTo(5.6, 12);
  });
});
