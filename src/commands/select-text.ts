import type {
  ContributionBucket,
  ContributionStatistics,
  CurateResult,
  DuplicateReport,
} from '../../selection/index.ts';
import { number, renderTable } from '../output.ts';

const align = 'right' as const;

/** `12.3 %`. */
export function percent(share: number): string {
  return `${number(100 * share, 3)} %`;
}

function bucketLabel({ from, to }: ContributionBucket): string {
  return from === to ? String(from) : `${from} to ${to}`;
}

/** Log2 buckets of one or more tables side by side, each under its name. */
export function histogramTable(tables: readonly (readonly [string, ContributionStatistics])[]): string {
  const longest = tables.map(([, { histogram }]) => histogram).sort((a, b) => b.length - a.length)[0]!;
  const titles = tables.flatMap(([name]) => [`users ${name}`.trim(), `records ${name}`.trim()]);
  const rows = longest.map((bucket, at) => [
    bucketLabel(bucket),
    ...tables.flatMap(([, { histogram }]) => [
      String(histogram[at]?.users ?? 0),
      String(histogram[at]?.records ?? 0),
    ]),
  ]);
  return renderTable([{ title: 'records a user', align }, ...titles.map(title => ({ title, align }))], rows);
}

/** What was left out, by reason; no line where nothing was. */
export function renderDropped(counts: {
  readonly dropped: { readonly nullUsers: number; readonly duplicates: number };
  readonly skipped: Readonly<Record<string, number>>;
}): string[] {
  const { dropped, skipped } = counts;
  const reasons = [
    ['no user', dropped.nullUsers] as const,
    ['repeated id', dropped.duplicates] as const,
    ...Object.entries(skipped),
  ].filter(([, count]) => count > 0);
  if (reasons.length === 0) return [];
  return [`Left out: ${reasons.map(([reason, count]) => `${count} (${reason})`).join(', ')}.`];
}

function comparison({ statistics, ...counts }: CurateResult): string {
  const { before, after, tokensBefore, tokensAfter, tokenizer } = statistics;
  const row = (name: string, value: (statistics: ContributionStatistics) => string): string[] => [
    name,
    value(before),
    value(after),
  ];
  const counted = (tokens: number | null): string => (tokens === null ? 'not counted' : String(tokens));
  const tokens =
    tokenizer === null ? [] : [[`tokens (${tokenizer.name})`, counted(tokensBefore), counted(tokensAfter)]];
  const records = ['records', String(before.records), String(after.records)];
  const owned = [
    ['records', String(counts.recordsIn), String(counts.recordsKept)],
    ['records, for each owner', String(before.records), String(after.records)],
  ];
  return renderTable(
    [{ title: '' }, { title: 'before', align }, { title: 'after', align }],
    [
      row('users', ({ users }) => String(users)),
      ...(counts.owners === null ? [records] : owned),
      ...tokens,
      row('most of one user', ({ maximum }) => String(maximum)),
      row('median', ({ median }) => String(median)),
      row('Gini', ({ gini }) => gini.toFixed(3)),
      row('held by the top 1 %', ({ topPercentShare }) => percent(topPercentShare)),
    ],
  );
}

/** Shares of kept records above which copies under other users are worth a warning. */
const worthWarning = 0.01;

function copyWarning({ identical, normalised }: DuplicateReport): string[] {
  const share = Math.max(identical.all.share, normalised.all.share);
  if (share <= worthWarning) return [];
  return [
    `${percent(identical.all.share)} of the kept records are identical to one of another user, ${percent(normalised.all.share)} by their words; the guarantee of one user does not cover copies of their text under others.`,
  ];
}

/** What whoever selected should know. */
export function warningsOf({ statistics }: CurateResult): string[] {
  const { similarUsers, duplicates } = statistics;
  const warnings = duplicates === null ? [] : copyWarning(duplicates);
  if (similarUsers > 0) {
    warnings.push(
      `${similarUsers} user ids differ from another by case, white space or Unicode form alone; if they are one person each, that person keeps up to k records per id (see --user-normalize).`,
    );
  }
  return warnings;
}

function renderCost({ privacyCost }: CurateResult): string[] {
  return privacyCost.map(
    ({ epsilon, delta, mechanism }) =>
      `The cap was chosen privately (${mechanism}): epsilon ${epsilon}, delta ${delta}, to be added to what training spends.`,
  );
}

function renderDuplicates(duplicates: DuplicateReport | null): string[] {
  if (duplicates === null) return [];
  const { identical, normalised, samplingRate } = duplicates;
  const note = samplingRate < 1 ? ', estimated from a sample' : '';
  return [
    `Texts of several users: ${percent(identical.all.share)} identical, ${percent(normalised.all.share)} by their words${note}.`,
  ];
}

function renderOwners({ owners }: CurateResult): string[] {
  if (owners === null) return [];
  const graph = owners.public.includes('owner-graph') ? ['who owns which record'] : [];
  const order = owners.public.includes('owner-order') ? ['what the rule goes by'] : [];
  const taken = [...graph, ...order].join(', and ');
  const note = taken === '' ? '' : ` The guarantee takes as public: ${taken}.`;
  return [`Every owner of a record counts.${note}`];
}

/** A selection for people. */
export function renderResult(result: CurateResult): string {
  const { users, recordsIn, recordsKept, maxPerUser, digest, out, manifest, statistics } = result;
  const table = out === '-' ? 'standard output' : out;
  const written = manifest === '' ? table : `${table} and ${manifest}`;
  return [
    `${recordsKept} of ${recordsIn} records of ${users} users kept, at most ${maxPerUser} a user (counted in the output).`,
    '',
    comparison(result),
    '',
    histogramTable([
      ['before', statistics.before],
      ['after', statistics.after],
    ]),
    '',
    ...renderDropped(result),
    ...renderDuplicates(statistics.duplicates),
    ...warningsOf(result).map(warning => `Warning: ${warning}`),
    ...renderOwners(result),
    ...renderCost(result),
    `Digest of the kept ids: ${digest}`,
    `Wrote ${written}`,
    'All counts are raw values of private data, not private: they stay inside the trust boundary.',
  ].join('\n');
}
