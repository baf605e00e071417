import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import {
  auditClaim,
  auditScores,
  claimOf,
  type Reason,
  type ScoresAudit,
  type StatedClaim,
  type StatedMechanism,
  type VerdictDetail,
} from '../../../accounting/audit/index.ts';
import { epsilonOfPlan } from '../../../accounting/plan-entry.ts';
import type { Plan } from '../../../accounting/plan.ts';
import { auditLedger, type LedgerAudit } from '../../../trainer/audit/audit-ledger.ts';
import type { ReplayInputs } from '../../../trainer/audit/replay/replay.ts';
import { makeCanaries, planWithCanaries } from '../../../trainer/canaries/canaries.ts';
import { openBits } from '../../../trainer/randomness.ts';
import { train, type TrainOptions } from '../../../trainer/train.ts';
import { runCli, writeJsonl } from '../../src/support.ts';
import { textUsers, tinyEngine, tinyModel } from '../tiny.ts';
import { planFor } from '../toy.ts';
import { planted, type Bug } from './planted.ts';

vi.mock(import('../../../trainer/mechanism.ts'), async original => {
  const { plantIn } = await import('./planted.ts');
  const real = await original();
  return { ...real, openMechanism: plantIn(real.openMechanism) };
});
vi.mock(import('../../../trainer/step-book.ts'), async original => {
  const { forgetIn } = await import('./planted.ts');
  const real = await original();
  return { ...real, historyOf: forgetIn(real.historyOf) };
});

const folder = mkdtempSync(join(tmpdir(), 'planted-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  planted.bug = null;
});

const key = new Uint8Array(32).fill(9);
const users = textUsers(24);
const plan = planFor(users, {
  probability: 0.25,
  steps: 12,
  delta: 1e-3,
  clipNorm: 0.05,
  noiseMultiplier: 1,
});
const model = tinyModel({ rank: 2, alpha: 4, targets: ['attn.c_attn', 'mlp.c_fc'] });
const settings = { checkpointEvery: 4, learningRate: 0.02 };

/** What an audit says, and the reason of it. */
type Found = readonly [VerdictDetail, string?];

/** Which audit finds a mistake, and how; whatever finds nothing says `consistent`. */
interface Caught {
  /** Of a report that tells what was done, where the claim format has a word for it. */
  readonly paper: Found | null;
  /** Of the ledger that the mistaken trainer wrote, without and with its key, and with the run repeated by the correct one. */
  readonly ledger: Found;
  readonly key: Found;
  readonly replay: Found;
}

const nothing: Found = ['consistent'];
const otherSum: Found = ['refuted', 'DPL-other-sum'];
const otherNoise: Found = ['refuted', 'DPL-other-noise'];
const otherDraws: Pick<Caught, 'ledger' | 'key' | 'replay'> = {
  ledger: ['refuted_for_sampler', 'DPL-sizes-refute-sampler'],
  key: ['refuted', 'DPL-other-draws'],
  replay: ['refuted', 'DPL-other-draws'],
};

const catches: readonly (readonly [Bug, Caught])[] = [
  [
    'no clip',
    {
      paper: ['conditional', 'DPC-C5-clipping-not-stated'],
      ledger: nothing,
      key: nothing,
      replay: otherSum,
    },
  ],
  [
    'clip per batch',
    {
      paper: ['privacy_overstated', 'DPC-C2-clipped-per-batch'],
      ledger: nothing,
      key: nothing,
      replay: otherSum,
    },
  ],
  [
    'noise × 0.5',
    {
      paper: ['privacy_overstated', 'DPC-V1-recomputed'],
      ledger: nothing,
      key: otherNoise,
      replay: otherSum,
    },
  ],
  ['noise once per epoch', { paper: null, ledger: nothing, key: otherNoise, replay: otherSum }],
  [
    'realised batch size as denominator',
    {
      // The noise is as claimed, and so is epsilon; the finding says what no epsilon covers.
      paper: ['conditional', 'DPC-E1-divided-by-realised-batch'],
      ledger: nothing,
      key: nothing,
      replay: otherSum,
    },
  ],
  [
    'records of one user as several users',
    { paper: ['privacy_overstated', 'DPC-V1-recomputed'], ...otherDraws },
  ],
  [
    'shuffled batches under a Poisson plan',
    { paper: ['refuted_for_sampler', 'DPC-S1-shuffled-as-poisson'], ...otherDraws },
  ],
  [
    'noise reused after resume',
    {
      paper: ['conditional', 'DPC-Q1-resumed-with-same-seed'],
      ledger: ['refuted', 'DPL-reused-noise'],
      key: ['refuted', 'DPL-reused-noise'],
      replay: ['refuted', 'DPL-reused-noise'],
    },
  ],
];

