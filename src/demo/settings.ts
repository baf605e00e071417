import type { GptConfig } from '../../trainer/index.ts';

/** How much work a demo does. */
export interface DemoSettings {
  /** Users in each half of the built-in corpus. */
  readonly users: number;
  readonly model: Omit<GptConfig, 'vocabularySize'>;
  readonly pretraining: { readonly steps: number; readonly batchSize: number; readonly learningRate: number };
  /** Of both mechanisms. */
  readonly steps: number;
  /** Record gradients a step, of both mechanisms. */
  readonly batchSize: number;
  readonly clipNorm: number;
  readonly loraRank: number;
  readonly learningRate: number;
  /** The run without privacy, at the computation of the private ones. */
  readonly baseline: { readonly steps: number; readonly batchSize: number; readonly learningRate: number };
  /** Most records of a held-out user that are evaluated. */
  readonly evaluationRecords: number;
}

/** Fits into three minutes on two cores. */
export const fullDemo: DemoSettings = {
  users: 600,
  model: { contextLength: 128, layers: 2, width: 64, heads: 4 },
  pretraining: { steps: 600, batchSize: 16, learningRate: 0.005 },
  steps: 40,
  batchSize: 400,
  clipNorm: 0.5,
  loraRank: 4,
  learningRate: 0.02,
  baseline: { steps: 40, batchSize: 400, learningRate: 0.02 },
  evaluationRecords: 20,
};

/** Seconds instead of minutes: shows that everything works, not how well. */
export const quickDemo: DemoSettings = {
  ...fullDemo,
  users: 60,
  model: { contextLength: 64, layers: 1, width: 16, heads: 2 },
  pretraining: { steps: 10, batchSize: 16, learningRate: 0.004 },
  steps: 3,
  batchSize: 20,
  baseline: { steps: 3, batchSize: 20, learningRate: 0.004 },
  evaluationRecords: 3,
};

/** Share of users kept for evaluation: larger where users are few, so that somebody is left to evaluate on. */
export function heldOutShare(users: number): number {
  return users < 200 ? 0.2 : 0.1;
}
