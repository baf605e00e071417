import type { Interval } from '../../accounting/accountant.ts';
import type { AuditReport } from './report.ts';
import { intervalWords } from './words.ts';

/** What a row stands for. */
export type RowSort = 'claimed' | 'recomputed' | 'bound' | 'limit';

/** One epsilon with its name. */
export interface ReportRow {
  readonly name: string;
  readonly sort: RowSort;
  readonly epsilon: Interval;
}

function evidenceRows({ evidence }: AuditReport): ReportRow[] {
  if (evidence === null) return [];
  const { epsilonLowerBound: lower, detectionLimit, method } = evidence;
  return [
    { name: `scores, ${method}`, sort: 'bound', epsilon: { lower, upper: Infinity } },
    { name: 'detection limit', sort: 'limit', epsilon: { lower: detectionLimit, upper: detectionLimit } },
  ];
}

/** The epsilon of a row in words. */
export function rowWords({ sort, epsilon }: Pick<ReportRow, 'sort' | 'epsilon'>): string {
  return sort === 'bound' && epsilon.lower === 0 ? 'at least 0' : intervalWords(epsilon);
}

/** Everything that is compared: the claim, what was recomputed, what scores show. */
export function reportRows(report: AuditReport): ReportRow[] {
  const { epsilon } = report.claimed;
  const claimed: ReportRow[] = epsilon === null ? [] : [{ name: 'claimed', sort: 'claimed', epsilon }];
  const recomputed = Object.entries(report.recomputed).map(([name, interval]): ReportRow => ({
    name,
    sort: 'recomputed',
    epsilon: interval,
  }));
  return [...claimed, ...recomputed, ...evidenceRows(report)];
}