/** What an honest report of each mistake would have to state; its epsilon is that of the plan. */
const stated: Readonly<Partial<Record<Bug, Partial<StatedMechanism>>>> = {
  'no clip': { clip: {} },
  'clip per batch': { clip: { norm: plan.clipNorm, per: 'batch' } },
  'noise × 0.5': { noise: { multiplier: plan.noiseMultiplier / 2, relative_to: 'clip', applied_to: 'sum' } },
  'realised batch size as denominator': { normalise_by: 'realised' },
  'records of one user as several users': {
    n_units: plan.population.records,
    clip: { norm: plan.clipNorm, per: 'example' },
  },
  'shuffled batches under a Poisson plan': {
    sampler: { kind: 'shuffle_each_epoch', batch_size: 6, partial_last: 'dropped' },
  },
};

function claimedBy(bug: Bug | null): StatedClaim {
  const { upper } = epsilonOfPlan(plan).epsilon;
  const epsilon = (Math.ceil(upper * 1000) / 1000).toFixed(3);
  return {
    guarantee: { epsilon, delta: plan.delta, relation: '<=' },
    unit: { kind: 'user', max_records_per_unit: plan.unit.recordsPerUser, enforced_by: 'cap_then_sample' },
    adjacency: 'add_remove',
    mechanisms: [
      {
        kind: 'dp_sgd',
        n_units: plan.population.users,
        sampler: { kind: 'poisson', rate: plan.sampler.samplingProbability, partial_last: 'none' },
        steps: plan.steps,
        clip: { norm: plan.clipNorm, per: 'unit' },
        noise: { multiplier: plan.noiseMultiplier, relative_to: 'clip', applied_to: 'sum' },
        normalise_by: 'expected_public',
        ...(bug === null ? {} : stated[bug]),
      },
    ],
    accounting: { sampler: 'poisson' },
    randomness: { resumed: true, resumed_seed: bug === 'noise reused after resume' ? 'same' : 'fresh' },
  };
}

/** Path of the ledger of a run by a trainer with this mistake. */
async function ranWith(bug: Bug | null): Promise<string> {
  planted.bug = bug;
  const out = mkdtempSync(join(folder, 'run-'));
  const engine = await tinyEngine();
  const run = { plan, users, heldOut: [], model, engine, settings, folder: out, randomness: { key } };
  if (bug === 'noise reused after resume') await killedAt(10, run);
  const later = bug === 'noise reused after resume' ? { ...settings, learningRate: 0.05 } : settings;
  await train({ ...run, settings: later });
  planted.bug = null;
  return join(out, 'ledger.jsonl');
}

async function killedAt(last: number, run: TrainOptions): Promise<void> {
  const onPhase: TrainOptions['onPhase'] = (phase, step) => {
    if (phase === 'noised' && step === last) throw new Error('killed');
  };
  await expect(train({ ...run, onPhase })).rejects.toThrow('killed');
}

async function inputs(): Promise<ReplayInputs> {
  return { users, model, engine: await tinyEngine(), settings, isBitExact: true };
}

