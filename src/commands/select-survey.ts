import { DpError } from '../../accounting/check.ts';
import {
  type CapEffect,
  type ContributionStatistics,
  contributionStatistics,
  defaultCaps,
  type DuplicateReport,
  type EffectsOptions,
  type Estimate,
  type PrivateCap,
  privateCap,
  type PrivateHistogram,
  type PrivateStatistics,
  privateStatistics,
  releaseContributions,
  type Survey,
  type SurveyDescription,
  type SurveyEffects,
  surveyTables,
  type UserIdVariants,
} from '../../selection/index.ts';
import type { Surroundings } from '../command.ts';
import { type Answer, number, renderInterval, renderTable } from '../output.ts';
import { renderBytes } from '../sizes.ts';
import { histogramTable, percent, renderDropped } from './select-text.ts';
import { type SelectCommandOptions } from './select-options.ts';
import { tableOptionsOf } from './select-table.ts';
import { tokenizerFor } from './select-tokenizer.ts';

const align = 'right' as const;

/** Effects of caps; tokens where they were counted. */
function capTable(caps: readonly (CapEffect & { readonly tokens?: number | null })[], all: number): string {
  const hasTokens = caps.some(({ tokens = null }) => tokens !== null);
  const titles = ['k', 'records kept', 'share', 'users cut', ...(hasTokens ? ['tokens kept', 'share'] : [])];
  return renderTable(
    titles.map(title => ({ title, align })),
    caps.map(({ recordsPerUser, records, share, usersCut, tokens }) => [
      String(recordsPerUser),
      String(records),
      percent(share),
      String(usersCut),
      ...(hasTokens ? [String(tokens), percent((tokens ?? 0) / Math.max(1, all))] : []),
    ]),
  );
}

function renderTokens(effects: SurveyEffects | null, { strategy }: SelectCommandOptions): string[] {
  if (effects === null || effects.tokenizer === null) return [];
  const total = `${effects.tokensBefore} tokens (${effects.tokenizer.name}).`;
  if (effects.caps.length > 0) return [`${total} Tokens kept are those under ${strategy ?? 'random'}.`];
  return [`${total} Tokens that ${strategy} keeps are not counted in a dry run.`];
}

function renderUserIds({ groups, ids, byMode }: UserIdVariants): string[] {
  if (ids === 0) return [];
  const modes = Object.entries(byMode)
    .filter(([, found]) => found.ids > 0)
    .map(([mode, found]) => `${mode} ${found.ids}`);
  return [
    `Warning: ${ids} user ids in ${groups} groups differ by case, white space or Unicode form alone (${modes.join(', ')}). If they are one person each, that person keeps up to k records per id: see --user-normalize.`,
  ];
}

function renderDuplicates(report: DuplicateReport | null): string[] {
  if (report === null) return [];
  const { identical, normalised, samplingRate } = report;
  const note = samplingRate < 1 ? ', estimated from a sample' : '';
  return [
    `Texts of several users: ${percent(identical.all.share)} identical, ${percent(normalised.all.share)} by their words${note}.`,
  ];
}

function renderDescription(description: SurveyDescription | null, survey: Survey): string[] {
  const dropped = renderDropped(survey);
  if (description === null) return dropped;
  return [
    ...dropped,
    ...renderDuplicates(description.duplicates),
    ...renderUserIds(description.userIds),
    `Memory for a selection by builtin: about ${renderBytes(description.memoryEstimate)} beside the program.`,
  ];
}

function renderDryRun(
  survey: Survey,
  statistics: ContributionStatistics,
  options: SelectCommandOptions,
): string {
  const { users, records, maximum, median, gini, topPercentShare } = statistics;
  const { effects, recordsIn } = survey;
  const counted =
    options.owners === undefined
      ? `${records} records of ${users} users`
      : `${recordsIn} records of ${users} owners, ${records} counting each for every owner`;
  return [
    `${counted}: median ${median}, largest ${maximum}, Gini ${gini.toFixed(2)}, top 1 % of users hold ${percent(topPercentShare)}.`,
    '',
    capTable(capsOf(effects, statistics), effects?.tokensBefore ?? 0),
    ...renderTokens(effects, options),
    '',
    histogramTable([['', statistics]]),
    '',
    ...renderDescription(survey.description, survey),
    `Nothing was written. These are raw values, not private: choosing k by looking at them is not covered by the guarantee${options.owners === undefined ? ' (see --dp-stats)' : ''}.`,
  ].join('\n');
}

