import { choicesOf, chosenBy } from './choices.ts';
import type { RunResult } from './results.ts';

type Value = string | number | null;

function columnsOf(run: RunResult, isChosen: (run: RunResult) => boolean): Record<string, Value> {
  const { plan, cell, epsilon, perplexity } = run;
  return {
    run: run.name,
    kind: run.kind,
    mechanism: cell?.mechanism ?? null,
    target_epsilon: cell?.epsilon ?? null,
    epsilon_lower: epsilon?.lower ?? null,
    epsilon_upper: epsilon?.upper ?? null,
    delta: plan?.delta ?? null,
    records_per_user: cell?.recordsPerUser ?? null,
    strategy: cell?.strategy ?? null,
    sampler: plan?.sampler.kind ?? null,
    draw: plan?.selection.when ?? null,
    repetition: run.repetition,
    seed: plan?.selection.seed ?? null,
    noise_multiplier: plan?.noiseMultiplier ?? null,
    clip_norm: plan?.clipNorm ?? null,
    sampling_probability: plan?.sampler.samplingProbability ?? null,
    expected_batch: plan?.sampler.expectedBatchSize ?? null,
    records_per_step: run.recordsPerStep,
    steps_planned: plan?.steps ?? null,
    steps_counted: run.stepsCounted,
    break_even_clip_ratio: run.breakEvenClipRatio,
    learning_rate: run.setting?.learningRate ?? null,
    chosen: isChosen(run) ? 'yes' : 'no',
    perplexity_validation: run.validation ?? null,
    perplexity_by_record: perplexity.byRecord,
    perplexity_by_user: perplexity.byUser,
    perplexity_worst_tenth: perplexity.worstTenth,
    perplexity_fewest_records: perplexity.fewestRecords,
    perplexity_most_records: perplexity.mostRecords,
    held_out_users: perplexity.users,
    held_out_records: perplexity.records,
    held_out_tokens: perplexity.tokens,
    seconds: run.seconds,
  };
}

function field(value: Value): string {
  const text = value === null ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One row a run, all digits kept; what a run has not is empty. */
export function renderCsv(runs: readonly RunResult[]): string {
  const isChosen = chosenBy(choicesOf(runs));
  const rows = runs.map(run => columnsOf(run, isChosen));
  const names = Object.keys(rows[0] ?? {});
  const lines = rows.map(row => Object.values(row).map(field).join(','));
  return `${[names.join(','), ...lines].join('\n')}\n`;
}