async function ledgerAudits(path: string): Promise<Record<'ledger' | 'key' | 'replay', LedgerAudit>> {
  return {
    ledger: await auditLedger(path),
    key: await auditLedger(path, { key }),
    replay: await auditLedger(path, { key, replay: inputs }),
  };
}

function expectFound(
  audit: { detail: VerdictDetail; reasons: readonly Reason[] },
  [detail, code]: Found,
): void {
  expect(audit.detail).toBe(detail);
  const codes = audit.reasons.map(reason => reason.code);
  if (code === undefined) expect(codes).toEqual([]);
  else expect(codes).toContain(code);
}

describe('audits of a trainer with a planted bug', () => {
  it.each(catches)('%s', async (bug, caught) => {
    const audits = await ledgerAudits(await ranWith(bug));
    for (const by of ['ledger', 'key', 'replay'] as const) expectFound(audits[by], caught[by]);
    if (caught.paper !== null) expectFound(auditClaim(claimOf(claimedBy(bug))), caught.paper);
    expect(audits.replay.verdict).toBe('refuted');
  });

  it.each<[Bug, string, number]>([
    ['noise × 0.5', 'It was 0.50 times as large as it should have been.', 0],
    ['noise once per epoch', 'No noise was added at all.', 3],
    ['noise reused after resume', 'It was noise of another kind.', 0],
  ])('the key alone says what noise there was: %s', async (bug, text, noiseConfirmed) => {
    const { reasons, replay } = await auditLedger(await ranWith(bug), { key });
    expect(reasons.find(({ code }) => code === 'DPL-other-noise')!.text).toContain(text);
    expect(replay).toMatchObject({ noiseConfirmed });
  });

  it('the correct trainer passes, with false alarms at most once in a million honest ledgers', async () => {
    const audits = await ledgerAudits(await ranWith(null));
    for (const by of ['ledger', 'key', 'replay'] as const) expectFound(audits[by], nothing);
    expect(audits.ledger.participation!.significance).toBe(1e-6);
    expect(audits.key.replay).toMatchObject({ drawsConfirmed: 12, noiseConfirmed: 12, sumsConfirmed: 0 });
    expect(audits.replay.replay).toMatchObject({ drawsConfirmed: 12, sumsConfirmed: 12, modelsConfirmed: 4 });
    const { detail, reasons } = auditClaim(claimOf(claimedBy(null)));
    expect(detail).toBe('consistent');
    expect(reasons.filter(({ level }) => level !== 'note')).toEqual([]);
  });

  it('the correct trainer passes when it was killed and went on with other settings', async () => {
    const engine = await tinyEngine();
    const out = mkdtempSync(join(folder, 'run-'));
    const run = { plan, users, heldOut: [], model, engine, settings, folder: out, randomness: { key } };
    await killedAt(10, run);
    await train({ ...run, settings: { ...settings, learningRate: 0.05 } });
    const audit = await auditLedger(join(out, 'ledger.jsonl'), { key });
    expect(audit.verdict).toBe('consistent');
    expect(audit.reasons.map(({ code }) => code)).toEqual(['DPL-more-steps']);
    // Steps after the change are not those that the first settings lead to.
    const repeated = await auditLedger(join(out, 'ledger.jsonl'), { key, replay: inputs });
    expect(repeated.verdict).toBe('unverifiable');
    expect(repeated.reasons[0]!.text).toMatch(/^The run went on with adamw at a learning rate of 0\.05,/);
  });
});

/** A run whose epsilon is small enough for a hundred canaries, and whose learning rate remembers whatever is let through. */
const canaries = 100;
const guarded = { probability: 0.5, steps: 40, delta: 1e-5, clipNorm: 0.001, noiseMultiplier: 30 };
const fast = { learningRate: 0.03, checkpointEvery: 1000, decay: 'constant' } as const;

