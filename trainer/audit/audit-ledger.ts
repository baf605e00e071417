import {
  strongestVerdict,
  verdictFor,
  type Reason,
  type Verdict,
  type VerdictDetail,
} from '../../accounting/audit/verdict.ts';
import { testParticipation, type ParticipationAnswer } from '../../accounting/audit/participation.ts';
import type { Interval } from '../../accounting/accountant.ts';
import type { Plan } from '../../accounting/plan.ts';
import type { HeaderEntry } from '../ledger.ts';
import { readChain, type ChainState } from './chain.ts';
import type { OrderCheck } from './course.ts';
import { finding, type Finding } from './finding.ts';
import { LedgerReading } from './ledger-reading.ts';
import { coverageOf } from './coverage.ts';
import { checkManifest } from './manifest.ts';
import { replay, type ReplayAnswer, type ReplayInputs } from './replay/replay.ts';
import {
  compareClaim,
  lowerBoundIfShuffled,
  spentEpsilon,
  type LedgerClaim,
  type SpentEpsilon,
} from './spent-epsilon.ts';

/** What a ledger is held against beside itself; everything may be left out. */
export interface AuditLedgerOptions {
  /** What was said of the run. */
  readonly claim?: LedgerClaim | undefined;
  /** Parsed JSON of the plan, for ledgers that do not hold it, or to see that it is the one. */
  readonly plan?: unknown;
  /** The run's secret key, once it is revealed: opens the commitments and repeats the draws. */
  readonly key?: Uint8Array | undefined;
  /** Model and table for the plan of the ledger, to train again with that key. */
  readonly replay?: ((plan: Plan) => Promise<ReplayInputs>) | undefined;
  /** Path of the manifest of the table's selection. */
  readonly manifest?: string | undefined;
  /** Chance at most that the sizes of honest draws are refuted; default 1e-6. */
  readonly significance?: number | undefined;
}

/** What an audit of a ledger found. */
export interface LedgerAudit {
  readonly verdict: Verdict;
  readonly detail: VerdictDetail;
  readonly chain: ChainState;
  /** ε of the steps counted; from 0 to Infinity where nothing can be computed. */
  readonly epsilon: Interval;
  readonly delta: number | null;
  /** What the ledger was held against. */
  readonly plan: Plan | null;
  readonly steps: { readonly counted: number; readonly planned: number | null };
  readonly reasons: readonly Reason[];
  readonly recomputed: Readonly<Record<string, Interval>>;
  /** The guarantee as it should read; what is missing where it can't be stated. */
  readonly statement: string;
  readonly participation: ParticipationAnswer | null;
  readonly replay: Omit<ReplayAnswer, 'findings'> | null;
  /** What was looked at, and what an audit of this ledger could not look at. */
  readonly checked: readonly string[];
  readonly notChecked: readonly string[];
  readonly questions: readonly string[];
}

/** Everything known before the findings are weighed. */
interface Gathered {
  readonly chain: ChainState;
  readonly counted: number;
  readonly plan: Plan | undefined;
  readonly findings: readonly Finding[];
  /** What needs the plan. */
  readonly against: AgainstPlan | undefined;
}

/** What holding a ledger against its plan gave. */
interface AgainstPlan {
  readonly spent: SpentEpsilon;
  readonly participation: ParticipationAnswer;
  readonly replayed: ReplayAnswer | null;
  readonly findings: readonly Finding[];
}

const defaultSignificance = 1e-6;

/**
 * Reads a ledger and holds it against itself, its plan, and what is said of it: the chain line by line, the order and number of
 * steps, the settings, the sizes of draws under the plan's sampler, and ε computed anew from the plan and the steps counted.
 * With the secret key of a run that kept it, commitments are opened, draws are made again, and the noise that each step was seen to add is
 * held against that of the key; with table and model as well the run is repeated, or steps of it picked at random, noise and all.
 *
 * Verdicts: `refuted` where the ledger proves that the run was not its plan; `privacy_overstated` where the steps cost
 * more than the claim; `unverifiable` where lines or the plan are missing, or the run is not over. A chain that breaks refutes nothing by
 * itself, and leaves nothing to conclude: `unverifiable`, with `chain.holds` false.
 *
 * A ledger proves order and integrity, not honesty: whoever writes one from the start can write what they like, and an end that was
 * cut off at a line shows only where its head was signed.
 *
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where the file is no ledger; `INVALID_ARGUMENT`; what training throws
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * const path = `${mkdtempSync(`${tmpdir()}/example-`)}/ledger.jsonl`;
 * writeFileSync(path, '{"kind":"header","hash":"0"}\n');
 * const { verdict, chain } = await auditLedger(path);
 * verdict; // 'unverifiable'
 * chain.broken?.text; // 'Line 1 is not what its hash was taken of: a byte of it was changed.'
 * ```
 */
export async function auditLedger(path: string, options: AuditLedgerOptions = {}): Promise<LedgerAudit> {
  const reading = new LedgerReading(options);
  const chain = readChain(path, (entry, line) => reading.add(entry, line));
  const { header } = reading;
  if (header === undefined) return withoutHeader(chain);
  return weigh(await gather(reading, { chain, header, options }), options);
}

async function gather(
  reading: LedgerReading,
  known: { chain: ChainState; header: HeaderEntry; options: AuditLedgerOptions },
): Promise<Gathered> {
  const { chain, header, options } = known;
  const { order, points } = reading;
  const { plan, findings } = reading.audited;
  const { counted } = order;
  const about = [...chainFindings(chain), ...findings, ...order.findings(), ...points.findings()];
  about.push(
    ...endFindings(order, { plan, isWhole: chain.holds }),
    ...(await checkManifest(header, { plan, path: options.manifest })),
  );
  const against = plan === undefined ? undefined : await holdAgainst(plan, { reading, options });
  return { chain, counted, plan, against, findings: [...about, ...(against?.findings ?? [])] };
}

