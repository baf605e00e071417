import type { Cell, RunKind } from './question.ts';
import { measures, type Measure, type RunResult } from './results.ts';
import { estimateOf, type Estimate } from './statistics.ts';

/** The runs of one cell, or of one baseline, together. */
export interface Summary {
  readonly kind: RunKind;
  readonly cell: Cell | null;
  readonly runs: number;
  readonly noiseMultiplier: number | null;
  /** Largest upper bound of the runs. */
  readonly epsilonUpper: number | null;
  readonly recordsPerStep: number | null;
  readonly breakEvenClipRatio: number | null;
  readonly perplexity: Readonly<Record<Measure, Estimate>>;
}

function keyOf({ kind, cell }: RunResult): string {
  return JSON.stringify([kind, cell]);
}

function estimatesOf(runs: readonly RunResult[]): Record<Measure, Estimate> {
  const of = (measure: Measure): Estimate => estimateOf(runs.map(run => run.perplexity[measure]));
  const [byRecord, byUser, worstTenth, fewestRecords, mostRecords] = measures.map(of);
  return {
    byRecord: byRecord!,
    byUser: byUser!,
    worstTenth: worstTenth!,
    fewestRecords: fewestRecords!,
    mostRecords: mostRecords!,
  };
}

function summaryOf(runs: readonly RunResult[]): Summary {
  const { kind, cell, plan, recordsPerStep, breakEvenClipRatio } = runs[0]!;
  const uppers = runs.flatMap(({ epsilon }) => (epsilon === null ? [] : [epsilon.upper]));
  return {
    kind,
    cell,
    runs: runs.length,
    noiseMultiplier: plan?.noiseMultiplier ?? null,
    epsilonUpper: uppers.length === 0 ? null : Math.max(...uppers),
    recordsPerStep,
    breakEvenClipRatio,
    perplexity: estimatesOf(runs),
  };
}

/** One summary a cell, in the order in which cells first occur; the baselines first and last. */
export function summarise(runs: readonly RunResult[]): Summary[] {
  const groups = new Map<string, RunResult[]>();
  for (const run of runs) {
    const group = groups.get(keyOf(run)) ?? [];
    group.push(run);
    groups.set(keyOf(run), group);
  }
  const all = [...groups.values()].map(summaryOf);
  return (['no-fine-tuning', 'private', 'no-privacy'] as const).flatMap(kind =>
    all.filter(summary => summary.kind === kind),
  );
}
