import { parametersOf, truncationOf, type ModelSpec, type UserTokens } from '../../trainer/index.ts';
import { sizeOf } from '../../trainer/model/gpt.ts';
import type { PlannedStudy } from './plans.ts';
import type { StudyQuestion } from './question.ts';

/** Work that a study is expected to take, before any is done. */
export interface ComputeEstimate {
  readonly runs: number;
  /** Expected gradients of single records, over all runs. */
  readonly recordGradients: number;
  readonly trainingTokens: number;
  /** Tokens read to evaluate every run. */
  readonly evaluationTokens: number;
  readonly parameters: number;
  /** Floating-point operations: 6 a parameter and token of training, 2 of evaluation; the making of a model left out. */
  readonly operations: number;
}

function meanTokens(users: readonly UserTokens[], contextLength: number): { mean: number; total: number } {
  const { records, tokens, tokensCut } = truncationOf(users, contextLength);
  const total = tokens - tokensCut;
  return { mean: records === 0 ? 0 : total / records, total };
}

/** Estimates from expected batches and mean lengths; what is in a batch is up to chance. */
export function estimateCompute(
  { runs }: Pick<PlannedStudy, 'runs'>,
  parts: {
    question: StudyQuestion;
    spec: ModelSpec;
    training: readonly UserTokens[];
    heldOut: readonly UserTokens[];
  },
): ComputeEstimate {
  const { question, spec, training, heldOut } = parts;
  const { contextLength } = spec.config;
  const recordGradients = runs.reduce(
    (sum, { recordsPerStep }) => sum + (recordsPerStep ?? 0) * question.steps,
    0,
  );
  const trainingTokens = recordGradients * meanTokens(training, contextLength).mean;
  const evaluationTokens = runs.length * meanTokens(heldOut, contextLength).total;
  const parameters = parametersOf(spec).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return {
    runs: runs.length,
    recordGradients: Math.round(recordGradients),
    trainingTokens: Math.round(trainingTokens),
    evaluationTokens,
    parameters,
    operations: parameters * (6 * trainingTokens + 2 * evaluationTokens),
  };
}