async function holdAgainst(
  plan: Plan,
  { reading, options }: { reading: LedgerReading; options: AuditLedgerOptions },
): Promise<AgainstPlan> {
  const { significance = defaultSignificance, claim, key, replay: inputsFor } = options;
  const { entries, order, against } = reading;
  const { settings, draws, repeats, along } = against!;
  const spent = spentEpsilon(plan, { steps: order.counted, noise: settings.noise, delta: claim?.delta });
  const { sampler, population } = plan;
  const law = { sampler, units: population[sampler.over], significance };
  const participation = testParticipation(draws.runs, law);
  const replayed = key === undefined ? null : await replay(entries, { plan, key, inputsFor });
  const findings = [
    ...settings.findings(),
    ...repeats.findings({ plan, significance }),
    ...along.findings(plan),
    ...sizeFindings(participation, { plan, steps: order.counted }),
    ...(claim === undefined ? [] : [compareClaim(claim, spent)]),
    ...(replayed?.findings ?? []),
  ];
  return { spent, participation, replayed, findings };
}

function chainFindings({ broken }: ChainState): Finding[] {
  if (broken === null) return [];
  const text = `${broken.text} What follows is not proved, and was left out.`;
  return [finding(`chain-${broken.fault}`, text, { detail: 'unverifiable' })];
}

function endFindings(
  { isOver, counted }: OrderCheck,
  { plan, isWhole }: { plan: Plan | undefined; isWhole: boolean },
): Finding[] {
  const planned = plan?.steps ?? counted;
  const compared = `${counted} steps were counted where ${planned} were planned`;
  const warning = { level: 'warning' } as const;
  const open = 'No line says that the run is over: more steps may follow, or the end was cut off.';
  return [
    ...(isOver || !isWhole ? [] : [finding('unfinished', open, { ...warning, detail: 'unverifiable' })]),
    ...(counted > planned
      ? [finding('more-steps', `${compared}: epsilon is for all of them.`, warning)]
      : []),
    ...(isOver && counted < planned
      ? [finding('fewer-steps', `${compared}, and the run says that it is over.`, warning)]
      : []),
  ];
}

const testTexts: Readonly<Record<ParticipationAnswer['test'], string>> = {
  certain: 'the sampler cannot draw some of these sizes at all',
  constant: 'every batch has the same size',
  narrow: 'they are closer together than chance brings them',
  wide: 'they are further apart than chance brings them',
  mean: 'their mean is another',
  largest: 'the largest is too large',
  smallest: 'the smallest is too small',
  none: '',
};

function sizeFindings(
  answer: ParticipationAnswer,
  { plan, steps }: { plan: Plan; steps: number },
): Finding[] {
  if (answer.holds) return [];
  const { test, pValue, significance, draws } = answer;
  const isEven = test === 'constant' || test === 'narrow';
  const shuffled = isEven ? lowerBoundIfShuffled(plan, { steps }) : null;
  const atLeast =
    shuffled === null ? '' : ` Were the batches shuffled, epsilon would be at least ${shuffled.lower}.`;
  const text =
    `The sizes of ${draws} draws are not those of ${plan.sampler.kind} sampling: ${testTexts[test]} ` +
    `(p at most ${pValue.toExponential(1)}; false-alarm rate ${significance}).${atLeast}`;
  return [finding('sizes-refute-sampler', text, { detail: 'refuted_for_sampler', epsilon: shuffled })];
}

const byLevel = { error: 0, warning: 1, note: 2 } as const;

function weigh(gathered: Gathered, options: AuditLedgerOptions): LedgerAudit {
  const { chain, counted, plan, against, findings } = gathered;
  const detail = strongestVerdict(findings.map(({ detail }) => detail));
  const sorted = findings.toSorted((first, second) => byLevel[first.level] - byLevel[second.level]);
  return {
    verdict: verdictFor(detail),
    detail,
    chain,
    epsilon: against?.spent.epsilon ?? { lower: 0, upper: Infinity },
    delta: against?.spent.delta ?? null,
    plan: plan ?? null,
    steps: { counted, planned: plan?.steps ?? null },
    reasons: sorted.map(withoutDetail),
    recomputed: against?.spent.recomputed ?? {},
    statement: against?.spent.statement ?? 'Nothing can be stated without the plan.',
    participation: against?.participation ?? null,
    replay: withoutFindings(against?.replayed ?? null),
    ...coverageOf({ counted, hasPlan: plan !== undefined, replayed: against?.replayed ?? null }, options),
  };
}

function withoutFindings(replayed: ReplayAnswer | null): LedgerAudit['replay'] {
  if (replayed === null) return null;
  const { findings: _findings, ...counts } = replayed;
  return counts;
}

function withoutDetail(found: Finding): Reason {
  const { detail: _detail, ...reason } = found;
  return reason;
}

function withoutHeader(chain: ChainState): LedgerAudit {
  const detail = 'unverifiable';
  return {
    verdict: verdictFor(detail),
    detail,
    chain,
    epsilon: { lower: 0, upper: Infinity },
    delta: null,
    plan: null,
    steps: { counted: 0, planned: null },
    reasons: chainFindings(chain).map(withoutDetail),
    recomputed: {},
    statement: 'Nothing can be stated: the header of the ledger is not intact.',
    participation: null,
    replay: null,
    checked: ['the hash chain'],
    notChecked: ['anything else'],
    questions: ['Is there an unchanged copy of the ledger?'],
  };
}