/** Effects that were found by running the rule, else those that follow from the counts. */
function capsOf(effects: SurveyEffects | null, { caps }: ContributionStatistics): readonly CapEffect[] {
  return effects === null || effects.caps.length === 0 ? caps : effects.caps;
}

/** What running the rule for several caps needs; undefined where the counts say enough. */
async function effectsOf(options: SelectCommandOptions): Promise<EffectsOptions | undefined> {
  const { strategy = 'random', seed, lengthUnit, k, owners } = options;
  const tokenizer = await tokenizerFor(options);
  if (tokenizer === undefined && owners === undefined) return undefined;
  return { rule: { strategy, seed }, lengthUnit, tokenizer, caps: k };
}

/** Statistics of the input and the effect of several caps; writes nothing. */
export async function dryRun(
  tables: readonly string[],
  options: SelectCommandOptions,
  around: Surroundings,
): Promise<Answer> {
  const survey = await surveyTables({
    ...tableOptionsOf(tables, options, around),
    describes: options.compareTexts,
    effects: await effectsOf(options),
  });
  const { k: caps = defaultCaps, owners } = options;
  const statistics = contributionStatistics(survey.contributions, {
    caps: owners === undefined ? caps : [],
  });
  const { contributions: _, notPrivate, recordsIn, dropped, skipped, description, effects } = survey;
  const json = { dryRun: true, notPrivate, users: statistics.users, recordsIn, dropped, skipped, statistics };
  return {
    json: { ...json, effects, ...description },
    text: renderDryRun(survey, statistics, options),
  };
}

/** The cap that a release suggests, or why it suggests none; both are computed from the release alone. */
function suggestionOf(release: PrivateHistogram, share: number): { cap: PrivateCap | null; reason: string } {
  try {
    return { cap: privateCap(release, { share }), reason: '' };
  } catch (error) {
    if (error instanceof DpError && error.code === 'BUDGET_UNREACHABLE')
      return { cap: null, reason: error.message };
    throw error;
  }
}

function renderEstimate({ estimate, interval }: Estimate): string {
  return `${number(estimate)} in ${renderInterval(interval)}`;
}

function renderSuggestion(cap: PrivateCap | null, reason: string): string {
  if (cap === null) return reason;
  const covered = `${percent(cap.coverage.estimate)} of the users, ${renderInterval(cap.coverage.interval)} as shares`;
  return `Suggested cap: k = ${cap.recordsPerUser}, which leaves whole about ${covered}.`;
}

function renderPrivate(statistics: PrivateStatistics, suggestion: string): string {
  const { users, records, epsilon, level, caps, largest } = statistics;
  const effects = caps.map(cap => [
    String(cap.recordsPerUser),
    renderEstimate(cap.shareKept),
    renderEstimate(cap.usersCut),
  ]);
  return [
    `Users: ${renderEstimate(users)}. Records, up to ${largest} of a user: ${renderEstimate(records)}.`,
    suggestion,
    '',
    renderTable([{ title: 'k', align }, { title: 'share of records kept' }, { title: 'users cut' }], effects),
    '',
    `All intervals hold together with probability ${level}. Cost: epsilon ${epsilon}, delta 0, for adding or removing one user, once and for all of this answer.`,
    'Nothing was written. Asking again is another release and costs again.',
  ].join('\n');
}

/** Differentially private statistics and a cap, with their cost; nothing raw is printed. */
export async function privateSurvey(
  tables: readonly string[],
  options: SelectCommandOptions,
  around: Surroundings,
): Promise<Answer> {
  const asked = { ...tableOptionsOf(tables, options, around), describes: false };
  const { contributions } = await surveyTables(asked);
  const release = releaseContributions(contributions, { epsilon: options.dpStats! });
  const statistics = privateStatistics(release, { caps: options.k });
  const { cap, reason } = suggestionOf(release, options.capShare);
  const { epsilon, delta, neighbours, unit, mechanism, release: name } = release;
  const cost = { choices: ['records-per-user'], mechanism, release: name, epsilon, delta, neighbours, unit };
  const json = { dryRun: true, private: true, statistics, suggestedCap: cap, privacyCost: [cost] };
  return { json, text: renderPrivate(statistics, renderSuggestion(cap, reason)) };
}
