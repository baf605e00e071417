import { describe, expect, it } from 'vitest';
import { guaranteeOf } from '../../trainer/guarantee.ts';
import { planFor, usersWith } from './toy.ts';

const plan = planFor(usersWith([[1], [2]]));

describe('guaranteeOf()', () => {
  it('gives both bounds, and what they hold for', () => {
    expect(guaranteeOf(plan, { epsilon: { lower: 1, upper: 1.5 }, steps: 7 })).toEqual({
      unit: 'user',
      epsilonUpper: 1.5,
      epsilonLower: 1,
      delta: 1e-5,
      neighbours: 'add-or-remove',
      mechanism: 'user-wise',
      sampling: 'poisson',
      steps: 7,
    });
  });

  it('says in words where nothing is proved from above, and reads so after it was written', () => {
    const guarantee = guaranteeOf(plan, { epsilon: { lower: 2, upper: Infinity }, steps: 7 });
    expect(JSON.parse(JSON.stringify(guarantee))).toMatchObject({
      epsilonUpper: null,
      epsilonLower: 2,
      note: expect.stringMatching(/^No upper bound on epsilon is proved for this sampling/),
    });
  });
});
