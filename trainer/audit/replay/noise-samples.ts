import { sumNoiseMultiplier } from '../../../accounting/clipping.ts';
import type { Plan } from '../../../accounting/plan.ts';
import type { CheckpointEntry, LedgerEntry, NoisedEntry } from '../../ledger.ts';
import { openSampleReader, type NoiseComparison } from '../../noise-sample.ts';
import { commitmentOf } from '../../randomness.ts';
import { finding, named, type Finding } from '../finding.ts';

/** What the samples of noise in a ledger told to whoever has its key. */
export interface NoiseAnswer {
  /** Steps whose noise, as the run saw itself add it, is that of the key at the size of the plan. */
  readonly noiseConfirmed: number;
  readonly findings: readonly Finding[];
}

/**
 * Opens the samples of noise with the key and makes the noise anew. Lines under another key, and ledgers before version 3, tell
 * nothing. The step that a sample is of stands in the line before it on the run's course; where the run was cut off in
 * between there is no sample, and nothing is missing.
 */
export function checkNoise(
  entries: readonly LedgerEntry[],
  { plan, key }: { plan: Plan; key: Uint8Array },
): NoiseAnswer {
  const [header] = entries;
  const coordinates = header?.kind === 'header' ? header.trainedValues : undefined;
  if (coordinates === undefined) return { noiseConfirmed: 0, findings: [] };
  const read = openSampleReader(key, { coordinates });
  const scale = sumNoiseMultiplier(plan);
  const tally = new Tally();
  const compare = (sample: string, entry: NoisedEntry): NoiseComparison | undefined => {
    const { step, attempt = 0, clippedSumDigest = '', clipNorm } = entry;
    return read(sample, { step, attempt, clippedSumDigest, standardDeviation: scale * clipNorm });
  };
  for (const { about, sample } of samplesUnder(entries, commitmentOf(key))) {
    const entry = entries[about];
    if (sample === undefined) tally.missing.push(about + 1);
    else if (entry?.kind === 'noised') tally.add(about + 1, compare(sample, entry));
  }
  return tally.answer();
}

/** Line by line what came out. */
class Tally {
  readonly missing: number[] = [];
  readonly #confirmed = new Set<number>();
  readonly #other = new Map<number, number | undefined>();

  add(line: number, found: NoiseComparison | undefined): void {
    if (found === undefined) return;
    if (found.isSame) this.#confirmed.add(line);
    else this.#other.set(line, found.factor);
  }

  answer(): NoiseAnswer {
    const other = [...this.#other.keys()];
    const findings: Finding[] = [];
    if (other.length > 0)
      findings.push(
        finding(
          'other-noise',
          `Lines of steps that, as the run saw itself, did not add the noise of the key at the size of the plan: ${named(other)}. ${howOther([...this.#other.values()])}`,
          { detail: 'refuted' },
        ),
      );
    if (this.missing.length > 0)
      findings.push(
        finding(
          'noise-not-told',
          `Lines of steps whose noise the next line should tell and does not: ${named(this.missing)}.`,
          { level: 'warning', detail: 'unverifiable' },
        ),
      );
    return { noiseConfirmed: this.#confirmed.size, findings };
  }
}

function howOther(factors: readonly (number | undefined)[]): string {
  const known = factors.filter(factor => factor !== undefined);
  if (known.length < factors.length) return 'It was noise of another kind.';
  const sorted = known.toSorted((first, second) => first - second);
  const [least, most] = [sorted[0]!, sorted.at(-1)!].map(factor => factor.toFixed(2));
  if (least === '0.00' && most === least) return 'No noise was added at all.';
  return `It was ${least === most ? least : `${least} to ${most}`} times as large as it should have been.`;
}

/** Samples in the order of the lines, each with the index of the step's entry; without a text where one is missing. */
function* samplesUnder(
  entries: readonly LedgerEntry[],
  commitment: string,
): Generator<{ about: number; sample: string | undefined }> {
  let course: number[] = [];
  let isUnderKey = false;
  let untold: number | undefined;
  for (const [index, entry] of entries.entries()) {
    if (entry.kind === 'header' || entry.kind === 'resumed') {
      const isUnder = entry.noiseKeyCommitment === commitment;
      if (isUnder !== isUnderKey) course = [];
      isUnderKey = isUnder;
      untold = undefined;
    }
    const about = isUnderKey && 'step' in entry ? course[entry.step - 1] : undefined;
    const sample = sampleOf(entry);
    if (about !== undefined && sample !== undefined) yield { about, sample };
    else if (untold !== undefined) yield { about: untold, sample: undefined };
    untold = undefined;
    if (entry.kind !== 'noised') continue;
    course.length = Math.min(course.length, entry.step);
    course[entry.step] = index;
    if (isUnderKey) untold = index;
  }
}

function sampleOf(entry: LedgerEntry): (NoisedEntry | CheckpointEntry)['previousNoise'] {
  return entry.kind === 'noised' || entry.kind === 'checkpoint' ? entry.previousNoise : undefined;
}
