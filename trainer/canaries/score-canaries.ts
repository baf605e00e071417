import { join } from 'node:path';
import type { CanaryScore } from '../../accounting/audit/scores/columns.ts';
import type { Cut } from '../../accounting/audit/scores/thresholds.ts';
import type { DeviceModel } from '../device.ts';
import { writeAtomically } from '../durable.ts';
import { lossesOf } from '../evaluate.ts';
import type { LanguageModel } from '../language-model.ts';
import type { CanarySet } from './canaries.ts';

/** What became of a run's canaries. */
export interface ScoredCanaries {
  readonly recordsPerCanary: number;
  /** How the audit tells them apart, fixed before training. */
  readonly cut: Cut;
  /** Mean over its records of their log-likelihood under the trained model less that under the starting model, in nats. */
  readonly scores: readonly CanaryScore[];
}

/** In the folder of a run, once it is over. */
export const scoresFileName = 'scores.csv';

/** Negative log-likelihood of each canary's text under the model that the device holds. */
export async function canaryLosses(
  { canaries }: CanarySet,
  options: { model: LanguageModel; device: DeviceModel },
): Promise<Float64Array> {
  const losses = await lossesOf(
    canaries.map(({ tokens }) => tokens),
    options,
  );
  return Float64Array.from(losses, ({ loss }) => loss);
}

/**
 * The score of user inference (arXiv 2310.09266) for every canary. All records of a canary have one text, so their mean is that of the text.
 *
 * @param losses - of each canary, before and after training
 */
export function scoreCanaries(
  { canaries, recordsPerCanary, cut }: CanarySet,
  losses: { before: Float64Array; after: Float64Array },
): ScoredCanaries {
  const { before, after } = losses;
  const scores = canaries.map(({ name, isIncluded }, index) => ({
    canary: name,
    included: isIncluded,
    score: before[index]! - after[index]!,
  }));
  return { recordsPerCanary, cut, scores };
}

function registered(cut: Cut): string {
  return 'threshold' in cut
    ? `{threshold: ${cut.threshold}}`
    : `{k_plus: ${cut.highest}, k_minus: ${cut.lowest}}`;
}

/**
 * Scores as the CSV file that `privacy-unit audit scores` reads, with what was fixed before training above them.
 *
 * @param scored - delta: of the plan
 */
export function renderScores({ scores, cut, delta }: ScoredCanaries & { delta: number }): string {
  const header = [
    `# preregistered: ${registered(cut)}`,
    `# delta: ${delta}`,
    '# inclusion: bernoulli(1/2)',
    '# unit: user',
    'canary,included,score',
  ];
  const rows = scores.map(({ canary, included, score }) => `${canary},${Number(included)},${score}`);
  return [...header, ...rows].map(line => `${line}\n`).join('');
}

/** Writes the scores beside the ledger; on the disk when it returns. */
export function writeScores(folder: string, scored: ScoredCanaries & { delta: number }): void {
  writeAtomically(join(folder, scoresFileName), Buffer.from(renderScores(scored)));
}
