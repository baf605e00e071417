import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { renderCsv } from '../../../src/study/csv.ts';
import { breakEvenFigure, studyFigure } from '../../../src/study/figures.ts';
import { findingsOf } from '../../../src/study/findings.ts';
import { renderStudy } from '../../../src/study/page.ts';
import type { RunResult } from '../../../src/study/results.ts';
import { baselineResult, privateResult } from './made-up.ts';

function gridResults(strategies: readonly ('random' | 'longest')[] = ['random']): RunResult[] {
  const cells = strategies.flatMap(strategy =>
    [2, 8].flatMap(epsilon =>
      [2, 10].flatMap(recordsPerUser =>
        (['group-privacy', 'user-wise'] as const).map(mechanism => ({
          mechanism,
          epsilon,
          recordsPerUser,
          strategy,
        })),
      ),
    ),
  );
  const runs = cells.flatMap((cell, at) =>
    [1, 2, 3].map(repetition =>
      privateResult(cell, { repetition, byUser: 4 + (at % 5) / 10 + repetition / 50 }),
    ),
  );
  return [baselineResult('no-fine-tuning', 9), ...runs, baselineResult('no-privacy', 3)];
}

const facts = {
  source: 'made-up <b>people</b>',
  configuration: { '--epsilon': [2, 8], 'the table': 'abc' },
  repetitions: 3,
  delta: 1e-4,
  population: { users: 100, records: 400, heldOutUsers: 10 },
  engine: 'none',
  notes: ['a note of the plan'],
};

describe('renderStudy()', () => {
  const page = renderStudy(findingsOf(gridResults(), facts));
  const { document } = parseHTML(page);

  it('is one file: no script, nothing loaded from elsewhere, nothing unescaped', () => {
    expect(page).not.toMatch(/<script|<link|<img|url\(|@import|\son\w+=|javascript:|<b>people/i);
    const bare = page
      .replaceAll('http://www.w3.org/2000/svg', '')
      .replaceAll('http://www.w3.org/1999/xlink', '');
    expect(bare).not.toMatch(/https?:/);
    expect(page).not.toMatch(/NaN|undefined/);
  });

  it('shows five charts with names', () => {
    const names = [...document.querySelectorAll('svg')].map(svg => svg.getAttribute('aria-label') ?? '');
    expect(names.filter(name => name.length > 10)).toHaveLength(5);
  });

  it('lists every cell and both baselines with mean and interval', () => {
    const [table] = document.querySelectorAll('table');
    const rows = [...table!.querySelectorAll('tbody tr')].map(row =>
      [...row.children].map(cell => cell.textContent),
    );
    expect(rows).toHaveLength(10);
    expect(rows[0]).toEqual(['no fine-tuning', '–', '–', '–', '1', '–', '9.500', '9']);
    expect(rows[1]).toEqual([
      'Group Privacy',
      '2',
      '2',
      'random',
      '3',
      '4',
      '4.540 ± 0.050',
      '4.040 ± 0.050',
    ]);
  });

  it('says what the study spends and shows the statement of every run', () => {
    const alert = document.querySelector('.alert')!.textContent;
    expect(alert).toContain('The study itself spends privacy');
    expect(alert).toContain('a note of the plan');
    expect(document.querySelectorAll('details')).toHaveLength(24);
  });

  it('does without break-even lines where there is one mechanism', () => {
    const users = gridResults().filter(({ cell }) => cell?.mechanism !== 'group-privacy');
    expect(renderStudy(findingsOf(users, facts))).not.toContain('break even</h2>');
  });

  it('says so where there are too few runs', () => {
    const single = gridResults().filter(({ repetition }) => repetition === 1);
    const text = renderStudy(findingsOf(single, { ...facts, repetitions: 1 }));
    expect(text).toContain('there is one run of each cell: nothing can be said about chance');
    expect(text).not.toContain('±');
  });
});

describe('figures', () => {
  it('have a row of panels for each strategy', () => {
    const { summaries } = findingsOf(gridResults(['random', 'longest']), facts);
    const drawing = studyFigure(summaries, 'byUser');
    expect(drawing).toContain('>longest<');
    expect(drawing).toContain('>k = 10<');
  });

  it('cut intervals at the frame instead of flattening everything else', () => {
    const wide = [
      privateResult({ mechanism: 'user-wise' }, { repetition: 1, byUser: 4 }),
      privateResult({ mechanism: 'user-wise' }, { repetition: 2, byUser: 5 }),
    ];
    const { document } = parseHTML(studyFigure(findingsOf(wide, facts).summaries, 'byUser'));
    const ends = [...document.querySelectorAll('[aria-label="rule"] line')].flatMap(line =>
      ['y1', 'y2'].map(name => Number(line.getAttribute(name))),
    );
    expect(ends.length).toBeGreaterThan(0);
    expect(Math.min(...ends)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...ends)).toBeLessThanOrEqual(290);
  });

  it('draw differences around zero', () => {
    const { breakEven } = findingsOf(gridResults(), facts);
    const lines = breakEven.filter(({ axis, measure }) => axis === 'epsilon' && measure === 'byUser');
    expect(breakEvenFigure(lines)).toContain('difference of perplexity');
  });
});

describe('renderCsv()', () => {
  it('has one row a run and the numbers in full', () => {
    const runs = gridResults();
    const [head, ...rows] = renderCsv(runs).trimEnd().split('\n');
    expect(rows).toHaveLength(runs.length);
    const names = head!.split(',');
    const row = Object.fromEntries(rows[1]!.split(',').map((value, at) => [names[at]!, value]));
    expect(row).toMatchObject({
      run: 'group-privacy-epsilon2-k2-random-run1',
      mechanism: 'group-privacy',
      target_epsilon: '2',
      epsilon_upper: '2',
      noise_multiplier: '4',
      perplexity_by_user: '4.02',
      perplexity_worst_tenth: '6.02',
    });
    expect(rows[0]!.startsWith('no-fine-tuning,no-fine-tuning,,,')).toBe(true);
  });

  it('quotes what holds a comma', () => {
    const run = { ...baselineResult('no-privacy', 3), name: 'a,"b"' };
    expect(renderCsv([run]).split('\n')[1]).toMatch(/^"a,""b""",no-privacy,/);
  });
});
