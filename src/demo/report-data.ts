import { statementRows } from '../../accounting/plan-entry.ts';
import type { ContributionBucket as SelectionBucket } from '../../selection/index.ts';
import type { ContributionBucket, ReportData, ReportRun } from '../report/data.ts';
import { version } from '../version.ts';
import type { DemoFindings } from './demo.ts';
import type { DemoRun } from './runs.ts';

/** Both histograms on the buckets of the wider one; after a cap nobody is in a higher bucket. */
function alignBuckets(
  before: readonly SelectionBucket[],
  after: readonly SelectionBucket[],
): ContributionBucket[] {
  return before.map(({ from, to, users }, at) => ({
    low: from,
    high: to,
    before: users,
    after: after[at]?.users ?? 0,
  }));
}

function reportRun(run: DemoRun): ReportRun {
  return {
    name: run.name,
    mechanism: run.mechanism,
    recordsPerUser: run.k,
    noiseMultiplier: run.noiseMultiplier,
    epsilon: run.epsilon,
    perplexityByRecord: run.perplexity.byRecord,
    perplexityByUser: run.perplexity.byUser,
    seconds: run.seconds,
    lossCurve: run.lossCurve,
    epsilonCurve: run.epsilonCurve,
    statement: run.statement === null ? null : statementRows(run.statement),
  };
}

/** What the page of a demo shows. */
export function reportOf(findings: DemoFindings): ReportData {
  const { contributions, runs, ...rest } = findings;
  return {
    title: 'Fine-tuning with a guarantee for every user',
    source: rest.source,
    version,
    target: rest.target,
    population: rest.population,
    recordsPerUser: rest.recordsPerUser,
    contributions: alignBuckets(contributions.before, contributions.after),
    runs: runs.map(reportRun),
    notes: rest.notes,
  };
}
