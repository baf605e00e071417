import { DpError } from '../../../accounting/check.ts';
import type { Plan } from '../../../accounting/plan.ts';
import { checkDraws } from '../../check-draws.ts';
import type { LedgerEntry } from '../../ledger.ts';
import { commitmentOf, deriveKey } from '../../randomness.ts';
import { finding, type Finding } from '../finding.ts';

/** Why a key does not open a ledger; undefined where it is one that lines commit to. */
export function openCommitments(entries: readonly LedgerEntry[], key: Uint8Array): Finding | undefined {
  const own = commitmentOf(key);
  const stretches = entries.filter(entry => entry.kind === 'header' || entry.kind === 'resumed');
  const opened = stretches.filter(entry => entry.noiseKeyCommitment === own);
  if (opened.length === 0) {
    const text = `No line commits to the key that was given (commitment ${own.slice(0, 12)}).`;
    return finding('other-key', text, { detail: 'unverifiable' });
  }
  const sampling = commitmentOf(deriveKey(key, 'sampling'));
  const isOff = opened.some(
    ({ samplingKeyCommitment }) => samplingKeyCommitment !== undefined && samplingKeyCommitment !== sampling,
  );
  const text = 'The sampling key that the ledger commits to is not the one that follows from its secret key.';
  return isOff ? finding('other-sampling-key', text, { detail: 'refuted' }) : undefined;
}

/** Steps whose draws were made again. */
export interface DrawAnswer {
  readonly findings: readonly Finding[];
  readonly drawsConfirmed: number;
}

/** Draws every step under the key again. */
export function redraw(
  entries: readonly LedgerEntry[],
  { plan, key }: { plan: Plan; key: Uint8Array },
): DrawAnswer {
  const samplingKey = deriveKey(key, 'sampling');
  const isCommitted = entries.some(
    entry => entry.kind === 'header' && entry.samplingKeyCommitment !== undefined,
  );
  if (!isCommitted) return { findings: [], drawsConfirmed: 0 };
  const units = plan.population[plan.sampler.over];
  try {
    const drawsConfirmed = checkDraws(entries, { sampler: plan.sampler, units, samplingKey });
    return { findings: [], drawsConfirmed };
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return { findings: [finding('other-draws', error.message, { detail: 'refuted' })], drawsConfirmed: 0 };
  }
}
