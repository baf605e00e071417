import * as Plot from '@observablehq/plot';
import { draw } from '../report/figures.ts';
import type { AuditReport } from './report.ts';
import { reportRows, rowWords, type ReportRow, type RowSort } from './rows.ts';

/** The sorts of rows with their colours, in the order of the legend. */
export const rowSorts: readonly { readonly sort: RowSort; readonly name: string; readonly key: string }[] = [
  { sort: 'claimed', name: 'claimed', key: 's2' },
  { sort: 'recomputed', name: 'recomputed', key: 's1' },
  { sort: 'bound', name: 'lower bound from scores', key: 's3' },
  { sort: 'limit', name: 'detection limit', key: 's4' },
];

interface DrawnRow {
  readonly name: string;
  readonly colour: string;
  readonly from: number;
  readonly to: number;
  readonly isOpen: boolean;
  readonly words: string;
}

interface Axis {
  readonly low: number;
  readonly high: number;
  readonly type: 'linear' | 'log';
}

/** Ratio of the largest epsilon to the smallest above which a linear axis would press the small ones together. */
const wideRatio = 25;

function axisOf(rows: readonly ReportRow[]): Axis {
  const ends = rows.flatMap(({ epsilon }) => [epsilon.lower, epsilon.upper]).filter(Number.isFinite);
  const above = ends.filter(end => end > 0);
  const high = Math.max(...above, 1e-9);
  const low = Math.min(...above, high);
  if (high <= wideRatio * low) return { low: 0, high: high * 1.15, type: 'linear' };
  return { low: low / 1.6, high: high * 1.6, type: 'log' };
}

function within(value: number, { low, high }: Axis): number {
  return Math.min(high, Math.max(low, value));
}

function colourOf(sort: RowSort): string {
  return `var(--series-${rowSorts.find(row => row.sort === sort)!.key.slice(1)})`;
}

function drawn({ name, sort, epsilon }: ReportRow, axis: Axis): DrawnRow {
  return {
    name,
    colour: colourOf(sort),
    from: within(epsilon.lower, axis),
    to: within(epsilon.upper, axis),
    isOpen: !Number.isFinite(epsilon.upper),
    words: rowWords({ sort, epsilon }),
  };
}

/** Two lines closer than this share of the axis would run into one another. */
const leastGap = 0.02;

function areClose(from: number, to: number, { low, high, type }: Axis): boolean {
  return type === 'linear' ? to - from < leastGap * (high - low) : to / from < (high / low) ** leastGap;
}

/** The claim drawn through all rows, so that each can be compared with it. */
function claimBand({ claimed }: AuditReport, axis: Axis): Plot.Markish[] {
  if (claimed.epsilon === null) return [];
  const { lower, upper } = claimed.epsilon;
  const band = { x1: within(lower, axis), x2: within(upper, axis) };
  const lines = areClose(band.x1, band.x2, axis) ? [(band.x1 + band.x2) / 2] : [band.x1, band.x2];
  return [
    Plot.rect([band], { x1: 'x1', x2: 'x2', fill: 'var(--series-2)', fillOpacity: 0.14 }),
    Plot.ruleX(lines, { stroke: 'var(--series-2)', strokeDasharray: '4 3', strokeOpacity: 0.8 }),
  ];
}

function intervalMarks(rows: readonly DrawnRow[]): Plot.Markish[] {
  const bar = { x1: 'from', x2: 'to', y: 'name', stroke: 'colour', strokeWidth: 5 } as const;
  const dot = { y: 'name', fill: 'colour', r: 5 } as const;
  const open = rows.filter(({ isOpen }) => isOpen);
  return [
    Plot.ruleY(rows, bar),
    Plot.dot(rows, { ...dot, x: 'from' }),
    Plot.dot(rows, { ...dot, x: 'to', filter: (row: DrawnRow) => !row.isOpen }),
    Plot.text(open, { x: 'to', y: 'name', text: () => '▸', fill: 'colour', fontSize: 20, dx: 2 }),
  ];
}

interface Layout {
  readonly options: Plot.PlotOptions;
  /** Space of a row. */
  readonly row: number;
  /** Names and numbers of the rows. */
  readonly labels: (rows: readonly DrawnRow[]) => Plot.Markish;
}

/** Names on the left and numbers on the right, or both above each row where there is little room. */
const layouts: Readonly<Record<'broad' | 'narrow', Layout>> = {
  broad: {
    options: { marginLeft: 210, marginRight: 150, marginTop: 8 },
    row: 34,
    labels: rows =>
      Plot.text(rows, { y: 'name', text: 'words', frameAnchor: 'right', textAnchor: 'start', dx: 14 }),
  },
  narrow: {
    options: { width: 340, marginLeft: 8, marginRight: 22, marginTop: 14 },
    row: 48,
    labels: rows =>
      Plot.text(rows, {
        y: 'name',
        text: ({ name, words }: DrawnRow) => `${name}: ${words}`,
        frameAnchor: 'left',
        textAnchor: 'start',
        dy: -15,
        stroke: 'var(--paper)',
        strokeWidth: 5,
        fill: 'var(--ink)',
      }),
  },
};

/** Claimed epsilon against everything that was recomputed or shown, one interval a row; open ones end in an arrow. */
export function intervalFigure(report: AuditReport, shape: 'broad' | 'narrow' = 'broad'): string {
  const rows = reportRows(report);
  const axis = axisOf(rows);
  const lines = rows.map(row => drawn(row, axis));
  const { options, row, labels } = layouts[shape];
  return draw('Claimed epsilon against what was recomputed', {
    ...options,
    height: row * rows.length + 62,
    x: {
      type: axis.type,
      ticks: axis.type === 'log' ? 4 : 6,
      domain: [axis.low, axis.high],
      label: 'epsilon',
      labelAnchor: 'center',
      grid: true,
    },
    y: { label: null, domain: rows.map(({ name }) => name), axis: shape === 'narrow' ? null : 'left' },
    marks: [...claimBand(report, axis), ...intervalMarks(lines), labels(lines)],
  });
}
