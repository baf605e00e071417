import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { choiceSentences, choicesOf, chosenBy, runsToMake } from '../../../src/study/choices.ts';
import { renderCsv } from '../../../src/study/csv.ts';
import { findingsOf } from '../../../src/study/findings.ts';
import { renderStudy } from '../../../src/study/page.ts';
import { settingsOf } from '../../../src/study/question.ts';
import type { RunResult } from '../../../src/study/results.ts';
import { baselineResult, privateResult } from './made-up.ts';

const settings = settingsOf({ learningRates: [0.01, 0.1], clipNorms: [0.5, 1] });

function tried(validations: readonly number[], k = 2): RunResult[] {
  return validations.map((validation, at) =>
    privateResult(
      { mechanism: 'user-wise', recordsPerUser: k },
      { byUser: 10 + at, validation, setting: settings[at] },
    ),
  );
}

describe('settingsOf()', () => {
  it('crosses rates and clips, and leaves nothing to choose where there is one of each', () => {
    expect(settings).toHaveLength(4);
    expect(settingsOf({ learningRates: [], clipNorms: [1] })).toEqual([undefined]);
    expect(settingsOf({ learningRates: [0.1], clipNorms: [1] })).toEqual([undefined]);
    expect(settingsOf({ learningRates: [], clipNorms: [1, 2] })).toEqual([
      { learningRate: null, clipNorm: 1 },
      { learningRate: null, clipNorm: 2 },
    ]);
  });
});

describe('choicesOf()', () => {
  it('takes the lowest perplexity of validation users, whatever that of the others is', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1, max: 100, noNaN: true }), { minLength: 4, maxLength: 4 }),
        values => {
          const [choice] = choicesOf(tried(values));
          expect(choice!.chosen).toEqual(settings[values.indexOf(Math.min(...values))]);
        },
      ),
    );
  });

  it('never takes a model that has diverged, and the first of equals', () => {
    expect(choicesOf(tried([NaN, Infinity, 7, 7]))[0]!.chosen).toEqual(settings[2]);
  });

  it('chooses for each cell by itself, and by first repetitions alone', () => {
    const later = { ...tried([1])[0]!, repetition: 2 };
    const choices = choicesOf([...tried([3, 2]), ...tried([2, 3], 5), later]);
    expect(choices.map(({ cell, chosen }) => [cell!.recordsPerUser, chosen])).toEqual([
      [2, settings[1]],
      [5, settings[0]],
    ]);
    const isChosen = chosenBy(choices);
    expect([...tried([3, 2]), later].map(isChosen)).toEqual([false, true, false]);
    expect(isChosen(baselineResult('no-privacy', 3))).toBe(true);
  });
});

describe('runsToMake()', () => {
  it('counts all settings once, and one of them in every later repetition', () => {
    const first = [...tried([1, 2, 3, 4]), ...tried([1, 2], 5)];
    const second = first.map(run => ({ ...run, repetition: 2 }));
    const third = first.map(run => ({ ...run, repetition: 3 }));
    expect(runsToMake([...first, ...second, ...third])).toHaveLength(6 + 2 + 2);
    expect(runsToMake([baselineResult('no-privacy', 3)])).toHaveLength(1);
  });
});

describe('a study with choices', () => {
  const facts = {
    source: 'made-up',
    configuration: {},
    repetitions: 1,
    delta: 1e-4,
    population: { users: 100, records: 400, heldOutUsers: 10, validationUsers: 5 },
    engine: 'none',
    notes: [],
  };
  const runs = [baselineResult('no-fine-tuning', 20), ...tried([5, 4, 6, 7])];
  const findings = findingsOf(runs, facts);

  it('shows the chosen runs, and counts what all of them cost', () => {
    expect(findings.summaries.map(({ perplexity }) => perplexity.byUser.mean)).toEqual([20, 11]);
    expect(findings.composition.runs).toBe(4);
    const rows = renderCsv(runs).split('\n');
    const chosen = rows[0]!.split(',').indexOf('chosen');
    expect(rows.slice(1, 6).map(row => row.split(',')[chosen])).toEqual(['yes', 'no', 'yes', 'no', 'no']);
  });

  it('says that the choice looked at private text', () => {
    const page = renderStudy(findings);
    expect(page).toContain('<h2>Settings tried</h2>');
    for (const sentence of choiceSentences(findings.choices, 5)) expect(page).toContain(sentence);
    expect(choiceSentences(findings.choices, 5).join(' ')).toContain('no epsilon covers it');
    expect(choiceSentences([], 5)).toEqual([]);
    expect(renderStudy(findingsOf(runs.slice(0, 1), facts))).not.toContain('Settings tried');
  });
});
