import type { Cell, RunKind, Setting } from './question.ts';
import type { RunResult } from './results.ts';

/** A setting that was tried in the first repetition of a cell. */
export interface TriedSetting extends Setting {
  /** Perplexity by user over the held-out users that settings are chosen by. */
  readonly validation: number;
}

/** What was tried in one cell, and what was taken. */
export interface Choice {
  readonly kind: RunKind;
  readonly cell: Cell | null;
  readonly tried: readonly TriedSetting[];
  readonly chosen: Setting;
}

type Placed = Pick<RunResult, 'kind' | 'cell' | 'repetition' | 'setting'>;

function keyOf({ kind, cell }: Pick<Placed, 'kind' | 'cell'>): string {
  return JSON.stringify([kind, cell]);
}

function triedOf({ setting, validation }: RunResult): TriedSetting[] {
  if (setting === undefined) return [];
  // A model that has diverged predicts nothing.
  const value = validation === undefined || Number.isNaN(validation) ? Infinity : validation;
  return [{ ...setting, validation: value }];
}

/** The setting of each cell with the lowest perplexity of its first repetition; among equals the first that was given. */
export function choicesOf(results: readonly RunResult[]): Choice[] {
  const cells = new Map<string, Choice>();
  for (const result of results) {
    const { kind, cell, repetition } = result;
    for (const setting of repetition === 1 ? triedOf(result) : []) {
      const before = cells.get(keyOf(result));
      const tried = [...(before?.tried ?? []), setting];
      const { learningRate, clipNorm } = tried.reduce((best, next) =>
        next.validation < best.validation ? next : best,
      );
      cells.set(keyOf(result), { kind, cell, tried, chosen: { learningRate, clipNorm } });
    }
  }
  return [...cells.values()];
}

/** Tells whether a run has the setting that was chosen for its cell, or had none to be chosen. */
export function chosenBy(choices: readonly Choice[]): (run: Placed) => boolean {
  const byCell = new Map(choices.map(choice => [keyOf(choice), choice.chosen]));
  return run => {
    const chosen = byCell.get(keyOf(run));
    if (run.setting === undefined || chosen === undefined) return run.setting === undefined;
    const { learningRate, clipNorm } = run.setting;
    return learningRate === chosen.learningRate && clipNorm === chosen.clipNorm;
  };
}

/** How many runs a study makes: every setting in the first repetition, one of them in the others. */
export function runsToMake<Run extends Placed>(runs: readonly Run[]): Run[] {
  const seen = new Set<string>();
  return runs.filter(run => {
    if (run.setting === undefined || run.repetition === 1) return true;
    const key = `${run.repetition} ${keyOf(run)}`;
    const isFirst = !seen.has(key);
    seen.add(key);
    return isFirst;
  });
}

/** A setting in words. */
export function settingInWords({ learningRate, clipNorm }: Setting): string {
  const rate = learningRate === null ? '' : `learning rate ${learningRate}`;
  const clip = clipNorm === null ? '' : `clip ${clipNorm}`;
  return [rate, clip].filter(part => part !== '').join(', ');
}

/** What choosing among settings means for the guarantee; nothing where nothing was chosen. */
export function choiceSentences(choices: readonly Choice[], users: number): string[] {
  const most = Math.max(0, ...choices.map(({ tried }) => tried.length));
  if (most < 2) return [];
  return [
    `In each cell one of up to ${most} settings was chosen by the perplexity of ${users} held-out users at the first repetition; all other perplexities are those of the other held-out users, by whom nothing was chosen.`,
    'That choice looked at private text. For a training user the total above covers it, as it counts the models of all settings; the epsilon of the chosen run alone does not. For the users it was made by no epsilon covers it: to publish the chosen settings tells something of their text.',
  ];
}

/** What the statement of a run has to say of the choice that it is a part of. */
export function choiceWarning(count: number): string {
  return `This is one of ${count} settings that a study tried on the same users, to keep the one with the lowest perplexity of held-out users. Its epsilon does not cover that choice; the study's report states the total of all runs.`;
}
