import type { Claim, Reason } from '../../accounting/audit/index.ts';
import { DpError } from '../../accounting/check.ts';
import type { Plan } from '../../accounting/plan-entry.ts';
import { adjacencies } from '../../accounting/audit/claim-of-plan.ts';
import { readPrinted } from '../../accounting/audit/claim-printed.ts';
import { standsFor } from '../../accounting/audit/claim-rounding.ts';
import type { LedgerClaim } from '../../trainer/index.ts';
import { readJson } from '../files.ts';
import { readClaimFile } from './claim-file.ts';
import type { AuditedFile } from './report.ts';

/** What a ledger is held against, and where that was read. */
export interface StatedGuarantee {
  readonly claim: LedgerClaim | undefined;
  /** The whole claim, where one was published. */
  readonly published: Claim | undefined;
  readonly file: AuditedFile | undefined;
}

/** Where the claim comes from. */
export interface LedgerClaimOptions {
  readonly claim?: string;
  readonly epsilon?: number;
  readonly delta?: number;
}

function contradiction(reason: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot audit the ledger: ${reason}.`);
}

function stated(json: object): LedgerClaim {
  const { epsilon, delta }: { epsilon?: unknown; delta?: unknown } = json;
  const upper =
    typeof epsilon === 'object' && epsilon !== null && 'upper' in epsilon ? Number(epsilon.upper) : NaN;
  const isWhole = upper >= 0 && typeof delta === 'number' && delta > 0 && delta < 1;
  if (isWhole) return { epsilon: { lower: upper, upper }, delta };
  throw new DpError(
    'INVALID_DATA',
    `Cannot read the statement: its epsilon is ${upper} at delta ${JSON.stringify(delta)}. Give the statement.json of a run.`,
  );
}

/** A statement that this program wrote, or a claim file. */
function readStated(path: string): StatedGuarantee {
  const json = path.endsWith('.json') ? readJson(path, 'the claim') : undefined;
  const isStatement =
    typeof json === 'object' && json !== null && 'format' in json && json.format === 'privacy-unit/statement';
  if (isStatement) return { claim: stated(json), published: undefined, file: undefined };
  const { claim, file } = readClaimFile(path);
  const { epsilon, delta, relation } = claim.guarantee;
  if (epsilon === null) throw contradiction(`${path} states no epsilon. Give --epsilon and --delta instead`);
  const { stands } = readPrinted(epsilon, relation);
  return { claim: { epsilon: stands, delta: delta ?? undefined }, published: claim, file };
}

/** The claim that the options name; without any, the ledger is held against its plan alone. */
export function statedGuarantee({ claim, epsilon, delta }: LedgerClaimOptions): StatedGuarantee {
  if (claim !== undefined && (epsilon ?? delta) !== undefined)
    throw contradiction('--claim and --epsilon or --delta both say what was claimed. Give one of them');
  if (claim !== undefined) return readStated(claim);
  if (epsilon === undefined && delta !== undefined)
    throw contradiction(`--delta ${delta} comes without --epsilon. Give both, or neither`);
  if (epsilon === undefined) return { claim: undefined, published: undefined, file: undefined };
  return {
    claim: { epsilon: { lower: epsilon, upper: epsilon }, delta },
    published: undefined,
    file: undefined,
  };
}

/** Facts of a published claim that the plan of the ledger contradicts; epsilon is compared apart from them. */
export function contradictedFacts(claim: Claim, plan: Plan): Reason[] {
  const { mechanisms, adjacency, unit } = claim;
  const [mechanism] = mechanisms;
  const { sampler } = plan;
  const facts: Fact[] = [
    ['/adjacency', adjacency, adjacencies[plan.neighbours]],
    ['/unit/kind', unit.kind, plan.unit.protection],
    ['/unit/max_records_per_unit', unit.max_records_per_unit, plan.unit.recordsPerUser],
    ['/mechanisms/0/n_units', mechanism?.n_units, plan.population[sampler.over]],
    ['/mechanisms/0/steps', mechanism?.steps, plan.steps],
    ['/mechanisms/0/noise/multiplier', mechanism?.noise.multiplier, plan.noiseMultiplier],
    ['/mechanisms/0/clip/norm', mechanism?.clip.norm, plan.clipNorm],
    ['/mechanisms/0/sampler/rate', mechanism?.sampler.rate, sampler.samplingProbability],
  ];
  return facts
    .filter(([, said]) => (said ?? null) !== null)
    .flatMap(fact => (agrees(claim, fact) ? [] : [contradicted(fact)]));
}

type Fact = readonly [field: string, said: unknown, is: unknown];

/** Settings are published in few digits. */
function agrees(claim: Claim, [field, said, is]: Fact): boolean {
  if (typeof said !== 'number' || typeof is !== 'number') return said === is;
  const { lower, upper } = standsFor(claim, { field, value: said });
  const room = 5e-3 * Math.abs(is);
  return is >= lower - room && is <= upper + room;
}

function contradicted([field, said, is]: Fact): Reason {
  const text = `The claim states ${JSON.stringify(said)}, the plan of the ledger ${JSON.stringify(is)}.`;
  return { code: 'DPL-other-setting', level: 'warning', text, epsilon: null, field };
}
