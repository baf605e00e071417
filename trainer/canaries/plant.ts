import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Cut } from '../../accounting/audit/scores/thresholds.ts';
import { DpError } from '../../accounting/check.ts';
import type { Plan } from '../../accounting/plan.ts';
import type { LanguageModel } from '../language-model.ts';
import { readLedger, type HeaderEntry } from '../ledger.ts';
import {
  makeCanaries,
  settledRequest,
  type CanaryRequest,
  type CanarySet,
  type SettledRequest,
} from './canaries.ts';
import { canaryFileName, readCanaries, registeredCut, type CanaryCommitment } from './canary-file.ts';

/** The run that canaries are for. */
export interface PlantOptions {
  readonly plan: Plan;
  /** Of the table, canaries not counted. */
  readonly users: number;
  readonly model: LanguageModel;
  readonly folder?: string | undefined;
  readonly force?: boolean | undefined;
}

/**
 * The canaries of a run: those that it left in its folder where it goes on, coins and all; new ones, or the given ones, where it begins.
 *
 * @returns undefined where none are asked for
 * @throws DpError `INVALID_ARGUMENT` where the run was begun with others than are asked for; `MISSING_FILE` and
 *   `CHECK_FAILED` where its canaries are gone or changed
 */
export function canariesOf(
  asked: CanaryRequest | CanarySet | undefined,
  options: PlantOptions,
): CanarySet | undefined {
  const begun = unfinishedRun(options);
  if (begun !== undefined) checkSame(begun.canaries, { asked, options });
  if (asked === undefined || 'canaries' in asked) return asked;
  if (begun?.canaries === undefined) return makeCanaries(asked, options);
  return readCanaries(join(options.folder!, canaryFileName), begun.canaries.commitment);
}

/** First line of the run that the folder holds, where training goes on with it. */
function unfinishedRun({ folder, force = false }: PlantOptions): HeaderEntry | undefined {
  const path = folder === undefined ? undefined : join(folder, 'ledger.jsonl');
  if (path === undefined || force || !existsSync(path)) return undefined;
  const entries = readLedger(path);
  const [header] = entries;
  return header?.kind === 'header' && entries.at(-1)?.kind !== 'finished' ? header : undefined;
}

function cutWords(cut: Cut): string {
  return 'threshold' in cut
    ? `a threshold of ${cut.threshold}`
    : `guesses at the ${cut.highest} highest and ${cut.lowest} lowest`;
}

function words(canaries: SettledRequest | undefined): string {
  if (canaries === undefined) return 'no canaries';
  const { count, recordsPerCanary, cut } = canaries;
  return `${count} canaries with ${recordsPerCanary === 1 ? '1 record' : `${recordsPerCanary} records`} each and ${cutWords(cut)}`;
}

function checkSame(
  begun: CanaryCommitment | undefined,
  { asked, options }: { asked: CanaryRequest | CanarySet | undefined; options: PlantOptions },
): void {
  const before = begun && { ...begun, cut: registeredCut(begun) };
  const settled =
    asked === undefined || 'canaries' in asked
      ? asked && { ...asked, count: asked.canaries.length }
      : settledRequest(asked, options);
  if (words(before) === words(settled)) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot go on with the run in ${options.folder}: it was begun with ${words(before)}, now ${words(settled)} are asked for. ` +
      'Ask for the same ones, or give another folder.',
  );
}
