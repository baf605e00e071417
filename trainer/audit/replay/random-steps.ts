import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Plan } from '../../../accounting/plan.ts';
import { sha256 } from '../../digest.ts';
import { keptCheckpointPath } from '../../kept-checkpoints.ts';
import { openLedger, type CheckpointEntry, type LedgerEntry } from '../../ledger.ts';
import { commitmentOf, deriveKey, openBits } from '../../randomness.ts';
import { checkpointName, ledgerName } from '../../run.ts';
import type { Compared } from './compare-runs.ts';
import { compareStretch, type StepOutcome } from './compare-stretch.ts';
import { finding, type Finding } from '../finding.ts';
import { outcomeNote, type RandomAnswer } from './random-words.ts';
import type { ReplayInputs } from './replay-inputs.ts';
import {
  repeatableSteps,
  type KeyedLine,
  type Repeatables,
  type StartingPoint,
  type Stretch,
} from './starting-points.ts';
import { trainAgain } from './train-again.ts';

interface Picked {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly inputs: ReplayInputs;
  readonly random: { readonly count: number; readonly seed: string };
}

/** Repeats steps picked at random, each from the nearest place before it that a repetition can begin at. */
export async function repeatRandomSteps(
  entries: readonly LedgerEntry[],
  options: Picked,
): Promise<Compared & { random: RandomAnswer }> {
  const { key, inputs, random } = options;
  const commitment = commitmentOf(key);
  const found = repeatableSteps(entries, { commitment, isAtHand: atHand(entries, inputs.checkpoints) });
  const picked = pick([...found.starts.keys()], random);
  const stretches = stretchesOf(picked, found);
  const compared: (Compared & { outcomes: StepOutcome[]; trained: number })[] = [];
  for (const stretch of stretches) compared.push(await repeatStretch(stretch, { entries, found, options }));
  const steps = compared
    .flatMap(({ outcomes }) => outcomes)
    .toSorted((first, second) => first.line - second.line);
  const sum = (of: 'sumsConfirmed' | 'modelsConfirmed' | 'trained'): number =>
    compared.reduce((total, { [of]: count }) => total + count, 0);
  const answer: RandomAnswer = {
    seed: random.seed,
    repeatable: found.starts.size,
    of: found.lines.size,
    picked: picked.size,
    trained: sum('trained'),
    steps,
  };
  return {
    findings: [...compared.flatMap(({ findings }) => findings), outcomeNote(answer)],
    sumsConfirmed: sum('sumsConfirmed'),
    modelsConfirmed: sum('modelsConfirmed'),
    random: answer,
  };
}

/** Of checkpoints of the same step the newest took the place of the others. */
function atHand(
  entries: readonly LedgerEntry[],
  folder: string | undefined,
): (checkpoint: CheckpointEntry) => boolean {
  if (folder === undefined) return () => false;
  const newest = new Map(
    entries.flatMap(entry => (entry.kind === 'checkpoint' ? [[entry.step, entry.digest] as const] : [])),
  );
  return ({ step, digest }) => newest.get(step) === digest && existsSync(keptCheckpointPath(folder, step));
}

/** So many places at random, none twice. */
function pick(places: number[], { count, seed }: Picked['random']): Set<number> {
  const bits = openBits(createHash('sha256').update(seed).digest(), 'sampling');
  const picked = new Set<number>();
  const most = Math.min(count, places.length);
  for (let at = 0; at < most; at += 1) {
    const other = at + Math.floor((bits.next53() / 2 ** 53) * (places.length - at));
    picked.add(places[other]!);
    places[other] = places[at]!;
  }
  return picked;
}

function stretchesOf(picked: ReadonlySet<number>, found: Repeatables): Stretch[] {
  const sorted = [...picked].toSorted((first, second) => second - first);
  const open = new Set(sorted);
  const stretches: Stretch[] = [];
  for (const last of sorted) {
    if (!open.has(last)) continue;
    const start = found.starts.get(last)!;
    const lines = chainTo(last, { found, start });
    const own = lines.map(({ at }) => at).filter(at => open.delete(at));
    stretches.push({ ...start, lines, picked: new Set(own) });
  }
  return stretches.reverse();
}