async function scoresWith(
  bug: Bug | null,
  { mechanism = 'user-wise', seed = 3 }: { mechanism?: Plan['mechanism']; seed?: number } = {},
): Promise<ScoresAudit> {
  planted.bug = bug;
  const table = textUsers(canaries).map(({ user, records }) => ({ user, records: records.slice(0, 2) }));
  const base = planFor(table, { ...guarded, mechanism });
  const request = { count: canaries, recordsPerCanary: 2 };
  const whole = planWithCanaries(base, request);
  const start = tinyModel();
  const bits = openBits(new Uint8Array(32).fill(seed), 'sampling');
  const set = makeCanaries(request, { plan: base, users: canaries, model: start, bits });
  const run = { plan: whole, users: table, heldOut: [], model: start, canaries: set, settings: fast };
  const { scores, cut } = (
    await train({ ...run, engine: await tinyEngine(), randomness: { key: new Uint8Array(32).fill(seed) } })
  ).canaries!;
  return auditScores(scores, {
    epsilon: epsilonOfPlan(whole).epsilon.upper,
    delta: whole.delta,
    inclusion: 'fair-coins',
    cuts: { rule: 'preregistered', cut },
  });
}

describe('scores of canaries alone', () => {
  it.each(['user-wise', 'group-privacy'] as const)(
    'refute a trainer that does not clip: %s',
    async mechanism => {
      const { verdict, reasons, claimed, epsilonLowerBound, valid } = await scoresWith('no clip', {
        mechanism,
      });
      expect(claimed.epsilon.upper).toBeLessThan(1.2);
      expect(verdict).toBe('refuted');
      expect(reasons[0]!.code).toBe('DPC-T1-bound-above-claim');
      expect(valid).toBe(true);
      expect(epsilonLowerBound).toBeGreaterThan(2);
    },
  );

  // An honest trainer is refuted by at most one set of coins in twenty: the significance. Coins and noise are fixed here.
  it.each([3, 4, 5])('do not refute the correct trainer, which they could have: coins %i', async seed => {
    const { verdict, detectionLimit, claimed } = await scoresWith(null, { seed });
    expect(verdict).toBe('consistent');
    expect(detectionLimit).toBeGreaterThan(claimed.epsilon.upper);
  });

  // What these leave in a single final model is too little for a hundred canaries: it takes the ledger.
  it.each<Bug>(['clip per batch', 'noise × 0.5', 'realised batch size as denominator'])(
    'do not show every mistake: %s',
    async bug => {
      expect((await scoresWith(bug)).verdict).toBe('consistent');
    },
  );

  it('make train itself end with exit code 3, after everything is written', async () => {
    const rows = Array.from({ length: canaries }, (_, user) => ({
      user: `person-${user}`,
      record_id: `${user}`,
      text: `somebody says ${'rain '.repeat(1 + (user % 4))}`,
    }));
    const table = writeJsonl(join(folder, 'table.jsonl'), rows);
    const tiny = ['--layers', '1', '--width', '16', '--heads', '2', '--context', '32'];
    const shape = [
      '--batch-size',
      '50',
      '--steps',
      '40',
      '--k',
      '1',
      '--held-out',
      '0',
      '--clip-norm',
      '0.001',
    ];
    const noise = ['--noise-multiplier', '30', '--delta', '1e-5'];
    await runCli('plan', table, ...shape, ...noise, '--out', join(folder, 'plans'));
    planted.bug = 'no clip';
    const out = join(folder, 'refuted');
    const plans = join(folder, 'plans', 'user-wise-k1.json');
    const run = ['train', plans, table, ...tiny, '--out', out, '--learning-rate', '0.03'];
    const { code, stdout, stderr } = await runCli(...run, '--canaries', '100', '--json');
    const answer: { canaries: { verdict: string; epsilonLowerBound: number } } = JSON.parse(stdout);
    expect({ code, verdict: answer.canaries.verdict }).toEqual({ code: 3, verdict: 'refuted' });
    expect(stderr).toContain(`an epsilon of at least ${answer.canaries.epsilonLowerBound}`);
    expect(readFileSync(join(out, 'statement.txt'), 'utf8')).toContain('canaries');
  });
});
