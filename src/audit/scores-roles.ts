import { DpError } from '../../accounting/check.ts';
import { badScores } from './scores-text.ts';
import { nearest } from './suggest.ts';

const required = ['canary', 'included', 'score'] as const;

/** What a column of a file of scores is for. */
export type Role = (typeof required)[number] | 'unit' | 'repeats' | 'run';

/** Every name that a column may have. */
const roleOf: Readonly<Record<string, Role>> = {
  canary: 'canary',
  canary_id: 'canary',
  included: 'included',
  score: 'score',
  unit: 'unit',
  unit_id: 'unit',
  repeats: 'repeats',
  run: 'run',
  run_id: 'run',
};

/** Names that other tools give to such columns. */
const otherNames: Readonly<Record<string, string>> = {
  id: 'canary',
  name: 'canary',
  example: 'canary',
  in: 'included',
  member: 'included',
  is_member: 'included',
  membership: 'included',
  label: 'included',
  value: 'score',
  statistic: 'score',
  user: 'unit_id',
  user_id: 'unit_id',
  copies: 'repeats',
  count: 'repeats',
  seed: 'run_id',
  trial: 'run_id',
};

function isLoss(name: string): boolean {
  return /loss|perplexity|nll/i.test(name);
}

function meantBy(name: string): string | undefined {
  const plain = name.toLowerCase();
  return Object.hasOwn(otherNames, plain) ? otherNames[plain] : nearest(name, Object.keys(roleOf));
}

function unknownColumn(name: string): DpError {
  const known = Object.keys(roleOf);
  const what = `there is an unknown column ${JSON.stringify(name.slice(0, 40))}`;
  if (isLoss(name))
    return badScores(
      what,
      'Name it score, with its sign turned: higher must speak for having been trained on',
    );
  const meant = meantBy(name);
  return badScores(what, meant === undefined ? `Use ${known.join(', ')}` : `Did you mean ${meant}`);
}

/** What may have gone wrong where not one column has a name that is known; such a line may be data, and is not quoted. */
function noHeader(columns: readonly string[]): DpError {
  const [only = ''] = columns;
  const mark = [';', '\t', '|', ' '].find(each => only.split(each).some(part => Object.hasOwn(roleOf, part)));
  if (columns.length === 1 && mark !== undefined)
    return badScores(
      `its cells are separated by ${JSON.stringify(mark)}`,
      'Separate them by commas, or by tabs in a file .tsv',
    );
  return badScores(
    `none of its ${columns.length} columns has a name of a column of scores`,
    'Name them in the first line: canary,included,score',
  );
}

function missing(role: Role): DpError {
  const what = `Cannot read the scores: there is no column ${role}`;
  return new DpError('MISSING_COLUMN', `${what}. Give canary, included and score.`);
}

/**
 * What each of some columns is for.
 *
 * @throws DpError `MISSING_COLUMN`; `INVALID_DATA` where a column is unknown or two are for the same
 */
export function roles(columns: readonly string[]): readonly Role[] {
  const known = columns.map(name => (Object.hasOwn(roleOf, name) ? roleOf[name] : undefined));
  const stray = known.indexOf(undefined);
  const isNamed = columns.some(
    name => Object.hasOwn(roleOf, name) || meantBy(name) !== undefined || isLoss(name),
  );
  if (!isNamed) throw noHeader(columns);
  if (stray >= 0) throw unknownColumn(columns[stray]!);
  const found = known.filter(role => role !== undefined);
  const twice = found.find((role, index) => found.indexOf(role) < index);
  if (twice !== undefined) throw badScores(`two columns hold the ${twice}`, 'Leave one out');
  const lacking = required.find(role => !found.includes(role));
  if (lacking !== undefined) throw missing(lacking);
  return found;
}
