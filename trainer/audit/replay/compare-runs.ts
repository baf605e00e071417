import type { LedgerEntry, NoisedEntry } from '../../ledger.ts';
import { keyedSteps } from '../course.ts';
import { finding, type Finding } from '../finding.ts';
import type { ReplayInputs } from './replay-inputs.ts';

/** What came out the same. */
export interface Compared {
  readonly findings: readonly Finding[];
  readonly sumsConfirmed: number;
  readonly modelsConfirmed: number;
}

/** Holds a run that was repeated from its start against its ledger. */
export function compareRuns(
  entries: readonly LedgerEntry[],
  { trained, inputs }: { trained: readonly LedgerEntry[]; inputs: ReplayInputs },
): Compared {
  const course = firstCourse(entries);
  const repeated = stepsOf(trained);
  const shared = repeated.slice(0, course.length);
  const different = shared.findIndex(
    ({ clippedSumDigest }, at) => clippedSumDigest !== course[at]!.clippedSumDigest,
  );
  if (different >= 0) {
    const findings = [otherSum({ step: different, from: 0 }, inputs)];
    return { sumsConfirmed: different, modelsConfirmed: 0, findings };
  }
  const { modelsConfirmed, differs } = compareModels(entries, { trained, isWhole: isOneCourse(entries) });
  const findings = differs.map(what => otherModel({ what, from: 0 }, inputs));
  return { sumsConfirmed: shared.length, modelsConfirmed, findings };
}

function stepsOf(entries: readonly LedgerEntry[]): NoisedEntry[] {
  return entries.filter(entry => entry.kind === 'noised');
}

/** Steps of the first key and the first attempt: what an uninterrupted run would have written. */
function firstCourse(entries: readonly LedgerEntry[]): NoisedEntry[] {
  const course: NoisedEntry[] = [];
  const steps = keyedSteps(entries);
  for (const { entry, noiseKeyCommitment } of steps) {
    if (noiseKeyCommitment !== steps[0]!.noiseKeyCommitment) continue;
    if ((entry.attempt ?? 0) === 0 && entry.step === course.length) course.push(entry);
  }
  return course;
}

function isOneCourse(entries: readonly LedgerEntry[]): boolean {
  const steps = keyedSteps(entries);
  return firstCourse(entries).length === steps.length;
}

/** Checkpoints at the same steps, and the final model, where the run never departed from its course. */
function compareModels(
  entries: readonly LedgerEntry[],
  { trained, isWhole }: { trained: readonly LedgerEntry[]; isWhole: boolean },
): { modelsConfirmed: number; differs: string[] } {
  if (!isWhole) return { modelsConfirmed: 0, differs: [] };
  const own = modelsOf(entries);
  const differs: string[] = [];
  let modelsConfirmed = 0;
  for (const [what, digest] of modelsOf(trained)) {
    const stated = own.get(what);
    if (stated === digest) modelsConfirmed += 1;
    else if (stated !== undefined) differs.push(what);
  }
  return { modelsConfirmed, differs: differs.slice(0, 1) };
}

function modelsOf(entries: readonly LedgerEntry[]): Map<string, string> {
  const models = new Map<string, string>();
  for (const entry of entries) {
    if (entry.kind === 'checkpoint') models.set(`the checkpoint of step ${entry.step}`, entry.digest);
    if (entry.kind === 'finished') models.set('the final model', entry.modelDigest);
  }
  return models;
}

/** @param place - step: the first whose sum differs; from: steps finished where the repetition began */
export function otherSum(place: { step: number; from: number }, inputs: ReplayInputs): Finding {
  const { step, from } = place;
  const causes =
    step === from
      ? 'the clip, the table or the arithmetic was another'
      : 'the noise of the steps before, the clip, the settings of the optimizer or the arithmetic was another';
  return otherRun(
    'other-sum',
    `Repeated from ${startInWords(from)}, the clipped sum of step ${step} is not that of the ledger: ${causes}`,
    inputs,
  );
}

/** @param place - what: the model that differs; from: steps finished where the repetition began */
export function otherModel(place: { what: string; from: number }, inputs: ReplayInputs): Finding {
  return otherRun(
    'other-model',
    `Repeated from ${startInWords(place.from)}, ${place.what} is not that of the ledger: its noise, the settings of the optimizer or the arithmetic was another`,
    inputs,
  );
}

function startInWords(from: number): string {
  return from === 0 ? 'the start' : `the checkpoint of step ${from}`;
}

function otherRun(code: string, text: string, { isBitExact = false }: ReplayInputs): Finding {
  return isBitExact
    ? finding(code, `${text}. The arithmetic was declared to be the same.`, { detail: 'refuted' })
    : finding(
        code,
        `${text}. Another engine or processor rounds otherwise, so this refutes nothing by itself.`,
        {
          level: 'warning',
          detail: 'unverifiable',
        },
      );
}
