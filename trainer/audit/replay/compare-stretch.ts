import type { LedgerEntry, NoisedEntry } from '../../ledger.ts';
import { otherModel, otherSum, type Compared } from './compare-runs.ts';
import type { ReplayInputs } from './replay-inputs.ts';
import type { KeyedLine, Repeatables, Stretch } from './starting-points.ts';

/** What repeating showed of one step: true where it is that of the ledger, false where not, null where nothing shows it. */
export interface StepOutcome {
  readonly step: number;
  readonly attempt: number;
  /** In the ledger, from 1. */
  readonly line: number;
  /** Finished steps of the checkpoint that the repetition began at; 0 for the start. */
  readonly from: number;
  /** Who was drawn, the clip, and the clipped sum. */
  readonly sum: boolean | null;
  /**
   * The noise that was added, by the next sum or checkpoint. A checkpoint shows all of it; a sum what it depends on, and that are not the
   * places of the context that no text of its draw reaches.
   */
  readonly noise: boolean | null;
}

/** Where two courses part; Infinity for never. */
interface Parting {
  /** First step whose sum differs. */
  readonly sum: number;
  /** First number of finished steps whose model differs. */
  readonly model: number;
}

/** Holds a stretch that was repeated against the ledger. */
export function compareStretch(
  stretch: Stretch,
  known: {
    entries: readonly LedgerEntry[];
    found: Repeatables;
    trained: readonly LedgerEntry[];
    inputs: ReplayInputs;
  },
): Compared & { outcomes: StepOutcome[] } {
  const { entries, found, trained, inputs } = known;
  const lines = withNext(stretch.lines, { entries, found });
  const from = stretch.fromStep;
  const again = new Repetition(trained, from);
  const same = lines.map(({ entry }) => again.hasSum(entry));
  const models = lines.flatMap(({ at, entry }) => {
    const digest = found.models.get(at);
    const isSame = digest === undefined ? undefined : again.hasModel(entry.step + 1, digest);
    return isSame === undefined ? [] : [{ step: entry.step + 1, isSame }];
  });
  const parting: Parting = {
    sum: lines[same.indexOf(false)]?.entry.step ?? Infinity,
    model: models.find(({ isSame }) => !isSame)?.step ?? Infinity,
  };
  const seen = new Set([
    ...lines
      .filter((line, at) => same[at] === true && line.entry.drawSize > 0)
      .map(({ entry }) => entry.step),
    ...models.filter(({ isSame }) => isSame).map(({ step }) => step),
  ]);
  const picked = stretch.lines.filter(({ at }) => stretch.picked.has(at));
  return {
    findings: partingFindings(parting, { from, inputs }),
    sumsConfirmed: same.filter(isSame => isSame === true).length,
    modelsConfirmed: models.filter(({ isSame }) => isSame).length,
    outcomes: picked.map(step => outcomeOf(step, { parting, seen, from })),
  };
}

function withNext(
  steps: readonly KeyedLine[],
  { entries, found }: { entries: readonly LedgerEntry[]; found: Repeatables },
): { at: number; entry: NoisedEntry }[] {
  const at = found.next.get(steps.at(-1)!.at);
  const entry = at === undefined ? undefined : entries[at];
  return at === undefined || entry?.kind !== 'noised' ? [...steps] : [...steps, { at, entry }];
}

/** What training again wrote down. */
class Repetition {
  readonly #sums = new Map<number, NoisedEntry>();
  readonly #models = new Map<number, string>();

  constructor(trained: readonly LedgerEntry[], from: number) {
    for (const entry of trained) {
      if (entry.kind === 'noised' && entry.step >= from) this.#sums.set(entry.step, entry);
      if (entry.kind === 'checkpoint' && entry.step > from) this.#models.set(entry.step, entry.digest);
    }
  }

  /** Undefined where the step was not repeated. */
  hasSum(own: NoisedEntry): boolean | undefined {
    const again = this.#sums.get(own.step);
    if (again === undefined) return undefined;
    return (
      again.participationDigest === own.participationDigest &&
      again.clipNorm === own.clipNorm &&
      again.clippedSumDigest === own.clippedSumDigest
    );
  }

  hasModel(step: number, digest: string): boolean | undefined {
    const again = this.#models.get(step);
    return again === undefined ? undefined : again === digest;
  }
}

function partingFindings(
  { sum, model }: Parting,
  { from, inputs }: { from: number; inputs: ReplayInputs },
): Compared['findings'] {
  if (model !== Infinity && model <= sum)
    return [otherModel({ what: `the checkpoint of step ${model}`, from }, inputs)];
  return sum === Infinity ? [] : [otherSum({ step: sum, from }, inputs)];
}

function outcomeOf(
  { at, entry }: KeyedLine,
  known: { parting: Parting; seen: ReadonlySet<number>; from: number },
): StepOutcome {
  const { parting, seen, from } = known;
  const { step, attempt = 0 } = entry;
  const isBefore = step < parting.sum && step < parting.model;
  const sum = step === parting.sum && step < parting.model ? false : isBefore ? true : null;
  const after = step + 1;
  const isOther = after === parting.model || after === parting.sum;
  const noise = sum !== true ? null : isOther ? false : seen.has(after) ? true : null;
  return { step, attempt, line: at + 1, from, sum, noise };
}
