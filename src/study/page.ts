import { downward, number, upward } from '../output.ts';
import { mechanismName } from '../planning.ts';
import { seriesClasses } from '../report/figures.ts';
import {
  escapeHtml,
  htmlFacts,
  htmlFigure,
  htmlLegend,
  htmlList,
  htmlPage,
  htmlTable,
} from '../report/html.ts';
import { wordsOf, type BreakEvenLine } from './break-even.ts';
import { choiceSentences, settingInWords, type Choice } from './choices.ts';
import { compositionSentences } from './composition.ts';
import { breakEvenFigure, drawnLines, mechanismNames, studyFigure } from './figures.ts';
import type { StudyFindings } from './findings.ts';
import { selectedAndSampled } from './question.ts';
import type { Measure, RunResult } from './results.ts';
import type { Estimate } from './statistics.ts';
import type { Summary } from './summary.ts';

/** `4.213 ± 0.052`, or the mean alone where there is one run. */
export function renderEstimate({ mean, interval }: Estimate): string {
  if (interval === null) return number(mean);
  return `${number(mean)} ± ${upward(interval.upper - mean, 2)}`;
}

/** A cell or baseline as the tables name it. */
export function cellName({ kind, cell }: Pick<Summary, 'kind' | 'cell'>): string {
  if (cell === null) return kind === 'no-privacy' ? 'no privacy' : 'no fine-tuning';
  return mechanismName(cell.mechanism);
}

/** The columns that say which cell a row is of. */
export function cellColumns({ cell }: Pick<Summary, 'cell'>): string[] {
  if (cell === null) return ['–', '–', '–'];
  return [String(cell.epsilon), String(cell.recordsPerUser), selectedAndSampled(cell)];
}

const identifying = ['runs of', 'epsilon', 'k', 'strategy'];

function overview(summaries: readonly Summary[]): string {
  const titles = [...identifying, 'runs', 'noise multiplier', 'by record', 'by user'];
  const rows = summaries.map(summary => [
    cellName(summary),
    ...cellColumns(summary),
    String(summary.runs),
    summary.noiseMultiplier === null ? '–' : downward(summary.noiseMultiplier),
    renderEstimate(summary.perplexity.byRecord),
    renderEstimate(summary.perplexity.byUser),
  ]);
  return htmlTable(titles, rows);
}

const baselineCaption = 'Long dashes: the starting model as it is. Dots: training without privacy.';

function perplexitySection(
  summaries: readonly Summary[],
  { title, measure, caption }: { title: string; measure: Measure; caption: string },
): string {
  return `<h2>${escapeHtml(title)}</h2>
${htmlLegend(mechanismNames, seriesClasses)}
${htmlFigure(studyFigure(summaries, measure), `${caption} ${baselineCaption}`)}`;
}

function tailSection(summaries: readonly Summary[]): string {
  const titles = [...identifying, 'worst tenth', 'fewest records', 'most records'];
  const rows = summaries.map(summary => [
    cellName(summary),
    ...cellColumns(summary),
    renderEstimate(summary.perplexity.worstTenth),
    renderEstimate(summary.perplexity.fewestRecords),
    renderEstimate(summary.perplexity.mostRecords),
  ]);
  const worst = {
    title: 'Users whom the model serves worst',
    measure: 'worstTenth',
    caption: 'Mean perplexity of the tenth of held-out users with the highest.',
  } as const;
  return `${perplexitySection(summaries, worst)}
${htmlTable(titles, rows)}
<p class="soft">Perplexity by user: over the worst tenth, the quarter of held-out users with the fewest records, and the quarter with the most.</p>`;
}

function breakEvenChart(lines: readonly BreakEvenLine[]): string {
  const drawn = drawnLines(lines);
  const [first] = drawn;
  if (first === undefined) return '';
  const all = drawn.length < lines.length ? ' Some of the lines; the table has all.' : '';
  const caption = `Strategy ${selectedAndSampled(first)}: perplexity by user of Group Privacy less that of User-wise DP-SGD. Above the dashed line User-wise DP-SGD is better.${all}`;
  const names = drawn.map(line => wordsOf(line).at);
  return `${htmlLegend(names, seriesClasses)}
${htmlFigure(breakEvenFigure(drawn), caption)}`;
}

function breakEvenTable(lines: readonly BreakEvenLine[]): string {
  const titles = ['along', 'strategy', 'perplexity', 'better at the least', 'at the largest'];
  const rows = lines.map(line => {
    const { axis, at, measure, leaders, ends, crossings } = wordsOf(line);
    const [least, largest] = leaders.map((name, index) => `${name} (${ends[index]})`);
    const passes = crossings === '' ? '–' : crossings;
    return [
      `${axis}, at ${at}`,
      selectedAndSampled(line),
      measure,
      least!,
      largest!,
      passes,
      line.isDecided ? 'yes' : 'no',
    ];
  });
  return htmlTable([...titles, 'pass near', 'decided'], rows);
}

