import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  auditScores,
  type CanaryColumns,
  type CanaryScore,
  nameColumn,
  type ScoreOptions,
} from '../../../../accounting/audit/index.ts';
import { guessByRank, guessByThreshold, rankingOf } from '../../../../accounting/audit/scores/guesses.ts';

const claim: ScoreOptions = { epsilon: 1, delta: 1e-6 };

function columnsOf(rows: readonly CanaryScore[]): CanaryColumns {
  return {
    canary: nameColumn(rows.map(({ canary }) => canary)),
    included: Uint8Array.from(rows, ({ included }) => Number(included)),
    score: Float64Array.from(rows, ({ score }) => score),
    run: nameColumn(rows.map(({ run = '' }) => run)),
  };
}

/** What an audit gives, or what it says instead. */
function outcome(scores: readonly CanaryScore[] | CanaryColumns, options: ScoreOptions): unknown {
  try {
    return auditScores(scores, options);
  } catch (error) {
    return error instanceof Error ? error.message : error;
  }
}

const row = fc.record({
  canary: fc.string({ minLength: 1, maxLength: 3 }),
  included: fc.boolean(),
  score: fc.integer({ min: -4, max: 4 }),
  run: fc.constantFrom('first', 'second', 'third'),
});

describe('nameColumn()', () => {
  it('holds each text once, as UTF-8', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 4 }), { maxLength: 20 }), names => {
        const { codes, bytes, offsets } = nameColumn(names);
        const texts = [...new Set(names)];
        expect([...codes]).toEqual(names.map(name => texts.indexOf(name)));
        const held = texts.map((_, text) => bytes.slice(offsets[text], offsets[text + 1]));
        expect(held).toEqual(texts.map(text => new TextEncoder().encode(text)));
        expect(bytes).toHaveLength(offsets.at(-1)!);
      }),
    );
    expect([...nameColumn(['\ud800a']).bytes]).toEqual([0xef, 0xbf, 0xbd, 0x61]);
  });
});

describe('columns', () => {
  it('say what rows say, whatever they are', () => {
    const options = fc.constantFrom<ScoreOptions>(
      claim,
      { ...claim, cuts: { rule: 'split' } },
      { ...claim, method: 'rates', independentTrials: true },
    );
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 60 }), options, (rows, asked) => {
        expect(outcome(columnsOf(rows), asked)).toEqual(outcome(rows, asked));
      }),
    );
  });

  it('decide by neither their order nor the numbers of their names', () => {
    const rows = Array.from({ length: 500 }, (_, at) => ({
      canary: `canary ${(at * 61) % 500}`,
      included: (at * 7919) % 13 < 6,
      score: ((at * 104_729) % 1000) / 1000,
    }));
    const asked: ScoreOptions = { ...claim, cuts: { rule: 'split' } };
    const { statement, r, v } = auditScores(rows, asked);
    const sorted = [...rows].sort((one, other) => one.score - other.score);
    expect(auditScores(sorted, asked)).toMatchObject({ statement, r, v });
    // More texts than are used, numbered from the end.
    const names = nameColumn([...rows.map(({ canary }) => canary), 'of nobody'].reverse());
    const codes = names.codes.slice(1).reverse();
    const other = { ...columnsOf(rows), canary: { ...names, codes } };
    expect(auditScores(other, asked)).toMatchObject({ statement, r, v });
  });

  const rows: readonly CanaryScore[] = Array.from({ length: 99 }, (_, at) => ({
    canary: String(at),
    included: at % 2 === 0,
    score: at,
  }));
  const sound = columnsOf(rows);

  it.each<[string, Partial<CanaryColumns>, string]>([
    ['of unequal length', { included: new Uint8Array(98) }, 'included has 98 rows and score 99'],
    [
      'with a code of no text',
      { canary: { ...sound.canary, codes: new Int32Array(99).fill(99) } },
      'code 99 of 99',
    ],
    ['with a code below 0', { run: { ...sound.run!, codes: new Int32Array(99).fill(-1) } }, 'code -1'],
    [
      'with texts beyond their bytes',
      { canary: { ...sound.canary, bytes: new Uint8Array(9) } },
      'of 9 bytes',
    ],
    ['with a flag of 2', { included: new Uint8Array(99).fill(2) }, 'included 1 is 2'],
  ])('%s are refused', (_, change, told) => {
    expect(() => auditScores({ ...sound, ...change }, claim)).toThrow(told);
    expect(() => auditScores({ ...sound, ...change }, claim)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  it('with the same canary or unit twice in a run are refused, with both rows', () => {
    const twice = { ...sound, canary: nameColumn(rows.map(({ canary }, at) => (at === 70 ? '4' : canary))) };
    expect(() => auditScores(twice, claim)).toThrow('rows 5 and 71 are of the same canary');
    const unit = nameColumn(rows.map((_, at) => `u${at === 30 ? 2 : at}`));
    expect(() => auditScores({ ...sound, unit }, claim)).toThrow('rows 3 and 31 are of the same unit');
    const apart = nameColumn(rows.map((_, at) => (at > 20 ? 'late' : 'early')));
    expect(() => auditScores({ ...sound, unit, run: apart }, claim)).not.toThrow();
    expect(() => auditScores({ ...twice, run: nameColumn(rows.map((_, at) => `${at % 2}`)) }, claim)).toThrow(
      'rows 5 and 71',
    );
  });
});

describe('guesses', () => {
  it('are counted as by going through the rows, with ties against the auditor', () => {
    const rows = fc.array(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.constantFrom(0, 1)), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(
        rows,
        fc.nat(30),
        fc.nat(30),
        fc.integer({ min: -4, max: 4 }),
        (all, one, other, threshold) => {
          const scored = {
            scores: Float64Array.from(all, ([score]) => score),
            included: Uint8Array.from(all, ([, included]) => included),
          };
          const ranking = rankingOf(scored);
          const highest = Math.min(one, all.length);
          const lowest = Math.min(other, all.length - highest);
          const falling = [...all].sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, highest);
          const rising = [...all].sort((a, b) => a[0] - b[0] || b[1] - a[1]).slice(0, lowest);
          const correct =
            falling.filter(([, included]) => included === 1).length +
            rising.filter(([, included]) => included === 0).length;
          expect(guessByRank(ranking, { highest, lowest })).toEqual({
            canaries: all.length,
            guesses: highest + lowest,
            correct,
          });
          const right = all.filter(([score, included]) => Number(score >= threshold) === included).length;
          expect(guessByThreshold(ranking, threshold).correct).toBe(right);
        },
      ),
    );
  });
});
