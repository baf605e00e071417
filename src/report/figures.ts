import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { ContributionBucket, ReportRun } from './data.ts';

/** CSS classes and colours of the series, in one order for every chart. */
export const seriesClasses: readonly string[] = ['s1', 's2', 's3', 's4'];
const seriesColours = ['var(--series-1)', 'var(--series-2)', 'var(--series-3)', 'var(--series-4)'];

const { document } = parseHTML('<!doctype html><html><body></body></html>');
const width = 720;

/** A drawing with an accessible name, as it may stand in a page. */
export function draw(label: string, options: Plot.PlotOptions): string {
  const figure = Plot.plot({
    document,
    width,
    marginLeft: 62,
    marginBottom: 46,
    marginTop: 28,
    style: { fontSize: '13px', overflow: 'visible' },
    ...options,
  });
  figure.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  figure.setAttribute('role', 'img');
  figure.setAttribute('aria-label', label);
  return figure.outerHTML;
}

/** `1`, `2`, `3–4`, `5–8`, …: how a bucket is written on the axis and in the table. */
export function bucketName({ low, high }: ContributionBucket): string {
  return low === high ? String(low) : `${low}–${high}`;
}

/** Beyond nine buckets whole names would run into each other, so the axis names where each begins. */
function axisNames(buckets: readonly ContributionBucket[]): (name: string) => string {
  if (buckets.length <= 9) return name => name;
  const short = new Map(
    buckets.map(bucket => [bucketName(bucket), `${bucket.low}${bucket.low === bucket.high ? '' : '+'}`]),
  );
  return name => short.get(name) ?? name;
}

/** Users by record count, before and after the cap. */
export function contributionFigure(buckets: readonly ContributionBucket[]): string {
  const bars = buckets.flatMap(bucket => [
    { bucket: bucketName(bucket), when: 'before', users: bucket.before },
    { bucket: bucketName(bucket), when: 'after', users: bucket.after },
  ]);
  return draw('Users by number of records, before and after selection', {
    height: 280,
    fx: {
      domain: buckets.map(bucketName),
      tickFormat: axisNames(buckets),
      label: 'records per user',
      labelAnchor: 'center',
      padding: 0.15,
    },
    x: { domain: ['before', 'after'], axis: null },
    y: { label: 'users', grid: true, nice: true },
    marks: [
      Plot.barY(bars, {
        fx: 'bucket',
        x: 'when',
        y: 'users',
        fill: bar => (bar.when === 'before' ? 'var(--faint)' : 'var(--series-1)'),
      }),
      Plot.ruleY([0]),
    ],
  });
}

interface SeriesPoint {
  readonly run: string;
  readonly x: number;
  readonly y: number;
}

function lossPoints(runs: readonly ReportRun[]): SeriesPoint[] {
  return runs.flatMap(run => run.lossCurve.map(({ step, loss }) => ({ run: run.name, x: step, y: loss })));
}

/** Names and colours of the runs that have something to draw. */
function colourScale(runs: readonly ReportRun[]): Plot.ScaleOptions {
  return { domain: runs.map(run => run.name), range: seriesColours.slice(0, Math.max(1, runs.length)) };
}

/** Training loss by step: the raw values faint, their moving mean strong. */
export function lossFigure(runs: readonly ReportRun[]): string {
  const points = lossPoints(runs);
  const longest = Math.max(1, ...runs.map(run => run.lossCurve.length));
  const window = Math.max(1, Math.round(longest / 15));
  const line = { x: 'x', y: 'y', z: 'run', stroke: 'run' } as const;
  return draw('Training loss by step', {
    height: 300,
    color: colourScale(runs),
    x: { label: 'step', labelAnchor: 'center' },
    y: { label: 'training loss, nats per token', grid: true, nice: true },
    marks: [
      Plot.lineY(points, { ...line, strokeWidth: 1, strokeOpacity: 0.3 }),
      Plot.lineY(points, Plot.windowY({ k: window, strict: false }, { ...line, strokeWidth: 2.2 })),
    ],
  });
}

/** Upper bound on ε by steps, with the target as a dashed line. */
export function epsilonFigure(runs: readonly ReportRun[], target: number): string {
  const points = runs.flatMap(run =>
    run.epsilonCurve
      .filter(({ epsilon }) => Number.isFinite(epsilon.upper))
      .map(({ steps, epsilon }) => ({ run: run.name, x: steps, y: epsilon.upper })),
  );
  return draw('Upper bound on epsilon by step', {
    height: 280,
    color: colourScale(runs),
    x: { label: 'steps released', labelAnchor: 'center' },
    y: { label: 'epsilon, upper bound', grid: true, zero: true, nice: true },
    marks: [
      Plot.ruleY([0]),
      Plot.ruleY([target], { stroke: 'currentColor', strokeDasharray: '5 4', strokeOpacity: 0.7 }),
      Plot.lineY(points, { x: 'x', y: 'y', z: 'run', stroke: 'run', strokeWidth: 2.2 }),
    ],
  });
}

/** Held-out perplexity of every run, lowest is best. */
export function perplexityFigure(runs: readonly ReportRun[]): string {
  return draw('Held-out perplexity by run', {
    height: 46 * runs.length + 50,
    marginLeft: 190,
    marginRight: 60,
    marginTop: 8,
    x: { label: 'perplexity per token on held-out users', labelAnchor: 'center', grid: true, zero: true },
    y: { label: null, domain: runs.map(run => run.name) },
    marks: [
      Plot.barX(runs, {
        x: 'perplexityByRecord',
        y: 'name',
        fill: run => (run.epsilon === null ? 'var(--faint)' : 'var(--series-1)'),
        insetTop: 4,
        insetBottom: 4,
      }),
      Plot.text(runs, {
        x: 'perplexityByRecord',
        y: 'name',
        text: run => run.perplexityByRecord.toPrecision(4),
        textAnchor: 'start',
        dx: 6,
      }),
      Plot.ruleX([0]),
    ],
  });
}
