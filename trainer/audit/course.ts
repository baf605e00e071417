import type { Plan } from '../../accounting/plan.ts';
import { StepCount, type LedgerEntry, type NoisedEntry } from '../ledger.ts';
import { finding, named, type Finding } from './finding.ts';

/** A noised line with the keys that it was written under. */
export interface KeyedStep {
  readonly entry: NoisedEntry;
  /** Line in the file, from 1. */
  readonly line: number;
  readonly noiseKeyCommitment: string;
  readonly samplingKeyCommitment: string | undefined;
}

/** Tells noised lines with their keys out of all lines, as they come. */
export class StepReader {
  #keys: Pick<KeyedStep, 'noiseKeyCommitment' | 'samplingKeyCommitment'> = {
    noiseKeyCommitment: '',
    samplingKeyCommitment: undefined,
  };

  read(entry: LedgerEntry, line: number): KeyedStep | undefined {
    if (entry.kind === 'header' || entry.kind === 'resumed') {
      const { noiseKeyCommitment, samplingKeyCommitment } = entry;
      this.#keys = { noiseKeyCommitment, samplingKeyCommitment };
    }
    if (entry.kind !== 'noised') return undefined;
    const { noiseKeyCommitment, samplingKeyCommitment } = this.#keys;
    return { entry, line, noiseKeyCommitment, samplingKeyCommitment };
  }
}

/** The noised lines of a ledger in order. */
export function keyedSteps(entries: readonly LedgerEntry[]): KeyedStep[] {
  const reader = new StepReader();
  return entries.flatMap((entry, index) => reader.read(entry, index + 1) ?? []);
}

/** Draws as the sampler decided them: epoch by epoch where it decides epochs, all in one otherwise. */
export class DrawRuns {
  readonly runs: { readonly first: number; readonly sizes: number[] }[] = [];
  readonly #length: number;
  #last = '';

