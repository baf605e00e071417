import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  auditScores,
  type CanaryScore,
  claimOf,
  claimTradeoff,
  fDpBound,
  gaussianTradeoff,
  oneRunBound,
  oneRunPValue,
  ratesGaussianBound,
  type ScoreMethod,
  type ScoreOptions,
  tradeoffOfEvent,
  tradeoffOfProfile,
  userInferenceScore,
} from '../../../../accounting/audit/index.ts';
import { canaries, normal, ofOwnRuns, uniforms } from './simulated.ts';

function perfect(count: number): CanaryScore[] {
  const uniform = uniforms(7);
  return canaries(count, { uniform, score: included => uniform() + (included ? 1 : 0) });
}

const claim = { epsilon: 1, delta: 1e-6 };

function codes(rows: readonly CanaryScore[], options: ScoreOptions): string[] {
  return auditScores(rows, options).reasons.map(({ code }) => code.replace('DPC-', ''));
}

describe('auditScores()', () => {
  it('refutes by a proved bound alone, and says the detection limit', () => {
    const audit = auditScores(perfect(1001), claim);
    expect(audit).toMatchObject({ verdict: 'refuted', side: 'lower', valid: true, estimate: null });
    expect(audit.epsilonLowerBound).toBeGreaterThan(4);
    expect(audit.detectionLimit).toBeGreaterThanOrEqual(audit.epsilonLowerBound);
    expect(audit.statement).toContain('95 % confidence');
  });

  it('says that a claim above the detection limit could not have been refuted', () => {
    const { verdict, reasons, detectionLimit } = auditScores(perfect(1001), { ...claim, epsilon: 8 });
    expect(verdict).toBe('unverifiable');
    expect(detectionLimit).toBeLessThan(8);
    expect(reasons[0]!.code).toBe('DPC-T4-above-detection-limit');
  });

  it('says "not refuted" where nothing is shown', () => {
    const uniform = uniforms(3);
    const rows = canaries(1001, { uniform, score: () => uniform() });
    const audit = auditScores(rows, claim);
    expect(audit).toMatchObject({ verdict: 'consistent', epsilonLowerBound: 0 });
    expect(audit.reasons[0]!.text).toContain('confirms nothing');
  });

  it('never refutes by an estimate, nor by trials that are not independent', () => {
    const cut = { rule: 'preregistered', cut: { threshold: 1 } } as const;
    const methods: readonly ScoreMethod[] = ['jeffreys', 'bayesian', 'rates'];
    for (const method of methods) {
      const audit = auditScores(perfect(401), { ...claim, method, cuts: cut });
      expect(audit, method).toMatchObject({ verdict: 'unverifiable', valid: false, epsilonLowerBound: 0 });
      expect(audit.estimate).toBeGreaterThan(3);
    }
    const own = auditScores(ofOwnRuns(perfect(401)), { ...claim, method: 'rates', cuts: cut });
    expect(own).toMatchObject({ verdict: 'refuted', valid: true });
    const said = auditScores(perfect(401), { ...claim, method: 'rates', independentTrials: true });
    expect(said).toMatchObject({ verdict: 'refuted', cuts: { rule: 'split' } });
  });

  it('takes cosines of canary users, as an estimate or at a registered threshold', () => {
    const rows = perfect(400).map(row => ({ ...row, score: row.score / 20 }));
    const options = { ...claim, method: 'one-shot', dimension: 10_000 } as const;
    expect(auditScores(rows, options)).toMatchObject({ verdict: 'unverifiable', side: 'estimate' });
    const cuts = { rule: 'preregistered', cut: { threshold: 0.045 } } as const;
    expect(auditScores(ofOwnRuns(rows), { ...options, cuts }).verdict).toBe('refuted');
    expect(auditScores(rows, { ...options, cuts }).verdict).toBe('unverifiable');
    expect(() => auditScores(rows, { ...claim, method: 'one-shot' })).toThrow('dimension');
  });

  it('takes exchangeable canaries of several runs, as an estimate', () => {
    const rows = Array.from({ length: 40 * 16 }, (_, index) => {
      const [run, canary] = [Math.floor(index / 16), index % 16];
      const score = canary < 8 === index % 7 > 0 ? 1 : 0;
      return { canary: String(canary), run: String(run), included: canary < 8, score };
    });
    const cuts = { rule: 'preregistered', cut: { threshold: 0.5 } } as const;
    const audit = auditScores(rows, { ...claim, method: 'lifted', cuts });
    expect(audit).toMatchObject({ verdict: 'unverifiable', side: 'estimate' });
    expect(audit.estimate).toBeGreaterThan(1);
    expect(() => auditScores(rows, { ...claim, method: 'lifted' })).toThrow('Preregister');
    expect(() => auditScores(rows.slice(1), { ...claim, method: 'lifted', cuts })).toThrow('as many');
  });

  it('tests the curve of the claim, and a Gaussian bound refutes nothing by itself', () => {
    const uniform = uniforms(11);
    const rows = canaries(2001, { uniform, score: included => normal(uniform) + (included ? 2 : 0) });
    const plain = auditScores(rows, { epsilon: 4.38, delta: 1e-5, method: 'f-dp' });
    expect(plain.gaussian!.epsilon).toBeGreaterThan(4.38);
    expect(plain.verdict).toBe('consistent');
    expect(plain.reasons.map(({ code }) => code)).toContain('DPC-T10-gaussian-family');
    const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
    const curve = tradeoffOfEvent(event, { neighbours: 'add-or-remove', leastRate: 1e-5 });
    const tested = auditScores(rows, { epsilon: 4.38, delta: 1e-5, method: 'f-dp', curve });
    expect(tested).toMatchObject({ verdict: 'refuted' });
    expect(tested.reasons[0]!.code).toBe('DPC-T2-curve-rejected');
  });

  it('holds repeated canaries against a group alone', () => {
    const rows = perfect(1001).map(row => ({ ...row, repeats: 4 }));
    expect(() => auditScores(rows, claim)).toThrow(/put in 4 times/);
    const { verdict, claimed } = auditScores(rows, { ...claim, group: true });
    expect(verdict).toBe('refuted');
    expect(claimed.epsilon.upper).toBe(4);
    expect(claimed.delta).toBeCloseTo((1e-6 * Math.expm1(4)) / Math.expm1(1), 12);
    expect(auditScores(rows, { epsilon: 2, delta: 1e-6, group: true }).verdict).toBe('unverifiable');
    expect(() => auditScores(rows, { epsilon: 5, delta: 1e-3, group: true })).toThrow('delta');
  });

  it('lets record canaries speak about users, and not the other way round', () => {
    expect(codes(perfect(1001), { ...claim, unit: 'record', claimUnit: 'user' })).toContain(
      'T7-record-canaries',
    );
    expect(() => auditScores(perfect(99), { ...claim, unit: 'user', claimUnit: 'record' })).toThrow(
      'claimUnit',
    );
  });

  it('does not turn scores around that point the wrong way', () => {
    const rows = perfect(1001).map(row => ({ ...row, score: -row.score }));
    expect(auditScores(rows, claim).epsilonLowerBound).toBe(0);
    expect(codes(rows, claim)).toContain('T9-scores-reversed');
    const counts = { truePositives: 5, falseNegatives: 95, falsePositives: 95, trueNegatives: 5 };
    expect(ratesGaussianBound({ ...counts, delta: 1e-5, significance: 0.05 })).toMatchObject({
      mu: 0,
      epsilon: 0,
    });
  });

  it('is not fooled by the order of equal scores', () => {
    const uniform = uniforms(5);
    const tied = canaries(1001, { uniform, score: () => 1 });
    const sorted = [...tied].sort((a, b) => Number(a.included) - Number(b.included));
    for (const rows of [sorted, [...sorted].reverse()]) {
      for (const [highest, lowest] of [
        [100, 0],
        [0, 100],
        [100, 100],
      ] as const) {
        const cuts = { rule: 'preregistered', cut: { highest, lowest } } as const;
        expect(auditScores(rows, { ...claim, cuts })).toMatchObject({ v: 0, epsilonLowerBound: 0 });
      }
    }
  });
});

