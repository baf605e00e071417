import { existsSync, readFileSync } from 'node:fs';
import { DpError } from '../accounting/check.ts';
import type { Neighbours, Plan, PrivacySpent } from '../accounting/index.ts';
import {
  eventsOfCosts,
  manifestPathOf,
  readManifest,
  usesScores,
  verifyManifest,
  type Manifest,
  type SelectionStrategy,
} from '../selection/index.ts';
import { sha256 } from '../trainer/digest.ts';

/** A table that `select` wrote, with the manifest beside it. */
export interface SelectedTable {
  readonly path: string;
  readonly manifest: Manifest;
  /** SHA-256 of the manifest. */
  readonly digest: string;
}

/** The manifest beside a table; undefined where there is none. */
export async function selectedTable(path: string): Promise<SelectedTable | undefined> {
  const beside = manifestPathOf(path);
  if (!existsSync(beside)) return undefined;
  return { path, manifest: await readManifest(beside), digest: sha256(readFileSync(beside)) };
}

function mismatch(reason: string, advice: string): DpError {
  return new DpError('CHECK_FAILED', `Cannot train: ${reason}. ${advice}.`);
}

/** Counts the table anew and holds it against its manifest; the inputs of the selection may be elsewhere. */
export async function verifyTable({ path }: SelectedTable, signal: AbortSignal): Promise<void> {
  const options = { inputs: false, output: path, signal };
  const { checks } = await verifyManifest(manifestPathOf(path), options);
  const failed = checks.filter(({ holds }) => !holds).map(({ name, detail }) => `${name} (${detail})`);
  if (failed.length === 0) return;
  throw mismatch(
    `${path} is not what its manifest says: ${failed.join('; ')}`,
    'Select anew, or restore the table',
  );
}

/** What a selection spent, stated under the neighbours of a plan. */
export function spentBy(manifest: Manifest, neighbours: Neighbours): PrivacySpent[] {
  const { privacyCost } = manifest;
  return eventsOfCosts(privacyCost, neighbours).map(({ epsilon, delta }, at) => {
    const { choices, mechanism, release } = privacyCost[at]!;
    return { epsilon, delta, what: `${choices.join(', ')}, by ${mechanism} (release ${release})` };
  });
}

/** How a selection's rule differs from a plan's, as `plan` calls the options; undefined where they agree. */
export function ruleDifference(
  { rule, owners, columns }: Manifest,
  selection: Pick<Plan['selection'], 'strategy' | 'seed' | 'chunkTokens'>,
): string | undefined {
  if (owners !== null)
    return `--owners ${JSON.stringify(columns.user)}, several users a record, where the plan has one user a record`;
  const names = { strategy: '--strategy', seed: '--seed', chunkTokens: '--chunk-tokens' } as const;
  const different = (['strategy', 'seed', 'chunkTokens'] as const).find(key => rule[key] !== selection[key]);
  return different === undefined
    ? undefined
    : `${names[different]} ${JSON.stringify(rule[different])}, where the plan has ${JSON.stringify(selection[different])}`;
}

/** Strategies under which fewer of a table's selected records are those that selecting fewer at once would have kept. */
const mayNarrow: ReadonlySet<SelectionStrategy> = new Set(['random', 'longest', 'shortest']);

/** True where the plan's caps are below what the table holds, so that training has to select among selected records. */
function isAboveCaps({ result }: Manifest, { unit, selection }: Plan): boolean {
  const { tokensPerUser } = selection;
  if (result.maximumPerUser > unit.recordsPerUser) return true;
  return tokensPerUser !== null && (result.maximumTokensPerUser ?? Infinity) > tokensPerUser;
}

function checkRule({ path, manifest }: SelectedTable, plan: Plan): void {
  const difference = ruleDifference(manifest, plan.selection);
  if (difference !== undefined)
    throw mismatch(`${path} was selected with ${difference}`, 'Plan with the rule of the table');
  if (!isAboveCaps(manifest, plan) || mayNarrow.has(plan.selection.strategy)) return;
  const { strategy, tokensPerUser } = plan.selection;
  const { maximumPerUser, maximumTokensPerUser } = manifest.result;
  const held = `${maximumPerUser} records and ${maximumTokensPerUser ?? 'uncounted'} tokens`;
  const caps = `${plan.unit.recordsPerUser} records and ${tokensPerUser ?? 'any number of'} tokens`;
  throw mismatch(
    `a user of ${path} has up to ${held}, the plan allows ${caps}, and ${strategy} cannot be narrowed once it has selected`,
    'Select with the caps of the plan',
  );
}

/** Every cost of the selection must be one that the plan counts; costs that are alike need one entry each. */
function checkCosts({ path, manifest }: SelectedTable, plan: Plan): void {
  const counted = [...plan.selection.privacyCost];
  for (const { epsilon, delta, what } of spentBy(manifest, plan.neighbours)) {
    const at = counted.findIndex(cost => cost.epsilon === epsilon && cost.delta === delta);
    if (at < 0)
      throw mismatch(
        `the selection of ${path} spent epsilon ${epsilon} at delta ${delta} on ${what}, which the plan does not count`,
        'Plan again for this table',
      );
    counted.splice(at, 1);
  }
}

function checkScores(path: string, selected: SelectedTable | undefined, { selection }: Plan): void {
  if (!usesScores(selection.strategy) || (selected?.manifest.scorer ?? null) !== null) return;
  throw new DpError(
    'INVALID_DATA',
    `Cannot train by ${selection.strategy}: no manifest beside ${path} says where the scores came from. ` +
      'Select into a table of its own first, with `privacy-unit select --scorer`.',
  );
}

/**
 * Holds a table's manifest, where there is one, against the plan: the same rule, caps that training can still enforce,
 * no privacy cost that the plan leaves out, and a scorer of known origin where the plan ranks by scores.
 *
 * @throws DpError `CHECK_FAILED`; `INVALID_DATA` where scores have no origin
 */
export function checkSelected(
  path: string,
  { selected, plan, user }: { selected: SelectedTable | undefined; plan: Plan; user: string },
): void {
  checkScores(path, selected, plan);
  if (selected === undefined) return;
  const { columns } = selected.manifest;
  if (columns.user !== user)
    throw mismatch(
      `${path} was selected for the users of column ${JSON.stringify(columns.user)}, not ${JSON.stringify(user)}`,
      'Give the same --user, or select anew',
    );
  checkRule(selected, plan);
  checkCosts(selected, plan);
}
