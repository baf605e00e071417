import { join } from 'node:path';
import { downward, number, renderTable, type Answer, type Column } from '../output.ts';
import { renderLine } from './break-even.ts';
import { runsToMake, settingInWords, type Choice } from './choices.ts';
import type { ComputeEstimate } from './estimate.ts';
import type { StudyFindings } from './findings.ts';
import { cellColumns, cellName, renderEstimate, spendingSentences } from './page.ts';
import type { PlannedRun } from './plans.ts';
import type { PreparedStudy } from './study.ts';

function columns(titles: readonly string[]): Column[] {
  return titles.map((title, at) => (at === 0 ? { title } : { title, align: 'right' }));
}

function comparison({ summaries }: StudyFindings): string {
  const titles = [
    'run',
    'epsilon',
    'k',
    'strategy',
    'noise multiplier',
    'by record',
    'by user',
    'worst tenth',
  ];
  const rows = summaries.map(summary => [
    cellName(summary),
    ...cellColumns(summary),
    summary.noiseMultiplier === null ? '–' : downward(summary.noiseMultiplier),
    renderEstimate(summary.perplexity.byRecord),
    renderEstimate(summary.perplexity.byUser),
    renderEstimate(summary.perplexity.worstTenth),
  ]);
  return renderTable(columns(titles), rows);
}

function renderChoice({ kind, cell, tried, chosen }: Choice): string {
  const place = cell === null ? '' : ` (epsilon, k, strategy: ${cellColumns({ cell }).join(', ')})`;
  return `${cellName({ kind, cell })}${place}: ${settingInWords(chosen)}, the best of ${tried.length} tried.`;
}

/** What a study prints, finished or not. */
export function studyAnswer(findings: StudyFindings, out: string): Answer {
  const { source, population, delta, repetitions, breakEven } = findings;
  const { spent, notes } = spendingSentences(findings);
  const { users, heldOutUsers } = population;
  const ofUsers = breakEven.filter(({ measure }) => measure === 'byUser');
  const runs =
    repetitions === 1 ? 'one run of each cell' : `mean of ${repetitions} runs, ± half of a 95 % interval`;
  const text = [
    `${source}: ${users} users to train on, ${heldOutUsers} to evaluate on; delta ${delta}.`,
    `Perplexity on held-out users, ${runs}:`,
    '',
    comparison(findings),
    '',
    ...ofUsers.map(renderLine),
    '',
    ...findings.choices.map(renderChoice),
    ...spent,
    ...notes.map(note => `Note: ${note}`),
    `Report: ${join(out, 'report.html')}`,
    `Rows: ${join(out, 'results.csv')}`,
  ].join('\n');
  const files = {
    report: join(out, 'report.html'),
    csv: join(out, 'results.csv'),
    results: join(out, 'results.json'),
  };
  return { json: { ...findings, ...files, out }, text };
}

function plannedObject(run: PlannedRun, runs: number): Record<string, unknown> {
  const { kind, cell, plan, breakEvenClipRatio, recordsPerStep } = run;
  return {
    kind,
    ...cell,
    runs,
    setting: run.setting ?? null,
    noiseMultiplier: plan?.noiseMultiplier ?? null,
    samplingProbability: plan?.sampler.samplingProbability ?? null,
    expectedBatchSize: plan?.sampler.expectedBatchSize ?? null,
    recordsPerStep,
    breakEvenClipRatio,
  };
}

function plannedRow(run: PlannedRun, runs: number): string[] {
  const { plan, recordsPerStep, breakEvenClipRatio } = run;
  return [
    run.setting === undefined ? cellName(run) : `${cellName(run)}, ${settingInWords(run.setting)}`,
    ...cellColumns(run),
    String(runs),
    plan === null ? '–' : downward(plan.noiseMultiplier),
    plan === null ? '–' : number(plan.sampler.samplingProbability),
    plan === null ? '–' : `${number(plan.sampler.expectedBatchSize)} ${plan.sampler.over}`,
    recordsPerStep === null ? '–' : number(recordsPerStep),
    breakEvenClipRatio === null ? '–' : number(breakEvenClipRatio),
  ];
}

const plannedTitles = [
  'run',
  'epsilon',
  'k',
  'strategy',
  'runs',
  'noise multiplier',
  'sampling probability',
  'batch',
  'records a step',
  'break-even clip ratio',
];

function estimateSentence(estimate: ComputeEstimate): string {
  const { runs, recordGradients, trainingTokens, evaluationTokens, operations } = estimate;
  return `${runs} runs: about ${recordGradients} record gradients of ${trainingTokens} tokens in all, ${evaluationTokens} tokens of evaluation, ${number(operations, 2)} floating-point operations.`;
}

/** What a dry run prints: every cell once, at its first repetition. */
export function dryRunAnswer(
  { planned, question, source }: PreparedStudy,
  estimate: ComputeEstimate,
): Answer {
  const first = planned.runs.filter(({ repetition }) => repetition === 1);
  const times = ({ kind, setting }: PlannedRun): number =>
    kind === 'no-fine-tuning' || setting !== undefined ? 1 : question.repetitions;
  const later = runsToMake(planned.runs).filter(
    ({ repetition, setting }) => repetition > 1 && setting !== undefined,
  );
  const { users, records, heldOutUsers } = planned.population;
  const text = [
    `${source.label}: ${users} users with ${records} records to train on, ${heldOutUsers} to evaluate on; delta ${planned.delta}, ${question.steps} steps a run.`,
    '',
    renderTable(
      columns(plannedTitles),
      first.map(run => plannedRow(run, times(run))),
    ),
    '',
    estimateSentence(estimate),
    ...(later.length === 0
      ? []
      : [
          `Every setting is tried once; ${later.length} more runs are made with the one chosen for their cell.`,
        ]),
    ...planned.notes.map(note => `Note: ${note}`),
    'Nothing was trained and nothing was written.',
  ].join('\n');
  const cells = first.map(run => plannedObject(run, times(run)));
  const { delta, population, notes } = planned;
  return {
    json: { cells, laterRuns: later.length, delta, steps: question.steps, population, estimate, notes },
    text,
  };
}
