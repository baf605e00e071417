import { DpError } from '../accounting/check.ts';
import type { SamplerPlan } from '../accounting/plan.ts';
import { bytesOf } from './digest.ts';
import type { LedgerEntry } from './ledger.ts';
import { openPointSampler } from './point-sampler.ts';
import { commitmentOf, digestAt, openPointBits } from './randomness.ts';

/**
 * Redraws the steps of a ledger from the sampling key and holds them against what was written down: for an
 * auditor who is shown that key, `deriveKey(key, 'sampling')` of a run that kept its key. It does not open the noise, but
 * with it everyone can see who was drawn when: the privacy that sampling adds is gone for whoever has it.
 *
 * @param entries - as `readLedger` gives them
 * @param options - sampler: of the plan of the run; units: users or records that were sampled from
 * @returns the number of steps that were redrawn: those under this key
 * @throws `CHECK_FAILED` where a step drew others than the key says, or no step was drawn with this key
 * @example
 * ```ts
 * import { commitmentOf } from 'privacy-unit/trainer';
 * const key = new Uint8Array(32);
 * const sampler = { kind: 'poisson', over: 'users', samplingProbability: 1, expectedBatchSize: 2 } as const;
 * const samplingKeyCommitment = commitmentOf(key);
 * const entries = [{ kind: 'resumed', step: 0, stepsCounted: 0, noiseKeyCommitment: '', samplingKeyCommitment }] as const;
 * checkDraws(entries, { sampler, units: 2, samplingKey: key }); // 0
 * ```
 */
export function checkDraws(
  entries: readonly LedgerEntry[],
  options: { sampler: SamplerPlan; units: number; samplingKey: Uint8Array },
): number {
  const { sampler, units, samplingKey } = options;
  const commitment = commitmentOf(samplingKey);
  const redrawn = openPointSampler(sampler, { population: units, bits: openPointBits(samplingKey) });
  let isUnderKey = false;
  let isKnown = false;
  let checked = 0;
  for (const entry of entries) {
    if (entry.kind === 'header' || entry.kind === 'resumed') {
      isUnderKey = entry.samplingKeyCommitment === commitment;
      isKnown ||= isUnderKey;
    }
    if (entry.kind !== 'noised' || !isUnderKey) continue;
    const { step, attempt = 0, drawSize, participationDigest } = entry;
    const drawn = redrawn.draw({ step, attempt });
    const digest = digestAt({ step, attempt }, { key: samplingKey, bytes: bytesOf(drawn) });
    if (drawn.length !== drawSize || digest !== participationDigest) throw otherDraw(entry);
    checked += 1;
  }
  if (!isKnown) throw otherKey(commitment);
  return checked;
}

function otherDraw({ step, drawSize }: { step: number; drawSize: number }): DpError {
  return new DpError(
    'CHECK_FAILED',
    `Cannot confirm the draws: step ${step} with ${drawSize} units is not what the sampling key draws. ` +
      'Check that plan and number of units are those of the run; otherwise do not trust it.',
  );
}

function otherKey(commitment: string): DpError {
  return new DpError(
    'CHECK_FAILED',
    `Cannot confirm the draws: no line of the ledger commits to this sampling key (commitment ${commitment.slice(0, 12)}). ` +
      'Give the sampling key of the run.',
  );
}