describe('scores that no test is valid for', () => {
  const rows = perfect(99);
  const changed = (change: Partial<CanaryScore>): CanaryScore[] => [
    { ...rows[0]!, ...change },
    ...rows.slice(1),
  ];

  it.each([
    ['no rows', [], 'INVALID_DATA'],
    ['a score that is not a number', changed({ score: Number.NaN }), 'INVALID_DATA'],
    ['an infinite score', changed({ score: Infinity }), 'INVALID_DATA'],
    ['one class only', rows.map(row => ({ ...row, included: true })), 'INVALID_DATA'],
    ['a canary twice', changed({ canary: '1' }), 'DUPLICATE_RECORD'],
    ['a user twice', changed({ unit: '1' }), 'DUPLICATE_RECORD'],
    ['repeats that differ', changed({ repeats: 2 }), 'INVALID_DATA'],
    ['no whole repeats', changed({ repeats: 0.5 }), 'INVALID_DATA'],
    ['an exact half', perfect(100).map((row, at) => ({ ...row, included: at < 50 })), 'INVALID_DATA'],
    ['no fair coins', rows.map((row, at) => ({ ...row, included: at < 5 })), 'INVALID_DATA'],
    [
      'one toss for several runs',
      [1, 2].flatMap(run => rows.map(row => ({ ...row, run: String(run) }))),
      'INVALID_DATA',
    ],
  ] as const)('%s', (_, bad, code) => {
    expect(() => auditScores(bad, claim)).toThrow(expect.objectContaining({ code }));
  });

  it('a fixed split, whatever it looks like; and an exact half of stated coins with a warning', () => {
    expect(() => auditScores(rows, { ...claim, inclusion: 'fixed' })).toThrow('fixed rule');
    const half = perfect(100).map((row, at) => ({ ...row, included: at % 2 === 0 }));
    expect(codes(half, { ...claim, inclusion: 'fair-coins' })).toContain('T8-exact-half');
  });

  it.each([
    [{ epsilon: -1 }],
    [{ delta: 1 }],
    [{ significance: 0.5 }],
    [{ cuts: { rule: 'preregistered', cut: { highest: 60, lowest: 60 } } }],
    [{ cuts: { rule: 'preregistered', cut: { threshold: Number.NaN } } }],
    [{ cuts: { rule: 'grid', shares: [] } }],
    [{ cuts: { rule: 'grid', shares: [1.5] } }],
    [{ method: 'rates', cuts: { rule: 'grid', shares: [1] } }],
    [{ method: 'rates', cuts: { rule: 'preregistered', cut: { highest: 5, lowest: 5 } } }],
  ] as const)('options %j', options => {
    expect(() => auditScores(rows, { ...claim, ...options })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});

const guesses = fc
  .record({ canaries: fc.integer({ min: 1, max: 400 }), share: fc.double({ min: 0, max: 1, noNaN: true }) })
  .chain(({ canaries: all, share }) => {
    const most = Math.floor(all * share);
    return fc.record({ canaries: fc.constant(all), guesses: fc.constant(most), correct: fc.nat(most) });
  });

describe('bounds of one run', () => {
  it('rise with the right guesses up to the limit, and fall with the significance', () => {
    fc.assert(
      fc.property(guesses, fc.constantFrom(0, 1e-6, 1e-3), (given, delta) => {
        for (const bound of [oneRunBound, fDpBound]) {
          const at = (correct: number, significance = 0.05): number =>
            bound({ ...given, correct, delta, significance }).epsilon;
          const { detectionLimit } = bound({ ...given, delta, significance: 0.05 });
          const next = Math.min(given.guesses, given.correct + 1);
          expect(at(next)).toBeGreaterThanOrEqual(at(given.correct) - 1e-6);
          expect(at(given.correct)).toBeLessThanOrEqual(detectionLimit + 1e-6);
          expect(at(given.correct, 0.01)).toBeLessThanOrEqual(at(given.correct) + 1e-6);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('agree with the p-value', () => {
    fc.assert(
      fc.property(guesses, fc.constantFrom(0, 1e-5), (given, delta) => {
        const { epsilon } = oneRunBound({ ...given, delta, significance: 0.05 });
        const p = (at: number): number => oneRunPValue({ ...given, delta, epsilon: at });
        if (epsilon > 0) expect(p(epsilon)).toBeLessThanOrEqual(0.05);
        expect(p(epsilon + 1e-3)).toBeGreaterThan(0.05 * (1 - 1e-6));
      }),
    );
  });
});

describe('trade-off curves', () => {
  it('of promises never lie above the mechanism that keeps them', () => {
    const event = { kind: 'gaussian', noiseMultiplier: 0.8 } as const;
    const curve = tradeoffOfEvent(event, { neighbours: 'add-or-remove', leastRate: 1e-6 });
    const exact = gaussianTradeoff(1 / 0.8);
    fc.assert(
      fc.property(fc.double({ min: 1e-7, max: 1, noNaN: true }), rate => {
        expect(curve(rate)).toBeLessThanOrEqual(exact(rate) * (1 + 1e-9) + 1e-15);
        if (rate > 1e-5 && rate < 0.999) expect(curve(rate)).toBeGreaterThan(0.98 * exact(rate));
      }),
    );
  });

  it('are the largest of their lines', () => {
    const point = fc.record({
      epsilon: fc.double({ min: 0, max: 6, noNaN: true }),
      delta: fc.double({ min: 0, max: 0.5, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(point, { minLength: 1, maxLength: 8 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (points, rate) => {
          const lines = points.flatMap(({ epsilon, delta }) => [
            1 - delta - Math.exp(epsilon) * (1 - rate),
            Math.exp(-epsilon) * (rate - delta),
          ]);
          expect(tradeoffOfProfile(points)(rate)).toBeCloseTo(Math.max(0, ...lines), 9);
        },
      ),
    );
  });

  it('of a claim need all of its settings', () => {
    const stated = {
      adjacency: 'add_remove',
      unit: { kind: 'example' },
      guarantee: { epsilon: '4.4', delta: 1e-5 },
    } as const;
    const noise = { multiplier: 1, relative_to: 'clip' } as const;
    const full = claimOf({ ...stated, mechanisms: [{ kind: 'gaussian', noise }] });
    expect(claimTradeoff(full, { leastRate: 1e-4 })!(0.5)).toBeCloseTo(0.1586, 3);
    const replaced = claimOf({
      ...stated,
      adjacency: 'replace_one',
      mechanisms: [{ kind: 'gaussian', noise }],
    });
    expect(claimTradeoff(replaced, { leastRate: 1e-4 })).toBeUndefined();
    expect(claimTradeoff(claimOf(stated), { leastRate: 1e-4 })).toBeUndefined();
  });
});

it('userInferenceScore() is the mean log ratio of a user', () => {
  expect(userInferenceScore({ model: [-1, -2, -3], reference: [-2, -4, -3] })).toBe(1);
  expect(() => userInferenceScore({ model: [-1], reference: [] })).toThrow('same samples');
  expect(() => userInferenceScore({ model: [-Infinity], reference: [0] })).toThrow('finite');
});