/** The steps from the start of a repetition to one that it is for; all lie on one course. */
function chainTo(last: number, { found, start }: { found: Repeatables; start: StartingPoint }): KeyedLine[] {
  const chain: KeyedLine[] = [];
  for (let line = found.lines.get(last); line !== undefined;) {
    chain.push(line);
    line = line.entry.step === start.fromStep ? undefined : found.lines.get(line.before ?? -1);
  }
  return chain.reverse();
}

async function repeatStretch(
  stretch: Stretch,
  known: { entries: readonly LedgerEntry[]; found: Repeatables; options: Picked },
): Promise<Compared & { outcomes: StepOutcome[]; trained: number }> {
  const { entries, found, options } = known;
  const { plan, key, inputs } = options;
  const last = stretch.lines.at(-1)!;
  const stray = otherCheckpoint(entries[stretch.from], inputs.checkpoints);
  if (stray !== undefined)
    return { findings: [stray], sumsConfirmed: 0, modelsConfirmed: 0, outcomes: [], trained: 0 };
  // The noise of the last step shows in the checkpoint after it, or else in the next sum.
  const isSeenAtOnce = found.models.has(last.at) || !found.next.has(last.at);
  const until = last.entry.step + (isSeenAtOnce ? 1 : 2);
  const prepare = (folder: string): void => prepareStart(folder, { entries, stretch, options });
  const trained = await trainAgain({ plan, key, inputs, until, prepare });
  const compared = compareStretch(stretch, { entries, found, trained, inputs });
  return { ...compared, trained: until - stretch.fromStep };
}

function otherCheckpoint(entry: LedgerEntry | undefined, folder: string | undefined): Finding | undefined {
  if (entry?.kind !== 'checkpoint' || folder === undefined) return undefined;
  const found = sha256(readFileSync(keptCheckpointPath(folder, entry.step)));
  if (found === entry.digest) return undefined;
  const text = `The kept checkpoint of step ${entry.step} has digest ${found.slice(0, 12)}, the ledger says ${entry.digest.slice(0, 12)}: nothing was repeated from it.`;
  return finding('other-checkpoint', text, { detail: 'unverifiable' });
}

/** A ledger as of a run that was cut off there: what goes on from it makes the steps that follow, in the same attempt. */
function prepareStart(
  folder: string,
  known: { entries: readonly LedgerEntry[]; stretch: Stretch; options: Picked },
): void {
  const { entries, stretch, options } = known;
  const { key, inputs } = options;
  const { entry } = stretch.lines[0]!;
  const { step, attempt = 0 } = entry;
  const ledger = openLedger(join(folder, ledgerName));
  // Steps of the attempt before, under no key that anybody has: they are neither repeated nor noised again.
  ledger.append({ ...headerOf(entries), noiseKeyCommitment: '' });
  if (attempt > 0) ledger.append({ ...entry, attempt: attempt - 1 });
  const stepsCounted = ledger.stepsCounted;
  const commitments = {
    noiseKeyCommitment: commitmentOf(key),
    samplingKeyCommitment: commitmentOf(deriveKey(key, 'sampling')),
  };
  ledger.append({ kind: 'resumed', step, stepsCounted, ...commitments });
  const start = entries[stretch.from];
  if (start?.kind === 'checkpoint' && inputs.checkpoints !== undefined) {
    ledger.append(start);
    copyFileSync(keptCheckpointPath(inputs.checkpoints, start.step), join(folder, checkpointName));
  }
  ledger.close();
}

function headerOf([header]: readonly LedgerEntry[]): LedgerEntry & { kind: 'header' } {
  if (header?.kind === 'header') return header;
  throw new Error('a ledger begins with its header');
}
