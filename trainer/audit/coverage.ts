import type { ReplayAnswer } from './replay/replay.ts';

/** What an audit of a ledger looked at, and what it could not look at; each completes a sentence. */
export interface Coverage {
  readonly checked: readonly string[];
  readonly notChecked: readonly string[];
  readonly questions: readonly string[];
}

/** What was there to be looked at. */
interface Looked {
  readonly counted: number;
  readonly hasPlan: boolean;
  readonly replayed: ReplayAnswer | null;
}

const nothingReplayed = { drawsConfirmed: 0, noiseConfirmed: 0, sumsConfirmed: 0, modelsConfirmed: 0 };

/** Says of an audit what it covers. */
export function coverageOf(looked: Looked, { manifest }: { manifest?: string | undefined }): Coverage {
  const questions = looked.hasPlan ? [] : ['Which plan was the run made by? The ledger holds its hash.'];
  return { checked: checkedBy(looked, manifest !== undefined), notChecked: leftOpenBy(looked), questions };
}

function told(list: readonly (readonly [holds: boolean, text: string])[]): string[] {
  return list.filter(([holds]) => holds).map(([, text]) => text);
}

function checkedBy({ hasPlan, replayed }: Looked, hasManifest: boolean): string[] {
  const counts = replayed ?? nothingReplayed;
  const { drawsConfirmed, noiseConfirmed, sumsConfirmed } = counts;
  return told([
    [true, 'the hash chain, and the order and number of steps'],
    [hasPlan, 'the plan, the settings of every line, the sizes of draws, and epsilon'],
    [hasManifest, 'the manifest of the selection'],
    [drawsConfirmed > 0, `who was drawn in ${steps(drawsConfirmed)}, by the revealed key`],
    [
      noiseConfirmed > 0,
      `the noise that the run saw itself add in ${steps(noiseConfirmed)}, at a few places of each`,
    ],
    [
      isRepeated(counts),
      `the clipped sums of ${steps(sumsConfirmed)} that were repeated, and the noise between them`,
    ],
  ]);
}

/** The noise of a step shows in the next sum, or in the model. */
function isRepeated({ sumsConfirmed, modelsConfirmed }: typeof nothingReplayed): boolean {
  return sumsConfirmed > 1 || modelsConfirmed > 0;
}

function leftOpenBy({ counted, replayed }: Looked): string[] {
  const counts = replayed ?? nothingReplayed;
  const { drawsConfirmed, noiseConfirmed } = counts;
  const repeated = isRepeated(counts) ? counts.sumsConfirmed : 0;
  const others = counted - repeated;
  const which = repeated === 0 ? '' : ` in the ${others} steps that were not repeated`;
  return told([
    [drawsConfirmed === 0, 'that draws came from the key that the ledger commits to'],
    [others > 0 && noiseConfirmed === 0, `that noise of the stated size was added${which}`],
    [
      others > 0 && noiseConfirmed > 0,
      `that the run told the truth about its clipped sums and its noise${which}`,
    ],
    [
      true,
      'that the ledger was written by the run and not made up, and that its end is its end, unless its head was signed',
    ],
  ]);
}

function steps(count: number): string {
  return count === 1 ? 'one step' : `${count} steps`;
}
