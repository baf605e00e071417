import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import type { ReportData, ReportRun } from '../../../src/report/data.ts';
import {
  contributionFigure,
  epsilonFigure,
  lossFigure,
  perplexityFigure,
} from '../../../src/report/figures.ts';
import { escapeHtml } from '../../../src/report/html.ts';
import { renderReport } from '../../../src/report/page.ts';

const baseline: ReportRun = {
  name: 'no fine-tuning',
  mechanism: 'none',
  recordsPerUser: null,
  noiseMultiplier: null,
  epsilon: null,
  perplexityByRecord: 6.25,
  perplexityByUser: 6.5,
  seconds: 0,
  lossCurve: [],
  epsilonCurve: [],
  statement: null,
};

const steps = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

function privateRun(name: string, offset: number): ReportRun {
  return {
    ...baseline,
    name,
    mechanism: 'user-wise',
    recordsPerUser: 10,
    noiseMultiplier: 1.5,
    epsilon: { lower: 7.91, upper: 7.99 },
    perplexityByRecord: 4.5 + offset,
    seconds: 12.34,
    lossCurve: steps.map(step => ({ step, loss: 2 + offset - step / 10 })),
    epsilonCurve: steps.map(step => ({
      steps: step,
      epsilon: { lower: step / 2, upper: step / 2 + offset },
    })),
    statement: [
      ['Guarantee', `epsilon at most 7.99 for ${name}`],
      ['Warnings', 'first warning', 'second warning'],
    ],
  };
}

const runs = [baseline, privateRun('Group Privacy', 0.5), privateRun('User-wise DP-SGD', 0.25)];

const contributions = [
  { low: 1, high: 1, before: 4, after: 4 },
  { low: 2, high: 3, before: 3, after: 5 },
  { low: 4, high: 7, before: 2, after: 0 },
];

const data: ReportData = {
  title: 'Comparison of mechanisms',
  source: 'test data',
  version: '0.0.0',
  target: { epsilon: 8, delta: 1e-3 },
  population: { users: 9, records: 20, heldOutUsers: 2 },
  recordsPerUser: 3,
  contributions,
  runs,
  notes: ['delta is not below 1/users'],
};

it('contributionFigure() names where each bucket begins when there are too many for whole names', () => {
  const many = Array.from({ length: 12 }, (_, power) => {
    return { low: 2 ** power, high: 2 ** (power + 1) - 1, before: 1, after: 1 };
  });
  expect(contributionFigure(many)).toContain('>1024+<');
  expect(contributionFigure(many)).not.toContain('1024–2047');
  expect(contributionFigure(contributions)).toContain('4–7');
});

describe('figures on fixed data', () => {
  it('contributionFigure() is unchanged', () => {
    expect(contributionFigure(contributions)).toMatchSnapshot();
  });
  it('lossFigure() is unchanged', () => {
    expect(lossFigure(runs.slice(1))).toMatchSnapshot();
  });
  it('epsilonFigure() is unchanged', () => {
    expect(epsilonFigure(runs.slice(1), 8)).toMatchSnapshot();
  });
  it('perplexityFigure() is unchanged', () => {
    expect(perplexityFigure(runs)).toMatchSnapshot();
  });

  it('bars of the histogram are as high as their counts', () => {
    const { document } = parseHTML(contributionFigure(contributions));
    const heights = [...document.querySelectorAll('rect')].map(bar => Number(bar.getAttribute('height')));
    expect(heights.map(height => Math.round((4 * height) / heights[0]!))).toEqual([4, 4, 3, 5, 2, 0]);
  });

  it('an infinite epsilon is left out of the curve instead of breaking it', () => {
    const open = { ...runs[1]!, epsilonCurve: [{ steps: 1, epsilon: { lower: 0, upper: Infinity } }] };
    expect(epsilonFigure([open], 8)).not.toMatch(/NaN|Infinity/);
  });
});

describe('renderReport()', () => {
  const page = renderReport(data);
  const { document } = parseHTML(page);

  it('is one file: no script, nothing loaded from elsewhere', () => {
    expect(page).not.toMatch(/<script|<link|<img|url\(|@import|\son\w+=|javascript:/i);
    expect(
      page.replaceAll('http://www.w3.org/2000/svg', '').replaceAll('http://www.w3.org/1999/xlink', ''),
    ).not.toMatch(/https?:/);
  });

  it('shows four figures, each with a name, and a table beside each', () => {
    const drawings = [...document.querySelectorAll('svg')];
    expect(drawings).toHaveLength(4);
    expect(drawings.every(svg => (svg.getAttribute('aria-label') ?? '').length > 10)).toBe(true);
    expect(document.querySelectorAll('table')).toHaveLength(4);
  });

  it('lists every run with its noise, interval and perplexity', () => {
    const rows = [...document.querySelectorAll('table')][0]!.querySelectorAll('tbody tr');
    expect([...rows].map(row => [...row.children].map(cell => cell.textContent))).toEqual([
      ['no fine-tuning', '–', '–', '–', '6.250', '6.500', '0.0'],
      ['Group Privacy', '10', '1.500', '[7.910, 7.990]', '5', '6.500', '12.3'],
      ['User-wise DP-SGD', '10', '1.500', '[7.910, 7.990]', '4.750', '6.500', '12.3'],
    ]);
  });

  it('warns that raw numbers are not private and repeats the notes', () => {
    const alert = document.querySelector('.alert')!.textContent;
    expect(alert).toContain('raw values of private data');
    expect(alert).toContain('delta is not below 1/users');
  });

  it('shows the statements in full', () => {
    const facts = [...document.querySelectorAll('dl')].map(list =>
      [...list.children].map(part => part.textContent),
    );
    const rest = ['Warnings', 'first warning', 'second warning'];
    expect(facts).toEqual([
      ['Guarantee', 'epsilon at most 7.99 for Group Privacy', ...rest],
      ['Guarantee', 'epsilon at most 7.99 for User-wise DP-SGD', ...rest],
    ]);
  });

  it('serves light, dark and paper', () => {
    expect(page).toContain('prefers-color-scheme: dark');
    expect(page).toContain('size: A4');
  });

  it('escapes whatever comes from outside', () => {
    const hostile = `<script>alert("x")</script>&'`;
    const spoiled = renderReport({
      ...data,
      title: hostile,
      source: hostile,
      version: hostile,
      notes: [hostile],
      runs: [{ ...runs[1]!, name: hostile, statement: [[hostile, hostile]] }],
    });
    expect(spoiled).not.toContain('<script');
    expect(spoiled.split(escapeHtml(hostile)).length).toBeGreaterThan(7);
  });

  it('does without curves where no run has any', () => {
    const plain = renderReport({ ...data, runs: [baseline] });
    expect(plain).not.toContain('Loss while training');
    expect(plain).not.toContain('Privacy spent while training');
  });
});
