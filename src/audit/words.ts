import type { Interval } from '../../accounting/accountant.ts';
import type { Reason, VerdictDetail } from '../../accounting/audit/index.ts';
import { downward, number, renderInterval } from '../output.ts';
import type { AuditReport } from './report.ts';

/** What each finer verdict means, as the end of "The claim …". */
const claimWords: Readonly<Record<VerdictDetail, string>> = {
  refuted: 'is refuted: a proved lower bound lies above the claimed epsilon',
  refuted_for_sampler:
    'is refuted for the sampler that was used: its proved lower bound lies above the claimed epsilon',
  privacy_overstated: 'overstates the privacy: the stated settings cost more than the claimed epsilon',
  borderline:
    'is borderline: the claimed epsilon lies inside the proved interval, or inside what the rounding of the printed settings leaves open',
  unverifiable: 'cannot be verified: a fact that moves epsilon is not stated',
  conditional: 'holds only under a condition that is not shown to be met; see the findings',
  privacy_understated: 'understates the privacy: the stated settings cost less than the claimed epsilon',
  consistent: 'is consistent with what is stated',
};

const otherWords: Readonly<Record<AuditReport['kind'], Partial<Record<VerdictDetail, string>>>> = {
  claim: {},
  scores: {
    refuted: 'is refuted: the lower bound that the scores prove lies above the claimed epsilon',
    unverifiable: 'cannot be tested by these scores: nothing they could have shown refutes it',
    consistent: 'is not refuted by these scores',
  },
  ledger: {
    refuted: 'is refuted by the ledger: it proves another run than the claimed one',
    privacy_overstated: 'overstates the privacy: the steps of the ledger cost more than the claimed epsilon',
    unverifiable: 'cannot be verified from this ledger',
    privacy_understated:
      'understates the privacy: the steps of the ledger cost less than the claimed epsilon',
    consistent: 'is consistent with the ledger',
  },
};

/** What the verdict of a report means, as the end of "The claim …". */
export function verdictWords({ kind, detail }: Pick<AuditReport, 'kind' | 'detail'>): string {
  return otherWords[kind][detail] ?? claimWords[detail];
}

/** An interval for people: one number where both ends are the same, one side where the other is open. */
export function intervalWords(interval: Interval): string {
  const { lower, upper } = interval;
  if (lower === Infinity) return '∞';
  if (upper === Infinity) return lower > 0 ? `at least ${downward(lower)}` : 'unknown';
  return lower === upper ? number(lower) : renderInterval(interval);
}

/** A claimed epsilon as the end of "epsilon ...": a limit by its upper end alone. */
export function claimedWords(epsilon: Interval): string {
  return epsilon.lower === 0
    ? `of at most ${intervalWords({ ...epsilon, lower: epsilon.upper })}`
    : intervalWords(epsilon);
}

/** Whether a sentence has the number in it already, whichever way it was rounded there. */
function isSaid(text: string, { lower, upper }: Interval): boolean {
  const end = upper === Infinity ? lower : upper;
  const said = text.match(/\d+(?:\.\d+)?(?:e[+-]?\d+)?/gi) ?? [];
  return said.some(number => Math.abs(Number(number) - end) <= 1e-3 * end);
}

/** What a finding recomputed, as the end of its line. */
export function epsilonWords({ epsilon, text }: Pick<Reason, 'epsilon' | 'text'>): string {
  if (epsilon === null) return '';
  const words = intervalWords(epsilon);
  return words === 'unknown' || isSaid(text, epsilon) ? '' : ` (epsilon ${words})`;
}

const arxiv = /\b(?:arxiv[:\s]*|arXiv:)(\d{4}\.\d{4,5})/i;
const bareArxiv = /(?:^|[\s(,;])(\d{4}\.\d{4,5})(?=$|[\s),;])/;
const doi = /\b(10\.\d{4,}\/[^\s,;)]+)/;
const address = /\bhttps?:\/\/[^\s<>"')]+/;

/** Where a source can be read; undefined where it names no address, paper or document. */
export function sourceAddress(source: string | undefined): string | undefined {
  if (source === undefined) return undefined;
  const direct = address.exec(source)?.[0];
  if (direct !== undefined) return direct;
  const paper = arxiv.exec(source)?.[1] ?? bareArxiv.exec(source)?.[1];
  if (paper !== undefined) return `https://arxiv.org/abs/${paper}`;
  const document = doi.exec(source)?.[1];
  return document === undefined ? undefined : `https://doi.org/${document}`;
}
