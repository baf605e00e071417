import * as Plot from '@observablehq/plot';
import { draw } from '../report/figures.ts';
import { mechanismName } from '../planning.ts';
import { wordsOf, type BreakEvenLine } from './break-even.ts';
import { selectedAndSampled } from './question.ts';
import type { Measure } from './results.ts';
import type { Summary } from './summary.ts';

/** The mechanisms in the order of their colours. */
export const mechanismNames: readonly string[] = [mechanismName('group-privacy'), mechanismName('user-wise')];

interface Point {
  readonly series: string;
  readonly epsilon: string;
  readonly k: string;
  readonly strategy: string;
  readonly mean: number;
  readonly lower: number;
  readonly upper: number;
  readonly values: readonly number[];
}

interface Range {
  readonly low: number;
  readonly high: number;
}

/** From the least value to the largest, runs and baselines, with room: a wide interval must not flatten all else. */
function rangeOf(values: readonly number[]): Range {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = 0.12 * (high - low) || 0.1 * Math.abs(high) || 1;
  return { low: low - room, high: high + room };
}

function within(value: number, { low, high }: Range): number {
  return Math.min(high, Math.max(low, value));
}

function pointsOf(
  summaries: readonly Summary[],
  { measure, range }: { measure: Measure; range: Range },
): Point[] {
  return summaries.flatMap(({ cell, perplexity }) => {
    if (cell === null) return [];
    const { mean, interval, values } = perplexity[measure];
    const { lower, upper } = interval ?? { lower: mean, upper: mean };
    return [
      {
        series: mechanismName(cell.mechanism),
        epsilon: String(cell.epsilon),
        k: `k = ${cell.recordsPerUser}`,
        strategy: selectedAndSampled(cell),
        mean,
        lower: within(lower, range),
        upper: within(upper, range),
        values,
      },
    ];
  });
}

const colours = ['var(--series-1)', 'var(--series-2)'];

function byNumber(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort((a, b) => Number(a.replace('k = ', '')) - Number(b.replace('k = ', '')));
}

/** Facets are left out where there is but one of them: nothing is to be told apart. */
function facetOf(points: readonly Point[]): { fx: 'k'; fy?: 'strategy' } {
  const strategies = new Set(points.map(({ strategy }) => strategy));
  return strategies.size > 1 ? { fx: 'k', fy: 'strategy' } : { fx: 'k' };
}

function baselineMarks(summaries: readonly Summary[], measure: Measure): Plot.Markish[] {
  return summaries.flatMap(({ kind, perplexity }) => {
    if (kind === 'private') return [];
    const strokeDasharray = kind === 'no-privacy' ? '2 4' : '7 4';
    return [
      Plot.ruleY([perplexity[measure].mean], { stroke: 'currentColor', strokeOpacity: 0.6, strokeDasharray }),
    ];
  });
}

/** Perplexity against epsilon: one panel a k (and a row a strategy), means with intervals, single runs as dots. */
export function studyFigure(summaries: readonly Summary[], measure: Measure): string {
  const range = rangeOf(summaries.flatMap(({ perplexity }) => perplexity[measure].values));
  const points = pointsOf(summaries, { measure, range });
  const facet = facetOf(points);
  const single = points.flatMap(point => point.values.map(value => ({ ...point, value })));
  const rows = facet.fy === undefined ? 1 : new Set(points.map(({ strategy }) => strategy)).size;
  const series = { x: 'epsilon', stroke: 'series', ...facet } as const;
  return draw(`Held-out perplexity by epsilon and k, ${measure}`, {
    height: 60 + 230 * rows,
    marginRight: facet.fy === undefined ? 20 : 90,
    color: { domain: [...mechanismNames], range: colours },
    fx: { domain: byNumber(points.map(({ k }) => k)), label: null },
    fy: { label: null },
    x: {
      type: 'point',
      domain: byNumber(points.map(({ epsilon }) => epsilon)),
      label: 'epsilon',
      padding: 0.6,
    },
    y: { label: 'perplexity', grid: true, domain: [range.low, range.high] },
    marks: [
      Plot.frame({ strokeOpacity: 0.15 }),
      ...baselineMarks(summaries, measure),
      Plot.ruleX(points, { ...series, y1: 'lower', y2: 'upper', strokeWidth: 1.6, strokeOpacity: 0.6 }),
      Plot.lineY(points, { ...series, y: 'mean', z: 'series', strokeWidth: 2.2 }),
      Plot.dot(single, { x: 'epsilon', y: 'value', fill: 'series', r: 2.2, fillOpacity: 0.8, ...facet }),
    ],
  });
}

interface DifferencePoint {
  readonly line: string;
  readonly at: number;
  readonly mean: number;
  readonly lower: number;
  readonly upper: number;
}

function differencePoints(lines: readonly BreakEvenLine[], range: Range): DifferencePoint[] {
  return lines.flatMap(line =>
    line.points.map(({ at, difference: { mean, interval } }) => ({
      line: wordsOf(line).at,
      at,
      mean,
      lower: within(interval?.lower ?? mean, range),
      upper: within(interval?.upper ?? mean, range),
    })),
  );
}

const lineColours = ['var(--series-1)', 'var(--series-2)', 'var(--series-3)', 'var(--series-4)'];

/** At most as many lines as there are colours, evenly spread, first and last among them. */
export function drawnLines(lines: readonly BreakEvenLine[]): BreakEvenLine[] {
  const most = lineColours.length;
  const long = lines.filter(({ points }) => points.length > 1);
  if (long.length <= most) return long;
  return Array.from({ length: most }, (_, at) => long[Math.round((at * (long.length - 1)) / (most - 1))]!);
}

/** Differences along one axis, zero where the mechanisms break even; all lines are of one axis, measure and strategy. */
export function breakEvenFigure(lines: readonly BreakEvenLine[]): string {
  const axis = lines[0]!.axis === 'epsilon' ? 'epsilon' : 'k';
  const values = lines.flatMap(({ points }) => points.flatMap(({ difference }) => difference.values));
  const range = rangeOf([...values, 0]);
  const points = differencePoints(lines, range);
  const series = { x: 'at', stroke: 'line' } as const;
  return draw(`Perplexity of Group Privacy less that of User-wise DP-SGD by ${axis}`, {
    height: 280,
    color: {
      domain: lines.map(line => wordsOf(line).at),
      range: lines.map((_, at) => lineColours[at % lineColours.length]!),
    },
    x: {
      type: 'log',
      label: axis,
      labelAnchor: 'center',
      ticks: [...new Set(points.map(({ at }) => at))],
      inset: 14,
      tickFormat: String,
    },
    y: { label: 'difference of perplexity', grid: true, domain: [range.low, range.high] },
    marks: [
      Plot.ruleY([0], { stroke: 'currentColor', strokeDasharray: '5 4', strokeOpacity: 0.7 }),
      Plot.ruleX(points, { ...series, y1: 'lower', y2: 'upper', strokeOpacity: 0.6 }),
      Plot.lineY(points, { ...series, y: 'mean', z: 'line', strokeWidth: 2.2 }),
      Plot.dot(points, { x: 'at', y: 'mean', fill: 'line', r: 3 }),
    ],
  });
}
