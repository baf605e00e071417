import { describe, expect, it } from 'vitest';
import {
  auditScores,
  type CanaryScore,
  cosineTail,
  oneShotBound,
  type ScoreOptions,
  tradeoffOfEvent,
} from '../../../../accounting/audit/index.ts';
import { exactEpsilon } from '../../../../accounting/contour/contour.ts';
import { logBinomialTail } from '../../../../accounting/numerics/binomial-tail.ts';
import { canaries, normal, ofOwnRuns, randomisedResponse, uniforms } from './simulated.ts';

const audits = 2000;
const significance = 0.05;

/** More false refutations than this happen with probability 1e-4 to a test that keeps its level. */
function mostByChance(level: number): number {
  let count = Math.ceil(audits * level);
  while (logBinomialTail({ trials: audits, probability: level, least: count + 1 }) > Math.log(1e-4))
    count += 1;
  return count;
}

/** Audits of honest claims that were refuted all the same. */
function refutations(isRefuted: (uniform: () => number) => boolean, among = audits): number {
  const uniform = uniforms(20_261_128);
  let count = 0;
  for (let audit = 0; audit < among; audit += 1) if (isRefuted(uniform)) count += 1;
  return count;
}

function hasBothSorts(rows: readonly CanaryScore[]): boolean {
  return rows.some(({ included }) => included) && rows.some(({ included }) => !included);
}

function isRefuted(rows: readonly CanaryScore[], options: ScoreOptions): boolean {
  if (!hasBothSorts(rows)) return false;
  return auditScores(rows, { significance, inclusion: 'fair-coins', ...options }).verdict === 'refuted';
}

const allowed = mostByChance(significance);
const epsilon = 1;

describe('honest claims are refuted no more often than the significance', () => {
  it('by guesses of one run under a registration, a fixed grid, and a split', () => {
    for (const [method, cuts] of [
      ['one-run', { rule: 'preregistered', cut: { highest: 9, lowest: 9 } }],
      ['one-run', { rule: 'grid', shares: [1, 0.5, 0.25, 0.1] }],
      ['one-run', { rule: 'split', shares: [1, 0.5] }],
      ['f-dp', { rule: 'grid', shares: [1, 0.5] }],
    ] as const) {
      const count = refutations(uniform => {
        const rows = canaries(30, { uniform, score: randomisedResponse(epsilon, uniform) });
        return isRefuted(rows, { epsilon, delta: 0, method, cuts });
      });
      expect(count, `${method} by ${cuts.rule}`).toBeLessThanOrEqual(allowed);
    }
  });

  it('by the curve of a Gaussian mechanism, and often where the claimed noise is not the real one', () => {
    const delta = 1e-5;
    const cuts = { rule: 'grid', shares: [1, 0.3] } as const;
    const under = (claimedNoise: number, among = audits): number => {
      const event = { kind: 'gaussian', noiseMultiplier: claimedNoise } as const;
      const { upper } = exactEpsilon(event, { delta, neighbours: 'add-or-remove' });
      const curve = tradeoffOfEvent(event, { neighbours: 'add-or-remove', leastRate: 1e-4 });
      return refutations(uniform => {
        const score = (included: boolean): number => normal(uniform) + (included ? 1 : 0);
        const rows = canaries(30, { uniform, score });
        return isRefuted(rows, { epsilon: upper, delta, method: 'f-dp', curve, cuts });
      }, among);
    };
    expect(under(1)).toBeLessThanOrEqual(allowed);
    expect(under(10, 200)).toBeGreaterThan(0.2 * 200);
  });

  it('by rates at a registered threshold, a fixed grid, and a split', () => {
    for (const cuts of [
      { rule: 'preregistered', cut: { threshold: 0.2 } },
      { rule: 'grid', thresholds: [0, 0.4] },
      { rule: 'split', thresholds: [0, 0.2, 0.4] },
    ] as const) {
      const count = refutations(uniform => {
        const rows = canaries(60, { uniform, score: randomisedResponse(epsilon, uniform) });
        return isRefuted(ofOwnRuns(rows), { epsilon, delta: 0, method: 'rates', cuts });
      });
      expect(count, cuts.rule).toBeLessThanOrEqual(allowed);
    }
  });

  it('by cosines of canary users over a registered threshold', () => {
    const [dimension, threshold] = [1000, 0.05];
    const hit = Math.exp(epsilon) * cosineTail(threshold, { dimension });
    const count = refutations(uniform => {
      const cosines = Array.from({ length: 200 }, () => (uniform() < hit ? 0.06 : 0));
      const bound = oneShotBound({ cosines, dimension, threshold, delta: 0, significance });
      return bound.epsilon > epsilon;
    });
    expect(count).toBeLessThanOrEqual(allowed);
    expect(count).toBeGreaterThan(0);
  });

  it('but far more often where the best of several cuts is taken without a correction', () => {
    const cuts = [2, 4, 6, 8, 10, 12, 16, 20, 24, 28].map(
      side => ({ rule: 'preregistered', cut: { highest: side, lowest: side } }) as const,
    );
    const guessed = refutations(uniform => {
      const rows = canaries(60, { uniform, score: randomisedResponse(epsilon, uniform) });
      return cuts.some(each => isRefuted(rows, { epsilon, delta: 0, cuts: each }));
    }, 300);
    expect(guessed).toBeGreaterThan(0.1 * 300);
  });
});