function breakEvenSection(lines: readonly BreakEvenLine[]): string {
  if (lines.length === 0) return '';
  const groups = [...new Set(lines.map(selectedAndSampled))];
  const drawn = lines.filter(({ measure }) => measure === 'byUser');
  const charts = (['recordsPerUser', 'epsilon'] as const).flatMap(axis =>
    groups.map(group =>
      breakEvenChart(drawn.filter(line => line.axis === axis && selectedAndSampled(line) === group)),
    ),
  );
  return `<h2>Where the mechanisms break even</h2>
${charts.join('\n')}
${breakEvenTable(lines)}
<p class="soft">Differences are taken between runs of one repetition. Crossings lie on straight lines between the values that were run. Decided: 95 % intervals leave zero out at every value, or, where they pass each other, on both sides of it.</p>`;
}

function choiceSection(choices: readonly Choice[]): string {
  if (choices.length === 0) return '';
  const rows = choices.flatMap(({ kind, cell, tried, chosen }) =>
    tried.map(setting => [
      cellName({ kind, cell }),
      ...cellColumns({ cell }),
      settingInWords(setting),
      number(setting.validation),
      settingInWords(setting) === settingInWords(chosen) ? 'chosen' : '',
    ]),
  );
  return `<h2>Settings tried</h2>
${htmlTable([...identifying, 'setting', 'perplexity', ''], rows)}
<p class="soft">Perplexity by user at the first repetition, over the held-out users by whom settings are chosen. All other perplexities of this report are those of the chosen settings, over the other held-out users.</p>`;
}

/** What the study spends, what nothing covers, and what a reader has to know, in plain sentences. */
export function spendingSentences({ composition, choices, population, notes }: StudyFindings): {
  readonly spent: readonly string[];
  readonly notes: readonly string[];
} {
  const chosen = choiceSentences(choices, population.validationUsers ?? 0);
  return { spent: [...compositionSentences(composition), ...chosen], notes };
}

function statementBlock(run: RunResult): string {
  return `<details><summary>${escapeHtml(run.name)}</summary>${htmlFacts(run.statementRows!)}</details>`;
}

function statementSection(runs: readonly RunResult[]): string {
  const blocks = runs.filter(({ statementRows }) => statementRows !== null).map(statementBlock);
  return `<h2>What each run guarantees</h2>\n${blocks.join('\n')}`;
}

function settingsSection({ configuration, engine, repetitions }: StudyFindings): string {
  const all = Object.entries({ ...configuration, '--seeds': repetitions, engine });
  const facts = all.filter(([, value]) => value !== undefined);
  const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  return `<h2>How it was run</h2>
${htmlFacts(facts.map(([name, value]) => [name, shown(value)]))}`;
}

function intervalSentence(repetitions: number): string {
  if (repetitions === 1) return 'There is one run of each cell, so there are no intervals.';
  return `±: half of a 95 % interval by Student's t over ${repetitions} runs. It covers the chance of training (selection, adapters, samples, noise), not the choice of held-out users.`;
}

/** The whole study as one HTML page without any script. */
export function renderStudy(findings: StudyFindings): string {
  const { summaries, source, population, delta, repetitions } = findings;
  const { spent, notes } = spendingSentences(findings);
  const { users, records, heldOutUsers } = population;
  const title = 'Group Privacy and User-wise DP-SGD compared';
  const byUser = {
    title: 'Perplexity by user',
    measure: 'byUser',
    caption: 'Every held-out user counts alike; lower is better. Bars: 95 % intervals, cut at the frame.',
  } as const;
  const byRecord = {
    title: 'Perplexity by record',
    measure: 'byRecord',
    caption: 'Every token counts alike; lower is better.',
  } as const;
  return htmlPage(
    title,
    `<h1>${title}</h1>
<p class="soft">${escapeHtml(source)}: ${users} users for training with ${records} records, ${heldOutUsers} other users for evaluation. delta ${delta} for every user; equal expected record gradients a step for every run.</p>
<div class="alert"><strong>What this study spends</strong>${htmlList([...spent, ...notes])}</div>
${overview(summaries)}
<p class="soft">Perplexity is exp(mean negative log-likelihood per token) on held-out users. ${escapeHtml(intervalSentence(repetitions))}</p>
${perplexitySection(summaries, byUser)}
${perplexitySection(summaries, byRecord)}
${tailSection(summaries)}
${choiceSection(findings.choices)}
${breakEvenSection(findings.breakEven)}
${statementSection(findings.runs)}
${settingsSection(findings)}
<footer>${escapeHtml(findings.code)}</footer>`,
  );
}
