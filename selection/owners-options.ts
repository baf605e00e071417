import { DpError } from '../accounting/check.ts';
import type { OwnerForm } from './owners-column.ts';
import { type CapRule, isMergeable, isWellFormed } from './rule.ts';
import type { SelectionChoice, ValueChoice } from './safety.ts';

function refused(reason: string, advice: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot select: ${reason}. ${advice}.`);
}

/** Checks how owners are written, and that the engine can read them. */
export function checkOwnerForm({ separator }: OwnerForm, engine: string): void {
  if (engine !== 'builtin')
    throw refused(
      `${engine} keeps records by one owner each, and these may have several`,
      'Use the builtin engine',
    );
  if (separator === null || (typeof separator === 'string' && separator !== '' && isWellFormed(separator)))
    return;
  throw refused(
    `the separator of owners is ${separator === '' ? 'empty' : 'no well-formed text'}`,
    'Give the text that stands between two owners, or null for a column of lists',
  );
}

/** What of records a rule makes public by the order in which it goes through them: ids alone, or more. */
export function ownerChoices(rule: CapRule): readonly ValueChoice[] {
  const isById = rule.strategy === 'random' && (rule.tokensPerUser ?? null) === null;
  return isById ? ['owner-graph'] : ['owner-graph', 'owner-order'];
}

function checkDeclared(rule: CapRule, choices: readonly SelectionChoice[]): void {
  for (const name of ownerChoices(rule)) {
    if (choices.some(choice => choice.name === name)) continue;
    const what =
      name === 'owner-graph'
        ? 'who owns which record'
        : `what ${rule.tokensPerUser === undefined || rule.tokensPerUser === null ? rule.strategy : 'the token cap'} goes by`;
    throw refused(
      `with several owners a record, one user's records decide which of others are kept, and ${what} is not declared public`,
      `Declare "${name}" public if it is (--${name} public), or choose one owner a record`,
    );
  }
}

/** Checks that a rule can go by several owners, and that what it takes as public is declared so. */
export function checkOwners(options: {
  readonly rule: CapRule;
  readonly choices?: readonly SelectionChoice[] | undefined;
  readonly scorer?: object | undefined;
}): void {
  const { rule, choices = [], scorer } = options;
  if (!isMergeable(rule.strategy) || rule.strategy === 'random-chunk')
    throw refused(
      `${rule.strategy} goes by the records of one owner, and these may have several`,
      'Use random, or choose one owner a record',
    );
  if (scorer !== undefined)
    throw refused(
      'a model scores records of one owner each, and these may have several',
      'Give a score column',
    );
  checkDeclared(rule, choices);
}
