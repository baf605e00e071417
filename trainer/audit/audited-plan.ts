import { DpError } from '../../accounting/check.ts';
import { parsePlan, type Plan } from '../../accounting/plan-entry.ts';
import { canonicalJson, sha256 } from '../digest.ts';
import type { HeaderEntry } from '../ledger.ts';
import { finding, type Finding } from './finding.ts';

/** The plan that a ledger is held against; undefined where none is at hand or it is not a plan. */
export interface AuditedPlan {
  readonly plan: Plan | undefined;
  readonly findings: readonly Finding[];
}

/**
 * The plan of a run: that of the header, whose hash has to be the header's own, or one that was given, which has to have the
 * same hash. It is read and checked anew.
 */
export function auditedPlan(header: HeaderEntry, given: unknown): AuditedPlan {
  const own = header.plan;
  const findings: Finding[] = [];
  if (own !== undefined && !isOf(own, header))
    findings.push(otherHash('plan-hash', 'the plan in its header', own, header));
  if (given !== undefined && !isOf(given, header))
    findings.push(otherHash('other-plan', 'the plan that was given', given, header));
  const chosen = own ?? given;
  if (chosen === undefined) return { plan: undefined, findings: [missingPlan] };
  try {
    const plan = parsePlan(chosen);
    return { plan, findings: [...findings, ...checkEpochs(header, plan)] };
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return {
      plan: undefined,
      findings: [...findings, finding('bad-plan', error.message, { detail: 'refuted' })],
    };
  }
}

/** A plan reads the same with and without the fields that earlier releases left out. */
function isOf(plan: unknown, { planHash }: HeaderEntry): boolean {
  if (sha256(canonicalJson(plan)) === planHash) return true;
  try {
    return sha256(canonicalJson(parsePlan(plan))) === planHash;
  } catch {
    return false;
  }
}

function otherHash(code: string, what: string, plan: unknown, header: HeaderEntry): Finding {
  const found = sha256(canonicalJson(plan)).slice(0, 12);
  const text = `The ledger is bound to a plan of hash ${header.planHash.slice(0, 12)}; ${what} has ${found}.`;
  return finding(code, text, { detail: 'refuted' });
}

const missingPlan = finding(
  'no-plan',
  'The ledger holds the hash of its plan alone, so that neither its steps nor epsilon can be checked.',
  { detail: 'unverifiable', level: 'warning' },
);

function checkEpochs(header: HeaderEntry, { sampler }: Plan): Finding[] {
  const planned = 'stepsPerEpoch' in sampler ? sampler.stepsPerEpoch : undefined;
  if (header.stepsPerEpoch === planned) return [];
  const text = `The header counts epochs of ${header.stepsPerEpoch ?? 'single'} steps, the plan has ${planned ?? 'single'} ones.`;
  return [finding('epochs-differ', text, { detail: 'refuted' })];
}
