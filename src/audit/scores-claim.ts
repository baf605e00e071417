import type { Interval } from '../../accounting/accountant.ts';
import { type Claim, claimTradeoff, type ScoreUnit, type Tradeoff } from '../../accounting/audit/index.ts';
import { readPrinted } from '../../accounting/audit/claim-printed.ts';
import { DpError } from '../../accounting/check.ts';
import { readClaimFile } from './claim-file.ts';
import type { AuditedFile } from './report.ts';

/** The promise that scores are held against. */
export interface TestedClaim {
  readonly epsilon: number | Interval;
  readonly delta: number | undefined;
  readonly unit: ScoreUnit | undefined;
  /** The name in the claim. */
  readonly subject: string | undefined;
  readonly file: AuditedFile | undefined;
  /** The claim's own curve for rates down to the least one, where its settings give one. */
  readonly curve: (leastRate: number) => Tradeoff | undefined;
}

/** How a promise is given on the command line. */
export interface ClaimOptions {
  readonly claim?: string;
  readonly epsilon?: number;
  readonly delta?: number;
}

function missing(what: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot audit the scores: ${what}.`);
}

const records: ReadonlySet<string> = new Set(['example', 'record', 'sequence', 'document']);

function unitOf({ unit: { kind } }: Claim): ScoreUnit | undefined {
  if (kind === null) return undefined;
  return records.has(kind) ? 'record' : 'user';
}

function fromFile(path: string): TestedClaim {
  const { claim, file } = readClaimFile(path);
  const { epsilon, delta, relation } = claim.guarantee;
  if (epsilon === null)
    throw missing(
      'the claim states no epsilon, it is null. State guarantee.epsilon, or give --epsilon instead',
    );
  return {
    epsilon: readPrinted(epsilon, relation).stands,
    delta: delta ?? undefined,
    unit: unitOf(claim),
    subject: claim.subject.name ?? undefined,
    file,
    curve: leastRate => claimTradeoff(claim, { leastRate }),
  };
}

/** From a claim file or from two numbers, never from both. */
export function testedClaim({ claim, epsilon, delta }: ClaimOptions): TestedClaim {
  if (claim !== undefined && (epsilon !== undefined || delta !== undefined))
    throw missing('--claim is given beside --epsilon or --delta, 2 claims. Give one of them');
  if (claim !== undefined) return fromFile(claim);
  if (epsilon === undefined)
    throw missing('0 claims are given. Give --claim FILE, or --epsilon 3 --delta 1e-6');
  return {
    epsilon,
    delta,
    unit: undefined,
    subject: undefined,
    file: undefined,
    curve: () => undefined,
  };
}
