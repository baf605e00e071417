import type { DrawRun } from '../../accounting/audit/participation.ts';
import type { Plan } from '../../accounting/plan.ts';
import { countNoised, type LedgerEntry, type NoisedEntry } from '../ledger.ts';
import { finding, named, type Finding } from './finding.ts';

/** A noised line with the keys that it was written under. */
export interface KeyedStep {
  readonly entry: NoisedEntry;
  /** Line in the file, from 1. */
  readonly line: number;
  readonly noiseKeyCommitment: string;
  readonly samplingKeyCommitment: string | undefined;
}

/** The noised lines of a ledger in order. */
export function keyedSteps(entries: readonly LedgerEntry[]): KeyedStep[] {
  const steps: KeyedStep[] = [];
  let keys: Pick<KeyedStep, 'noiseKeyCommitment' | 'samplingKeyCommitment'> = {
    noiseKeyCommitment: '',
    samplingKeyCommitment: undefined,
  };
  for (const [index, entry] of entries.entries()) {
    if (entry.kind === 'header' || entry.kind === 'resumed') {
      const { noiseKeyCommitment, samplingKeyCommitment } = entry;
      keys = { noiseKeyCommitment, samplingKeyCommitment };
    }
    if (entry.kind === 'noised') steps.push({ entry, line: index + 1, ...keys });
  }
  return steps;
}

/** Draws as the sampler decided them: epoch by epoch where it decides epochs, all in one otherwise. */
export function drawRuns(steps: readonly KeyedStep[], { sampler }: Plan): DrawRun[] {
  const length = 'stepsPerEpoch' in sampler ? sampler.stepsPerEpoch : Infinity;
  if (length === Infinity) return [{ first: 0, sizes: steps.map(({ entry }) => entry.drawSize) }];
  const runs: { first: number; sizes: number[] }[] = [];
  let last = '';
  for (const { entry, samplingKeyCommitment } of steps) {
    const { step, attempt = 0, drawSize } = entry;
    const name = `${samplingKeyCommitment}:${attempt}:${Math.floor(step / length)}:`;
    const current = runs.at(-1);
    if (current !== undefined && last === `${name}${step - 1}`) current.sizes.push(drawSize);
    else runs.push({ first: step % length, sizes: [drawSize] });
    last = `${name}${step}`;
  }
  return runs;
}

const refuted = { detail: 'refuted' } as const;

/** Steps that no line stands for: a gap, a checkpoint ahead of the lines, a number of steps that does not add up. */
export function checkOrder(entries: readonly LedgerEntry[]): Finding[] {
  let length = 0;
  let ending: number | undefined;
  const [gaps, ahead, miscounted, late]: number[][] = [[], [], [], []];
  for (const [index, entry] of entries.entries()) {
    const line = index + 1;
    if (ending !== undefined) late!.push(line);
    if (entry.kind === 'noised') {
      if (entry.step > length) gaps!.push(line);
      length = Math.max(length, entry.step + 1);
    }
    if ((entry.kind === 'checkpoint' || entry.kind === 'resumed') && entry.step > length) ahead!.push(line);
    const counts = entry.kind === 'resumed' || entry.kind === 'finished';
    if (counts && entry.stepsCounted !== countNoised(entries.slice(0, index))) miscounted!.push(line);
    if (entry.kind === 'finished') ending = line;
  }
  return [
    ...about(
      gaps!,
      'missing-steps',
      'follow on steps that no line stands for: their noise was drawn and not counted',
    ),
    ...about(ahead!, 'uncounted-steps', 'speak of finished steps that no line stands for'),
    ...about(
      miscounted!,
      'miscounted-steps',
      'state another number of counted steps than there are lines for',
    ),
    ...about(late!, 'after-the-end', 'were written after the run was over'),
  ];
}

/** A finding about lines, where there are any. */
export function about(lines: readonly number[], code: string, what: string): Finding[] {
  return lines.length === 0 ? [] : [finding(code, `Lines that ${what}: ${named(lines)}.`, refuted)];
}

/** Points of a run that two lines stand for, and digests that two points share. */
export function checkRepeats(steps: readonly KeyedStep[]): Finding[] {
  const sums = new Map<string, string | undefined>();
  const [reused, twice]: [number[], number[]] = [[], []];
  for (const { entry, line, noiseKeyCommitment } of steps) {
    const point = `${noiseKeyCommitment}:${entry.step}:${entry.attempt ?? 0}`;
    const sum = `${entry.participationDigest}:${entry.clippedSumDigest}`;
    if (sums.has(point))
      (sums.get(point) === sum && entry.clippedSumDigest !== undefined ? twice : reused).push(line);
    else sums.set(point, sum);
  }
  return [
    ...about(reused, 'reused-noise', 'draw on randomness that an earlier line used for another sum'),
    ...(twice.length === 0
      ? []
      : [
          finding('step-twice', `Lines that repeat an earlier release and count it again: ${named(twice)}.`, {
            level: 'warning',
          }),
        ]),
  ];
}

/** Digests of draws that occur again: under Poisson sampling of many units nobody is drawn twice over. */
export function checkRepeatedDraws(
  steps: readonly KeyedStep[],
  { plan, significance }: { plan: Plan; significance: number },
): Finding[] {
  const seen = new Map<string, number>();
  const repeats: number[] = [];
  for (const { entry, line } of steps) {
    const { participationDigest } = entry;
    if (participationDigest === undefined) continue;
    if (seen.has(participationDigest)) repeats.push(line);
    else seen.set(participationDigest, line);
  }
  if (repeats.length === 0) return [];
  const chance = chanceOfRepeat(plan, steps.length);
  const text = `Lines whose batch is that of an earlier line, by its digest: ${named(repeats)}; the sampler of the plan repeats one with a chance of at most ${chance.toExponential(1)}.`;
  return [
    chance <= significance
      ? finding('repeated-batches', text, { detail: 'refuted_for_sampler' })
      : finding('repeated-batches', text, { level: 'warning' }),
  ];
}

/** That any two of `steps` Poisson draws are the same set; 1 for samplers of which it is not worked out. */
function chanceOfRepeat({ sampler, population }: Plan, steps: number): number {
  if (sampler.kind !== 'poisson') return 1;
  const q = sampler.samplingProbability;
  const logSame = population[sampler.over] * Math.log(q * q + (1 - q) * (1 - q));
  return Math.min(1, (Math.exp(logSame) * steps * (steps - 1)) / 2);
}
