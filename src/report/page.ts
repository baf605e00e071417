import { downward, number, renderInterval, upward } from '../output.ts';
import type { ReportData, ReportRun } from './data.ts';
import {
  bucketName,
  contributionFigure,
  epsilonFigure,
  lossFigure,
  perplexityFigure,
  seriesClasses,
} from './figures.ts';
import {
  escapeHtml,
  htmlFacts,
  htmlFigure as figure,
  htmlLegend,
  htmlList,
  htmlPage,
  htmlTable,
} from './html.ts';

const tableRows = 8;

/** At most `tableRows` points of a curve, evenly spread, first and last among them. */
function thinned<T>(points: readonly T[]): T[] {
  if (points.length <= tableRows) return [...points];
  const last = points.length - 1;
  return Array.from({ length: tableRows }, (_, at) => points[Math.round((at * last) / (tableRows - 1))]!);
}

function orDash(value: number | null): string {
  return value === null ? '–' : number(value);
}

function overview(runs: readonly ReportRun[]): string {
  const titles = [
    'run',
    'k',
    'noise multiplier',
    'epsilon',
    'perplexity by record',
    'perplexity by user',
    'seconds',
  ];
  const rows = runs.map(run => [
    run.name,
    orDash(run.recordsPerUser),
    run.noiseMultiplier === null ? '–' : downward(run.noiseMultiplier),
    run.epsilon === null ? '–' : renderInterval(run.epsilon),
    number(run.perplexityByRecord),
    number(run.perplexityByUser),
    run.seconds.toFixed(1),
  ]);
  return htmlTable(titles, rows);
}

function contributionSection({ contributions, recordsPerUser }: ReportData): string {
  const rows = contributions.map(bucket => [bucketName(bucket), String(bucket.before), String(bucket.after)]);
  return `<h2>Who contributes how much</h2>
${htmlLegend(['before selection', 'after selection'], ['faint', 's1'])}
${figure(contributionFigure(contributions), `No user keeps more than ${recordsPerUser} records.`)}
${htmlTable(['records per user', 'users before', 'users after'], rows)}`;
}

interface Cell {
  readonly step: number;
  readonly text: string;
}

/** Steps downwards, runs across; steps of the longest curve, at most `tableRows` of them. */
function curveTable(names: readonly string[], curves: readonly (readonly Cell[])[]): string {
  const longest = curves.reduce((best, curve) => (curve.length > best.length ? curve : best));
  const textAt = (curve: readonly Cell[], step: number): string =>
    curve.find(cell => cell.step === step)?.text ?? '–';
  const rows = thinned(longest).map(({ step }) => [
    String(step),
    ...curves.map(curve => textAt(curve, step)),
  ]);
  return htmlTable(['step', ...names], rows);
}

function lossSection(all: readonly ReportRun[]): string {
  const runs = all.filter(run => run.lossCurve.length > 0);
  if (runs.length === 0) return '';
  const names = runs.map(run => run.name);
  const curves = runs.map(run => run.lossCurve.map(({ step, loss }) => ({ step, text: loss.toFixed(3) })));
  return `<h2>Loss while training</h2>
${htmlLegend(names, seriesClasses)}
${figure(lossFigure(runs), 'Thin: the loss of each batch. Thick: its moving mean. Not private: keep inside the trust boundary.')}
${curveTable(names, curves)}`;
}

function epsilonSection(all: readonly ReportRun[], target: number): string {
  const runs = all.filter(run => run.epsilonCurve.length > 0);
  if (runs.length === 0) return '';
  const names = runs.map(run => run.name);
  const curves = runs.map(run =>
    run.epsilonCurve.map(({ steps, epsilon }) => ({ step: steps, text: upward(epsilon.upper) })),
  );
  return `<h2>Privacy spent while training</h2>
${htmlLegend(names, seriesClasses)}
${figure(epsilonFigure(runs, target), `Upper bound on epsilon at the planned delta. Dashed: the target, ${number(target)}.`)}
${curveTable(names, curves)}`;
}

function statements(runs: readonly ReportRun[]): string {
  const blocks = runs
    .filter(run => run.statement !== null)
    .map(run => `<h3>${escapeHtml(run.name)}</h3>\n${htmlFacts(run.statement!)}`);
  return blocks.length === 0 ? '' : `<h2>What is guaranteed</h2>\n${blocks.join('\n')}`;
}

const cautions: readonly string[] = [
  'The counts of users and records, the histogram, the training losses and the perplexities on this page are raw values of private data. None of them is covered by epsilon: keep this page inside the trust boundary, or release only the statements and the models trained privately.',
  'The run without privacy is there for comparison. Its model must not be released.',
  'The guarantee covers one run of each mechanism. Releasing several models trained on the same users adds up.',
];

/** The whole report as one HTML page without any script. */
export function renderReport(data: ReportData): string {
  const { users, records, heldOutUsers } = data.population;
  const { epsilon, delta } = data.target;
  return htmlPage(
    data.title,
    `<h1>${escapeHtml(data.title)}</h1>
<p class="soft">${escapeHtml(data.source)}: ${users} users for training with ${records} records, ${heldOutUsers} other users for evaluation. Target: epsilon ${number(epsilon)} at delta ${delta} for every user.</p>
${overview(data.runs)}
${figure(perplexityFigure(data.runs), 'Lower is better. Blue: with a user-level guarantee. Grey: baselines.')}
<p class="soft">Perplexity is exp(mean negative log-likelihood per token). By record, every token counts alike; by user, every user does.</p>
<div class="alert"><strong>Before you share this page</strong>${htmlList([...cautions, ...data.notes])}</div>
${contributionSection(data)}
${lossSection(data.runs)}
${epsilonSection(data.runs, epsilon)}
${statements(data.runs)}
<footer>privacy-unit ${escapeHtml(data.version)}</footer>`,
  );
}
