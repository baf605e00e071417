import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { epsilonOfPlan } from '../../../accounting/plan-entry.ts';
import type { Plan } from '../../../accounting/plan.ts';
import { auditLedger, type AuditLedgerOptions } from '../../../trainer/audit/audit-ledger.ts';
import type { LedgerEntry, NoisedEntry } from '../../../trainer/ledger.ts';
import { commitments, edited, entriesOf, headerOf, key, planOf, stepLines, write } from './ledgers.ts';

const plan = planOf();
const { epsilon } = epsilonOfPlan(plan);

async function codesOf(
  entries: readonly LedgerEntry[],
  options: AuditLedgerOptions = {},
): Promise<{ verdict: string; detail: string; codes: string[] }> {
  const { verdict, detail, reasons } = await auditLedger(write(entries), options);
  return { verdict, detail, codes: reasons.filter(({ level }) => level !== 'note').map(({ code }) => code) };
}
const changedLines = (change: (line: NoisedEntry, at: number) => NoisedEntry): LedgerEntry[] =>
  entriesOf(plan, stepLines(plan).map(change));

describe('auditLedger()', () => {
  it('finds an honest run consistent, and computes its epsilon anew', async () => {
    const audit = await auditLedger(write(entriesOf(plan)));
    expect(audit).toMatchObject({
      verdict: 'consistent',
      detail: 'consistent',
      chain: { holds: true, lines: 32 },
      epsilon,
      delta: 1e-4,
      steps: { counted: 30, planned: 30 },
      reasons: [],
      questions: [],
    });
    expect(audit.participation).toMatchObject({
      holds: true,
      draws: 30,
      expectedMean: expect.closeTo(20, 9),
    });
    expect(audit.statement).toMatch(
      /^Epsilon is at most [\d.]+ and at least [\d.]+ at delta 1e-4 for one user with all of their text \(at most 2 of their records are used\), under add-or-remove, with Poisson sampling of 200 users\. All 30 planned steps are counted\.$/,
    );
    expect(audit.notChecked.join()).toContain('that noise of the stated size was added');
  });

  it.each<[string, Plan]>([
    ['truncated Poisson', planOf({}, { kind: 'truncated-poisson', batchLimit: 24 })],
    ['balls in bins', planOf({}, { kind: 'balls-in-bins', stepsPerEpoch: 10 })],
    ['shuffled', planOf({}, { kind: 'shuffled', stepsPerEpoch: 10 })],
    [
      'an adaptive clip',
      planOf({
        clipping: {
          kind: 'adaptive',
          targetQuantile: 0.5,
          learningRate: 0.2,
          countNoise: 5,
          minimum: 0.1,
          maximum: 10,
        },
      }),
    ],
    ['Group Privacy', { ...planOf({ mechanism: 'group-privacy' }), steps: 12 }],
  ])('finds honest runs of every sampler and mechanism consistent: %s', async (_, other) => {
    expect(await codesOf(entriesOf(other), { key })).toEqual({
      verdict: 'consistent',
      detail: 'consistent',
      codes: [],
    });
  });

  it('finds a run that was cut off, gone on with and departed from consistent, and counts every step', async () => {
    const lines: LedgerEntry[] = [
      ...stepLines(plan, { steps: 10 }),
      { kind: 'checkpoint', step: 10, digest: 'c' },
      ...stepLines(plan, { first: 10, steps: 14 }),
      { kind: 'resumed', step: 10, stepsCounted: 14, ...commitments },
      ...stepLines(plan, { first: 12, attempt: 1 }),
    ];
    const { verdict, steps, reasons } = await auditLedger(write(entriesOf(plan, lines)), { key });
    expect({ verdict, steps }).toEqual({ verdict: 'consistent', steps: { counted: 32, planned: 30 } });
    expect(reasons.map(({ code }) => code)).toEqual(['DPL-more-steps']);
  });

  describe('with a claim', () => {
    const claimed = async (lower: number, upper = lower) =>
      (await codesOf(entriesOf(plan), { claim: { epsilon: { lower, upper } } })).detail;

    it('tells the four answers apart', async () => {
      expect(await claimed(epsilon.upper)).toBe('consistent');
      expect(await claimed(0, epsilon.upper * 3)).toBe('consistent');
      expect(await claimed(epsilon.upper * 1.5)).toBe('privacy_understated');
      expect(await claimed(epsilon.lower * 0.99)).toBe('privacy_overstated');
      expect(await claimed((epsilon.lower + epsilon.upper) / 2)).toBe('borderline');
    });

    it('computes epsilon at the delta of the claim', async () => {
      const audit = await auditLedger(write(entriesOf(plan)), {
        claim: { epsilon: { lower: 0, upper: 99 }, delta: 1e-6 },
      });
      expect(audit.epsilon).toEqual(epsilonOfPlan({ ...plan, delta: 1e-6 }).epsilon);
    });
  });

  describe('refutes', () => {
    it.each<[string, string, LedgerEntry[]]>([
      ['half the noise', 'DPL-noise-differs', changedLines(line => ({ ...line, noiseMultiplier: 0.75 }))],
      [
        'another clip',
        'DPL-clip-differs',
        changedLines((line, at) => (at === 3 ? { ...line, clipNorm: 5 } : line)),
      ],
      ['a step left out', 'DPL-missing-steps', entriesOf(plan, stepLines(plan).toSpliced(4, 1))],
      [
        'a checkpoint ahead',
        'DPL-uncounted-steps',
        entriesOf(plan, [{ kind: 'checkpoint', step: 2, digest: 'c' }, ...stepLines(plan)]),
      ],
      [
        'a wrong count',
        'DPL-miscounted-steps',
        [...entriesOf(plan).slice(0, -1), { kind: 'finished', stepsCounted: 29, modelDigest: 'd' }],
      ],
      [
        'steps after the end',
        'DPL-after-the-end',
        [...entriesOf(plan), stepLines(plan, { steps: 31 }).at(-1)!],
      ],
      [
        'noise used again after a resume',
        'DPL-reused-noise',
        entriesOf(plan, [
          ...stepLines(plan, { steps: 10 }),
          { kind: 'resumed', step: 0, stepsCounted: 10, ...commitments },
          ...stepLines(plan).map(line => ({ ...line, clippedSumDigest: `other ${line.step}` })),
        ]),
      ],
      [
        'a plan that is not the one of the hash',
        'DPL-plan-hash',
        entriesOf(plan).with(0, { ...headerOf(plan), plan: { ...plan, noiseMultiplier: 9 } }),
      ],
      ['a plan that is none', 'DPL-bad-plan', entriesOf(plan).with(0, headerOf({ ...plan, delta: 2 }))],
    ])('%s', async (_, code, entries) => {
      const { verdict, codes } = await codesOf(entries);
      expect(verdict).toBe('refuted');
      expect(codes).toContain(code);
    });

    it('shuffled batches under a Poisson plan, and says what they cost at least', async () => {
      const sampler = planOf({}, { kind: 'shuffled', stepsPerEpoch: 10 }).sampler;
      const audit = await auditLedger(write(entriesOf(plan, stepLines(plan, { sampler }))));
      expect(audit).toMatchObject({ verdict: 'refuted', detail: 'refuted_for_sampler' });
      const [reason] = audit.reasons;
      expect(reason!.text).toMatch(
        /every batch has the same size .*false-alarm rate 0.000001.*Were the batches shuffled/,
      );
      expect(reason!.epsilon!.lower).toBeGreaterThan(epsilon.upper);
    });

    it('the same batches in every epoch, by their digests', async () => {
      const lines = stepLines(plan);
      const repeats = lines.map((line, at) => ({
        ...line,
        participationDigest: lines[at % 10]!.participationDigest,
      }));
      expect(await codesOf(entriesOf(plan, repeats))).toEqual({
        verdict: 'refuted',
        detail: 'refuted_for_sampler',
        codes: ['DPL-repeated-batches'],
      });
    });

    it('another plan that is said to be the one of the run', async () => {
      const { codes } = await codesOf(entriesOf(plan), { plan: { ...plan, noiseMultiplier: 9 } });
      expect(codes).toEqual(['DPL-other-plan']);
    });

    it('draws that are not those of the revealed key', async () => {
      const forged = changedLines((line, at) =>
        at === 7 ? { ...line, participationDigest: 'forged' } : line,
      );
      expect((await codesOf(forged)).codes).toEqual([]);
      expect(await codesOf(forged, { key })).toEqual({
        verdict: 'refuted',
        detail: 'refuted',
        codes: ['DPL-other-draws'],
      });
      const header = { ...headerOf(plan), samplingKeyCommitment: 'another' };
      expect((await codesOf(entriesOf(plan).with(0, header), { key })).codes).toEqual([
        'DPL-other-sampling-key',
      ]);
    });
  });

  it('refutes an adaptive clip that does not follow from what was released', async () => {
    const changes = { targetQuantile: 0.5, learningRate: 0.2, countNoise: 5, minimum: 0.1, maximum: 10 };
    const adaptive = planOf({ clipping: { kind: 'adaptive', ...changes } });
    const lines = stepLines(adaptive);
    const other = { ...lines[9]!, clipNorm: lines[9]!.clipNorm * 1.001 };
    expect((await codesOf(entriesOf(adaptive, lines.with(9, other)))).codes).toEqual(['DPL-clip-differs']);
    const untold = { ...lines[9]!, previousFraction: undefined };
    expect((await codesOf(entriesOf(adaptive, lines.with(9, untold)))).codes).toEqual(['DPL-clip-differs']);
  });

  it('says that a line overstates the privacy where it states too small an epsilon', async () => {
    const small = changedLines(line => ({ ...line, soFar: { steps: 30, epsilonUpper: 0.1 } }));
    expect(await codesOf(small)).toEqual({
      verdict: 'privacy_overstated',
      detail: 'privacy_overstated',
      codes: ['DPL-stated-too-small'],
    });
    const large = changedLines(line => ({ ...line, soFar: { steps: 30, epsilonUpper: 99 } }));
    expect(await codesOf(large)).toMatchObject({ verdict: 'consistent', codes: ['DPL-epsilon-differs'] });
  });

  it('bounds epsilon from both sides where lines state other noise', async () => {
    const { epsilon: both } = await auditLedger(
      write(changedLines(line => ({ ...line, noiseMultiplier: 0.75 }))),
    );
    expect(both.lower).toEqual(epsilon.lower);
    expect(both.upper).toEqual(epsilonOfPlan({ ...plan, noiseMultiplier: 0.75 }).epsilon.upper);
  });

  describe('concludes nothing', () => {
    it('from a broken chain, and says where it breaks', async () => {
      const path = edited(write(entriesOf(plan)), text => text.replace('"step":5,', '"step":6,'));
      const audit = await auditLedger(path);
      expect(audit).toMatchObject({
        verdict: 'unverifiable',
        chain: { holds: false, broken: { line: 7, fault: 'changed' } },
      });
      expect(audit.reasons[0]).toMatchObject({ code: 'DPL-chain-changed', level: 'error' });
      const headless = edited(path, text => text.slice(1));
      expect(await auditLedger(headless)).toMatchObject({
        verdict: 'unverifiable',
        epsilon: { lower: 0, upper: Infinity },
      });
    });

    it('from a run that is not over', async () => {
      expect(await codesOf(entriesOf(plan).slice(0, -1))).toMatchObject({
        verdict: 'unverifiable',
        codes: ['DPL-unfinished'],
      });
    });

    it('from a ledger without its plan, unless it is given', async () => {
      const { plan: _, ...bare } = headerOf(plan);
      const entries = entriesOf(plan).with(0, bare);
      expect(await codesOf(entries)).toMatchObject({ verdict: 'unverifiable', codes: ['DPL-no-plan'] });
      expect(await codesOf(entries, { plan })).toMatchObject({ verdict: 'consistent', codes: [] });
      expect((await auditLedger(write(entries))).questions).toHaveLength(1);
    });

    it('from a key that the ledger does not commit to', async () => {
      expect(await codesOf(entriesOf(plan), { key: new Uint8Array(32) })).toMatchObject({
        verdict: 'unverifiable',
        codes: ['DPL-other-key'],
      });
    });

    it('from a manifest that the ledger does not name', async () => {
      const manifest = `${write(entriesOf(plan))}.manifest.json`;
      writeFileSync(manifest, '{}');
      expect((await codesOf(entriesOf(plan), { manifest })).codes).toEqual(['DPL-other-manifest']);
    });
  });

  it('opens the commitments with the key and draws every step again', async () => {
    const audit = await auditLedger(write(entriesOf(plan)), { key });
    expect(audit).toMatchObject({ verdict: 'consistent', replay: { drawsConfirmed: 30, sumsConfirmed: 0 } });
    expect(audit.checked).toContain('who was drawn in 30 steps, by the revealed key');
  });
});
