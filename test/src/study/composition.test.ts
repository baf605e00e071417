import { describe, expect, it } from 'vitest';
import { epsilonOf, repeat } from '../../../accounting/index.ts';
import { eventOfPlan } from '../../../accounting/plan-entry.ts';
import { composeRuns, compositionSentences } from '../../../src/study/composition.ts';
import { baselineResult, privateResult } from './made-up.ts';

const question = { delta: 1e-4, neighbours: 'add-or-remove' } as const;
const runs = [1, 2, 3].map(repetition =>
  privateResult({ mechanism: 'user-wise' }, { repetition, byUser: 5 }),
);

describe('composeRuns()', () => {
  it('is the composition of all private runs, and below their sum', () => {
    const { epsilon, added, runs: count } = composeRuns([...runs, baselineResult('no-privacy', 3)], 1e-4);
    const expected = epsilonOf(repeat(eventOfPlan(runs[0]!.plan!, 5), 3), question).epsilon;
    expect(count).toBe(3);
    expect(epsilon!.upper).toBeCloseTo(expected.upper, 6);
    expect(added.epsilon).toBe(24);
    expect(added.delta).toBeCloseTo(3e-4, 12);
    expect(epsilon!.upper).toBeLessThan(24);
  });

  it('counts steps that were redone', () => {
    const redone = runs.map(run => ({ ...run, stepsCounted: 9 }));
    expect(composeRuns(redone, 1e-4).epsilon!.upper).toBeGreaterThan(composeRuns(runs, 1e-4).epsilon!.upper);
  });

  it('composes runs that differ', () => {
    const mixed = [...runs, privateResult({ mechanism: 'group-privacy', recordsPerUser: 3 }, { byUser: 5 })];
    expect(composeRuns(mixed, 1e-4).epsilon!.upper).toBeGreaterThan(composeRuns(runs, 1e-4).epsilon!.upper);
  });

  it('says in words what is covered and what is not', () => {
    const text = compositionSentences(composeRuns(runs, 1e-4)).join(' ');
    expect(text).toContain('not covered by the epsilon of any single run');
    expect(text).toContain('The models of all 3 private runs together');
    expect(text).toContain('by adding up: epsilon 24 at delta 3.00');
    expect(text).toContain('raw values of the held-out users');
  });
});
