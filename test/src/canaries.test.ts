import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CanaryScore } from '../../accounting/audit/index.ts';
import { canaryAudit, canaryRequest, type CanaryAudit } from '../../src/canaries.ts';
import { renderScores } from '../../trainer/canaries/score-canaries.ts';
import { temporaryFolder } from './support.ts';

const folder = temporaryFolder();

/** The audit of a run with these canaries that states ε = 1 at δ = 1e-6. */
async function audited(scoreOf: (canary: number) => Omit<CanaryScore, 'canary'>): Promise<CanaryAudit> {
  const scores = Array.from({ length: 40 }, (_, at) => ({ canary: `canary:${at}`, ...scoreOf(at) }));
  const canaries = { recordsPerCanary: 1, cut: { highest: 10, lowest: 10 }, scores };
  writeFileSync(join(folder, 'scores.csv'), renderScores({ ...canaries, delta: 1e-6 }));
  const found = await canaryAudit({ canaries, epsilon: { lower: 0.9, upper: 1 }, delta: 1e-6 }, folder);
  return found!;
}

describe('canaryAudit()', () => {
  it('refutes by the guesses that were registered, and says so', async () => {
    const { json, lines, failure } = await audited(at => ({
      included: at % 2 === 0,
      score: at % 2 === 0 ? 99 + at : at,
    }));
    expect(json).toMatchObject({ verdict: 'refuted', count: 40, m: 40, r: 20, v: 20 });
    expect(failure).toMatchObject({ code: 'CHECK_FAILED' });
    expect(lines.join('\n')).toContain(
      'epsilon 1 is refuted: the lower bound that the scores prove lies above',
    );
    expect(lines.join('\n')).not.toContain('registered-beside');
  });

  it('does not refute what guessing explains', async () => {
    const { json, failure } = await audited(at => ({ included: at % 3 === 0, score: (at * 17) % 40 }));
    expect(json).toMatchObject({ verdict: 'consistent', epsilonLowerBound: 0 });
    expect(failure).toBeUndefined();
  });

  it.each<[string, (at: number) => Omit<CanaryScore, 'canary'>, string]>([
    ['all coins fell alike', at => ({ included: true, score: at }), '40 of 40'],
    [
      'a score is no number',
      at => ({ included: at % 3 === 0, score: at === 5 ? NaN : at }),
      'line 11, column score',
    ],
  ])('takes nothing away where %s', async (_, scoreOf, told) => {
    const { json, lines, failure } = await audited(scoreOf);
    expect(json).toMatchObject({ verdict: 'unverifiable', count: 40 });
    expect(lines[1]).toMatch(/^They were not audited\. Cannot /);
    expect(lines[1]).toContain(told);
    expect(failure).toBeUndefined();
  });

  it('is there only where canaries were planted', async () => {
    const run = { canaries: null, epsilon: { lower: 0, upper: 1 }, delta: 1e-6 };
    expect(await canaryAudit(run, folder)).toBeUndefined();
    expect(canaryRequest({})).toBeUndefined();
    expect(() => canaryRequest({ canaryRecords: 2 })).toThrow('--canary-records is 2 without --canaries');
  });
});
