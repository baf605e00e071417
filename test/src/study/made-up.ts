import type { Mechanism } from '../../../accounting/index.ts';
import type { Cell } from '../../../src/study/question.ts';
import { runName } from '../../../src/study/question.ts';
import type { RunResult, StudyPerplexity } from '../../../src/study/results.ts';

/** Perplexities that tell the measures apart. */
export function perplexityOf(byUser: number): StudyPerplexity {
  return {
    byRecord: byUser + 0.5,
    byUser,
    worstTenth: byUser + 2,
    fewestRecords: byUser + 0.25,
    mostRecords: byUser - 0.25,
    users: 5,
    records: 9,
    tokens: 120,
  };
}

const baseline = {
  format: 'privacy-unit/study-run',
  version: 1,
  repetition: 1,
  cell: null,
  plan: null,
  breakEvenClipRatio: null,
  epsilon: null,
  stepsCounted: null,
  recordsPerStep: null,
  seconds: 1.5,
  lossCurve: [],
  statement: null,
  statementRows: null,
} as const;

/** A run of a baseline. */
export function baselineResult(kind: 'no-fine-tuning' | 'no-privacy', byUser: number): RunResult {
  return { ...baseline, name: kind, kind, perplexity: perplexityOf(byUser) };
}

function planOf(cell: Cell): NonNullable<RunResult['plan']> {
  const isByUser = cell.mechanism === 'user-wise';
  return {
    format: 'privacy-unit/plan',
    version: 1,
    mechanism: cell.mechanism,
    neighbours: 'add-or-remove',
    unit: { protection: 'user', recordsPerUser: cell.recordsPerUser },
    population: { users: 100, records: 100 },
    sampler: {
      kind: 'poisson',
      over: isByUser ? 'users' : 'records',
      samplingProbability: 0.1,
      expectedBatchSize: 10,
    },
    clipNorm: 1,
    noiseMultiplier: 2 + cell.recordsPerUser,
    steps: 5,
    delta: 1e-4,
    targetEpsilon: cell.epsilon,
    groupConversion: isByUser ? 'none' : 'mixture',
    selection: {
      strategy: cell.strategy,
      seed: '42/1',
      tokensPerUser: null,
      chunkTokens: null,
      when: 'once',
      privacyCost: [],
    },
    heldOut: { fraction: 0.1, seed: '42' },
  };
}

interface MadeUp extends Pick<RunResult, 'setting' | 'validation'> {
  readonly repetition?: number;
  readonly byUser: number;
}

/** A private run with a made-up perplexity. */
export function privateResult(
  given: { mechanism: Mechanism } & Partial<Cell>,
  { repetition = 1, byUser, ...tried }: MadeUp,
): RunResult {
  const cell: Cell = {
    mechanism: given.mechanism,
    epsilon: given.epsilon ?? 8,
    recordsPerUser: given.recordsPerUser ?? 2,
    strategy: given.strategy ?? 'random',
    ...(given.sampler === undefined ? {} : { sampler: given.sampler }),
  };
  return {
    ...baseline,
    name: runName(cell, { repetition, setting: tried.setting }),
    ...tried,
    kind: 'private',
    repetition,
    cell,
    plan: planOf(cell),
    breakEvenClipRatio: 0.8,
    epsilon: { lower: cell.epsilon - 0.1, upper: cell.epsilon },
    stepsCounted: 5,
    recordsPerStep: 10,
    perplexity: perplexityOf(byUser),
    statementRows: [['Guarantee', `epsilon at most ${cell.epsilon}`]],
  };
}
