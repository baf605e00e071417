import type { Plan } from '../../../accounting/plan.ts';
import { commitmentOfCanaries } from '../../canaries/canary-file.ts';
import type { CanarySet } from '../../canaries/canaries.ts';
import { tableDigest } from '../../data.ts';
import { canonicalJson, parametersDigest } from '../../digest.ts';
import type { LedgerEntry } from '../../ledger.ts';
import { resolveSettings, settingsInWords } from '../../settings.ts';
import type { TrainOptions } from '../../train.ts';
import { finding, type Finding } from '../finding.ts';

/** What training is repeated with: the model, the table and the settings of the run. */
export interface ReplayInputs extends Pick<
  TrainOptions,
  'users' | 'model' | 'engine' | 'settings' | 'signal'
> {
  /** Those of the run, where it planted some. */
  readonly canaries?: CanarySet | undefined;
  /** Steps to repeat, from the first; all where left out. */
  readonly steps?: number | undefined;
  /** Repeats steps picked at random instead; every seed picks others. Of the auditor's own choosing, or the run could have known them. */
  readonly random?: { readonly count: number; readonly seed: string } | undefined;
  /** Folder of the checkpoints that the run kept, to begin at them; random steps are repeated from the very start where left out. */
  readonly checkpoints?: string | undefined;
  /**
   * The arithmetic is that of the run (same engine, build and sort of machine), so that a sum that comes out otherwise refutes the
   * ledger. Without it a differing sum may be the machine's doing, and leaves the question open.
   */
  readonly isBitExact?: boolean | undefined;
}

/** Table, canaries, model and settings have to be those that the ledger is bound to: only then is it worth training. */
export function otherInputs(
  entries: readonly LedgerEntry[],
  { plan, inputs }: { plan: Plan; inputs: ReplayInputs },
): Finding | undefined {
  const [own] = entries;
  if (own?.kind !== 'header') return undefined;
  const { users, canaries, model } = inputs;
  const bound: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ['table', tableDigest(users), own.tableDigest],
    ['starting model', parametersDigest(model.parameters), own.modelDigest],
    ['canaries', canaries && commitmentOfCanaries(canaries).commitment, own.canaries?.commitment],
  ];
  const stray = bound.find(([, given, expected]) => given !== expected);
  if (stray === undefined) return otherSettings(entries, { plan, inputs });
  const [name, given, expected] = stray;
  const digest = (value: string | undefined): string => value?.slice(0, 12) ?? 'none';
  const verb = name === 'canaries' ? 'have' : 'has';
  const text = `The ${name} that ${name === 'canaries' ? 'were' : 'was'} given ${verb} digest ${digest(given)}, the ledger is bound to ${digest(expected)}.`;
  return finding('other-inputs', text, { detail: 'unverifiable' });
}

/** Of every stretch of the run: steps after a change of settings are not those that the given ones lead to. */
function otherSettings(
  entries: readonly LedgerEntry[],
  { plan, inputs }: { plan: Plan; inputs: ReplayInputs },
): Finding | undefined {
  const { settings = {}, model } = inputs;
  const { schedule, optimizer } = resolveSettings(settings, { steps: plan.steps, spec: model.spec });
  const given = { schedule, optimizer };
  const openings = entries.filter(entry => entry.kind === 'header' || entry.kind === 'resumed');
  const own = openings.flatMap(entry => entry.settings ?? []);
  const other = own.find(stated => canonicalJson(stated) !== canonicalJson(given));
  if (other === undefined) return undefined;
  const verb = other === own[0] ? 'was made' : 'went on';
  const text = `The run ${verb} with ${settingsInWords(other)}; the settings that were given are ${settingsInWords(given)}.`;
  return finding('other-inputs', text, { detail: 'unverifiable' });
}