  constructor({ sampler }: Plan) {
    this.#length = 'stepsPerEpoch' in sampler ? sampler.stepsPerEpoch : Infinity;
    if (this.#length === Infinity) this.runs.push({ first: 0, sizes: [] });
  }

  add({ entry, samplingKeyCommitment }: KeyedStep): void {
    const { step, attempt = 0, drawSize } = entry;
    const current = this.runs.at(-1);
    if (this.#length === Infinity) {
      current!.sizes.push(drawSize);
      return;
    }
    const name = `${samplingKeyCommitment}:${attempt}:${Math.floor(step / this.#length)}:`;
    if (current !== undefined && this.#last === `${name}${step - 1}`) current.sizes.push(drawSize);
    else this.runs.push({ first: step % this.#length, sizes: [drawSize] });
    this.#last = `${name}${step}`;
  }
}

const refuted = { detail: 'refuted' } as const;

/** Steps that no line stands for: a gap, a checkpoint ahead of the lines, a number of steps that does not add up. */
export class OrderCheck {
  readonly #count = new StepCount();
  readonly #gaps: number[] = [];
  readonly #ahead: number[] = [];
  readonly #miscounted: number[] = [];
  readonly #late: number[] = [];
  #length = 0;
  #isOver = false;

  /** Steps that the guarantee has to count so far. */
  get counted(): number {
    return this.#count.steps;
  }

  /** Whether a line said that the run is over. */
  get isOver(): boolean {
    return this.#isOver;
  }

  add(entry: LedgerEntry, line: number): void {
    if (this.#isOver) this.#late.push(line);
    if (entry.kind === 'noised') {
      if (entry.step > this.#length) this.#gaps.push(line);
      this.#length = Math.max(this.#length, entry.step + 1);
    }
    const speaks = entry.kind === 'checkpoint' || entry.kind === 'resumed';
    if (speaks && entry.step > this.#length) this.#ahead.push(line);
    const counts = entry.kind === 'resumed' || entry.kind === 'finished';
    if (counts && entry.stepsCounted !== this.counted) this.#miscounted.push(line);
    this.#isOver ||= entry.kind === 'finished';
    this.#count.add(entry);
  }

  findings(): Finding[] {
    return [
      ...about(
        this.#gaps,
        'missing-steps',
        'follow on steps that no line stands for: their noise was drawn and not counted',
      ),
      ...about(this.#ahead, 'uncounted-steps', 'speak of finished steps that no line stands for'),
      ...about(
        this.#miscounted,
        'miscounted-steps',
        'state another number of counted steps than there are lines for',
      ),
      ...about(this.#late, 'after-the-end', 'were written after the run was over'),
    ];
  }
}

/** A finding about lines, where there are any. */
export function about(lines: readonly number[], code: string, what: string): Finding[] {
  return lines.length === 0 ? [] : [finding(code, `Lines that ${what}: ${named(lines)}.`, refuted)];
}

/** Points of a run that two lines stand for. */
export class PointCheck {
  /** Digests by step, for every key and attempt. */
  readonly #sums = new Map<string, (string | undefined)[]>();
  readonly #reused: number[] = [];
  readonly #twice: number[] = [];

  add({ entry, line, noiseKeyCommitment }: KeyedStep): void {
    const { step, attempt = 0, participationDigest, clippedSumDigest } = entry;
    const name = `${noiseKeyCommitment}:${attempt}`;
    const sums = this.#sums.get(name) ?? [];
    if (sums.length === 0) this.#sums.set(name, sums);
    const sum = packed(`${participationDigest}${clippedSumDigest}`);
    const known = sums[step];
    if (known === undefined) sums[step] = sum;
    else (known === sum && clippedSumDigest !== undefined ? this.#twice : this.#reused).push(line);
  }

  findings(): Finding[] {
    const text = `Lines that repeat an earlier release and count it again: ${named(this.#twice)}.`;
    return [
      ...about(this.#reused, 'reused-noise', 'draw on randomness that an earlier line used for another sum'),
      ...(this.#twice.length === 0 ? [] : [finding('step-twice', text, { level: 'warning' })]),
    ];
  }
}

/** Texts of hexadecimal digits in half the memory. */
function packed(text: string): string {
  const bytes = Buffer.from(text, 'hex');
  return 2 * bytes.length === text.length ? bytes.toString('latin1') : text;
}

/** Digests of draws that occur again: under Poisson sampling of many units nobody is drawn twice over. */
export class DrawRepeats {
  readonly #seen = new Set<string>();
  readonly #repeats: number[] = [];
  #steps = 0;

  add({ entry, line }: KeyedStep): void {
    this.#steps += 1;
    const { participationDigest } = entry;
    if (participationDigest === undefined) return;
    const name = packed(participationDigest);
    if (this.#seen.has(name)) this.#repeats.push(line);
    else this.#seen.add(name);
  }

  findings({ plan, significance }: { plan: Plan; significance: number }): Finding[] {
    if (this.#repeats.length === 0) return [];
    const chance = chanceOfRepeat(plan, this.#steps);
    const text = `Lines whose batch is that of an earlier line, by its digest: ${named(this.#repeats)}; the sampler of the plan repeats one with a chance of at most ${chance.toExponential(1)}.`;
    return [
      chance <= significance
        ? finding('repeated-batches', text, { detail: 'refuted_for_sampler' })
        : finding('repeated-batches', text, { level: 'warning' }),
    ];
  }
}

/** That any two of `steps` Poisson draws are the same set; 1 for samplers of which it is not worked out. */
function chanceOfRepeat({ sampler, population }: Plan, steps: number): number {
  if (sampler.kind !== 'poisson') return 1;
  const q = sampler.samplingProbability;
  const logSame = population[sampler.over] * Math.log(q * q + (1 - q) * (1 - q));
  return Math.min(1, (Math.exp(logSame) * steps * (steps - 1)) / 2);
}
