import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Plan, SamplerPlan } from '../../../accounting/plan.ts';
import { bytesOf, canonicalJson, sha256 } from '../../../trainer/digest.ts';
import { openLedger, type HeaderEntry, type LedgerEntry, type NoisedEntry } from '../../../trainer/ledger.ts';
import { openPointSampler } from '../../../trainer/point-sampler.ts';
import { commitmentOf, deriveKey, digestAt, openPointBits } from '../../../trainer/randomness.ts';
import { EpsilonAlong } from '../../../trainer/so-far.ts';
import { StepClip } from '../../../trainer/step-clip.ts';
import { planFor, usersWith } from '../toy.ts';

export const key: Uint8Array = new Uint8Array(32).fill(9);
const samplingKey = deriveKey(key, 'sampling');

/** A plan for 200 users, 30 steps of a tenth of them. */
export function planOf(changes: Partial<Plan> = {}, sampler: Partial<SamplerPlan> = {}): Plan {
  const users = usersWith(Array.from({ length: 200 }, () => [3, 4]));
  const plan = planFor(users, { probability: 0.1, steps: 30, delta: 1e-4, ...changes });
  // oxlint-disable-next-line no-unsafe-type-assertion -- tests give the fields that the kind needs
  return { ...plan, sampler: { ...plan.sampler, ...sampler } as SamplerPlan };
}

export const commitments: Pick<HeaderEntry, 'noiseKeyCommitment'> & { samplingKeyCommitment: string } = {
  noiseKeyCommitment: commitmentOf(key),
  samplingKeyCommitment: commitmentOf(samplingKey),
};

/** The first line of a run of this plan. */
export function headerOf(plan: Plan): HeaderEntry {
  return {
    kind: 'header',
    format: 'privacy-unit/ledger',
    version: 3,
    planHash: sha256(canonicalJson(plan)),
    plan,
    tableDigest: 't',
    modelDigest: 'm',
    codeVersion: '0.1.0',
    ...commitments,
    ...('stepsPerEpoch' in plan.sampler ? { stepsPerEpoch: plan.sampler.stepsPerEpoch } : {}),
  };
}

/** Lines of steps as a run writes them, with draws of its own sampler and made-up sums. */
export function stepLines(
  plan: Plan,
  options: { steps?: number; first?: number; attempt?: number; sampler?: SamplerPlan } = {},
): NoisedEntry[] {
  const { steps = plan.steps, first = 0, attempt = 0, sampler = plan.sampler } = options;
  const population = plan.population[sampler.over];
  const draws = openPointSampler(sampler, { population, bits: openPointBits(samplingKey) });
  const along = new EpsilonAlong(plan);
  const clip = new StepClip(plan);
  return Array.from({ length: steps - first }, (_, at) => {
    const point = { step: first + at, attempt };
    const drawn = draws.draw(point);
    const { state } = clip;
    clip.move(0.3 + (point.step % 5) / 10);
    return {
      kind: 'noised',
      ...point,
      drawSize: drawn.length,
      participationDigest: digestAt(point, { key: samplingKey, bytes: bytesOf(drawn) }),
      clippedSumDigest: sha256(`${point.step}:${attempt}`),
      noiseMultiplier: plan.noiseMultiplier,
      ...state,
      soFar: along.soFar(point.step + 1),
    };
  });
}

/** A whole run of the plan, finished. */
export function entriesOf(plan: Plan, lines: readonly LedgerEntry[] = stepLines(plan)): LedgerEntry[] {
  const stepsCounted = lines.filter(line => line.kind === 'noised').length;
  return [headerOf(plan), ...lines, { kind: 'finished', stepsCounted, modelDigest: 'd' }];
}

/** A ledger with these lines, chained as they should be. */
export function write(entries: readonly LedgerEntry[]): string {
  const path = join(mkdtempSync(join(tmpdir(), 'audited-')), 'ledger.jsonl');
  const ledger = openLedger(path);
  for (const entry of entries) ledger.append(entry);
  ledger.close();
  return path;
}

/** The same file with another text. */
export function edited(path: string, change: (text: string) => string): string {
  const other = join(mkdtempSync(join(tmpdir(), 'edited-')), 'ledger.jsonl');
  writeFileSync(other, change(readFileSync(path, 'utf8')));
  return other;
}
