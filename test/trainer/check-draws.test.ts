import { describe, expect, it } from 'vitest';
import { checkDraws } from '../../trainer/check-draws.ts';
import { openLedger, type LedgerEntry } from '../../trainer/ledger.ts';
import { openMechanism, privateGradient } from '../../trainer/mechanism.ts';
import { deriveKey } from '../../trainer/randomness.ts';
import { openRun } from '../../trainer/run.ts';
import { openStepBook } from '../../trainer/step-book.ts';
import { variedUsers } from './checks.ts';
import { planFor, toySource } from './toy.ts';

const key = new Uint8Array(32).fill(6);
const samplingKey = deriveKey(key, 'sampling');
const plan = planFor(variedUsers, { probability: 0.5 });
const options = { sampler: plan.sampler, units: variedUsers.length, samplingKey };

async function entriesOf(steps: number): Promise<LedgerEntry[]> {
  const identity = { planHash: 'p', tableDigest: 't', modelDigest: 'm' };
  const { ledger, history } = openRun({ folder: null, force: false, identity, key });
  const packing = { contextLength: 24, endOfText: 0, limits: { tokens: 128, units: 4 } };
  const mechanism = openMechanism({ plan, users: variedUsers, gradients: toySource(), packing, key });
  const soFar = (counted: number) => ({ steps: counted, epsilonUpper: null });
  const book = openStepBook(ledger, { history, terms: { noiseMultiplier: 1, soFar } });
  for (let step = 0; step < steps; step += 1) await privateGradient(mechanism, { step, book });
  return [...ledger.entries];
}

describe('checkDraws()', () => {
  it('confirms the draws of a run, those of a later attempt too', async () => {
    const entries = await entriesOf(12);
    expect(checkDraws(entries, options)).toBe(12);
    expect(checkDraws(openLedger(null).entries.concat(entries.slice(0, 3)), options)).toBe(2);
  });

  it('finds a step that drew others, as many as they may be, and a plan of another probability', async () => {
    const entries = await entriesOf(6);
    const swapped = entries.map(entry =>
      entry.kind === 'noised' && entry.step === 3 ? { ...entry, participationDigest: '0'.repeat(64) } : entry,
    );
    expect(() => checkDraws(swapped, options)).toThrow('Cannot confirm the draws: step 3 with ');
    const sampler = { ...plan.sampler, samplingProbability: 0.4 };
    expect(() => checkDraws(entries, { ...options, sampler })).toThrow('Cannot confirm the draws');
  });

  it('refuses a key that the ledger does not commit to, such as the secret key itself', async () => {
    const entries = await entriesOf(2);
    expect(() => checkDraws(entries, { ...options, samplingKey: key })).toThrow(
      'no line of the ledger commits to this sampling key',
    );
  });
});
