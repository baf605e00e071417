import type { EpsilonSoFar, Ledger, LedgerEntry, NoisedEntry } from './ledger.ts';
import type { StepBook, StepRecord } from './mechanism.ts';

/** What a resumed run may repeat, and under which attempt it makes steps that are not in the ledger. */
export interface History {
  /** Steps noised after the checkpoint, one after the other, under the key that the run still has. */
  readonly recorded: readonly NoisedEntry[];
  /** Steps finished at the checkpoint: the step of the first recorded one. */
  readonly step: number;
  /** For steps that are not recorded; no noised line of such a step has it yet, and no line a higher one. */
  readonly attempt: number;
}

/**
 * Reads out of a ledger what a run that goes on from `step` can repeat.
 *
 * A noised line takes the place of earlier ones of its step and of later steps, which belonged to a course that
 * the run departed from. Lines under another key, lines without digests, and lines of earlier releases, can't be repeated.
 *
 * @param options - step: finished at the checkpoint; commitment: of the key that the run has
 */
export function historyOf(
  entries: readonly LedgerEntry[],
  options: { step: number; commitment: string },
): History {
  const { step, commitment } = options;
  const course: (NoisedEntry | undefined)[] = [];
  let writtenUnder = '';
  let latest = -1;
  for (const entry of entries) {
    if (entry.kind === 'header' || entry.kind === 'resumed') {
      if (entry.noiseKeyCommitment !== writtenUnder) course.length = 0;
      writtenUnder = entry.noiseKeyCommitment;
    }
    if (entry.kind !== 'noised') continue;
    course.length = entry.step;
    course.push(entry);
    latest = Math.max(latest, entry.attempt ?? 0);
  }
  const isOurs = writtenUnder === commitment && hasTheseStreams(entries);
  const recorded = isOurs ? repeatable(course.slice(step)) : [];
  const next = step + recorded.length;
  const isTaken = entries.some(
    entry => entry.kind === 'noised' && entry.step >= next && (entry.attempt ?? 0) === latest,
  );
  const isSameCourse = !isTaken && (isOurs || latest === -1);
  return { recorded, step, attempt: isSameCourse ? Math.max(0, latest) : latest + 1 };
}

/** Before version 3 the same key gave other noise: a sum that met it must not meet this one as the same release. */
function hasTheseStreams([header]: readonly LedgerEntry[]): boolean {
  return header?.kind !== 'header' || header.version === 3;
}

function repeatable(course: readonly (NoisedEntry | undefined)[]): NoisedEntry[] {
  const steps: NoisedEntry[] = [];
  for (const entry of course) {
    if (entry?.attempt === undefined || entry.clippedSumDigest === undefined) break;
    steps.push(entry);
  }
  return steps;
}

/** What every line says beside the step's own record. */
export interface StepTerms {
  readonly noiseMultiplier: number;
  /** @param steps - counted, the step to come included */
  soFar(steps: number): EpsilonSoFar;
}

/** A book that also takes down the noise that was seen. */
export interface LedgerBook extends StepBook {
  /** @param sample - of the step entered last; the next line that is written holds it */
  sampled(sample: string): void;
  /** The sample that no line holds yet. */
  takeSample(): { readonly previousNoise?: string };
}

/**
 * The ledger as a book of steps: first those that a resumed run repeats, then new ones.
 *
 * A repeated step whose draw, clip and clipped sum are those that were written down, bit for bit, is the same
 * release: its noise is the same, and it isn't counted again. At the first one that differs the run departs
 * from what is written: this step and all later ones have draws and noise of their own and are counted.
 */
export function openStepBook(ledger: Ledger, options: { history: History; terms: StepTerms }): LedgerBook {
  const { history, terms } = options;
  let { attempt, recorded } = history;
  let sample: { previousNoise?: string } = {};
  const takeSample = (): typeof sample => {
    const taken = sample;
    sample = {};
    return taken;
  };
  const at = (step: number): NoisedEntry | undefined => recorded[step - history.step];
  const depart = (): void => {
    recorded = [];
    attempt += 1;
  };
  return {
    attemptAt: step => at(step)?.attempt ?? attempt,
    enter(record): boolean {
      const known = at(record.step);
      if (known !== undefined) {
        const isSame = sameRelease(known, record);
        if (!isSame) depart();
        return isSame;
      }
      const { noiseMultiplier } = terms;
      const soFar = terms.soFar(ledger.stepsCounted + 1);
      ledger.append({ kind: 'noised', ...record, noiseMultiplier, ...takeSample(), soFar });
      return true;
    },
    sampled(previousNoise): void {
      sample = { previousNoise };
    },
    takeSample,
  };
}

function sameRelease(known: NoisedEntry, record: StepRecord): boolean {
  return (
    known.attempt === record.attempt &&
    known.drawSize === record.drawSize &&
    known.clipNorm === record.clipNorm &&
    known.previousFraction === record.previousFraction &&
    known.participationDigest === record.participationDigest &&
    known.clippedSumDigest === record.clippedSumDigest
  );
}
