import { checkChoice, checkDelta, checkNonNegative, checkPositive, DpError } from '../accounting/check.ts';
import type { GuaranteeEvent, Neighbours } from '../accounting/event.ts';
import { readFields } from '../accounting/fields.ts';

/** Fixed beforehand, or computed from public data alone. */
export interface PublicOrigin {
  readonly kind: 'public';
}

/** Computed from the private table by a differentially private method, with what that cost. */
export interface PrivateOrigin {
  readonly kind: 'private';
  readonly epsilon: number;
  readonly delta: number;
  readonly neighbours: 'add-or-remove';
  readonly unit: 'user';
  readonly mechanism: string;
  /** Names the release; everything computed from one release is paid for once. */
  readonly release: string;
}

/** Where a value came from. There is no third kind: a value that saw the table and has no cost cannot be written. */
export type Origin = PublicOrigin | PrivateOrigin;

/** A cap with its origin: a public constant, or one that was chosen privately and carries its cost (`privateCap`). */
export type SourcedCap = Origin & { readonly recordsPerUser: number };

/** Choices that look at one user's records and public parameters only: they spend nothing, wherever they came from. */
export type UserLocalChoice =
  | 'strategy'
  | 'seed'
  | 'null-users'
  | 'within-user-duplicates'
  | 'user-normalisation'
  | 'record-filter'
  | 'held-out-users';

/** Choices that are free where their value is public and spend where it was computed from the table. */
export type ValueChoice =
  | 'records-per-user'
  | 'tokens-per-user'
  | 'least-records-per-user'
  | 'length-limit'
  | 'score'
  | 'vocabulary'
  | 'keeping-probability'
  | 'owner-graph'
  | 'owner-order';

/** Choices that compare users with each other, whatever their parameters: no public value makes them free. */
export type CrossUserChoice = 'cross-user-duplicates' | 'score-ranking' | 'top-users' | 'stop-at-total';

/** One decision of a selection. Cross-user choices exist with a private origin only. */
export type SelectionChoice =
  | { readonly name: UserLocalChoice }
  | { readonly name: ValueChoice; readonly origin: Origin }
  | { readonly name: CrossUserChoice; readonly origin: PrivateOrigin };

/** `free`: user-local; `public`: a public value; `spends`: costs privacy of its own. */
export type ChoiceStatus = 'free' | 'public' | 'spends';

const userLocal: readonly UserLocalChoice[] = [
  'strategy',
  'seed',
  'null-users',
  'within-user-duplicates',
  'user-normalisation',
  'record-filter',
  'held-out-users',
];

/** What to do instead, for a value that was computed from the table. */
const valueAdvice: Readonly<Record<ValueChoice, string>> = {
  'records-per-user': 'Fix it beforehand, or let privateCap() choose it',
  'tokens-per-user': 'Fix it beforehand, or choose it by a differentially private quantile',
  'least-records-per-user': 'Fix it beforehand',
  'length-limit': 'Fix it beforehand, or choose it by a differentially private quantile',
  score: 'Score by a model that was trained on public data alone, or by one trained with user-level privacy',
  vocabulary: 'Use a public tokenizer and public filters, or learn them with user-level privacy',
  'keeping-probability': 'Fix it beforehand',
  'owner-graph': 'Say that it is public, or choose one owner column',
  'owner-order': 'Order records of several owners by random, or say that their lengths or scores are public',
};

const crossUserAdvice: Readonly<Record<CrossUserChoice, string>> = {
  'cross-user-duplicates': 'Remove duplicates within a user only and report those across users',
  'score-ranking': 'Rank the records of each user by themselves',
  'top-users': 'Keep every user, or those whom a public keyed hash picks',
  'stop-at-total': 'Keep each record or user with a public probability by its key',
};

/** All choices that are not user-local. */
export const spendingChoices: readonly (ValueChoice | CrossUserChoice)[] = [
  'records-per-user',
  'tokens-per-user',
  'least-records-per-user',
  'length-limit',
  'score',
  'vocabulary',
  'keeping-probability',
  'owner-graph',
  'owner-order',
  'cross-user-duplicates',
  'score-ranking',
  'top-users',
  'stop-at-total',
];

function isUserLocal(name: string): name is UserLocalChoice {
  return userLocal.some(choice => choice === name);
}

function isCrossUser(name: string): name is CrossUserChoice {
  return Object.hasOwn(crossUserAdvice, name);
}

const verb = 'select';

/** Refuses a choice that looks across users without a cost, with what to do instead. */
function refusal(name: ValueChoice | CrossUserChoice, found: string): DpError {
  const advice = isCrossUser(name) ? crossUserAdvice[name] : valueAdvice[name];
  const why = isCrossUser(name)
    ? `"${name}" lets one user decide which records of others are kept`
    : `"${name}" was computed from the records of all users`;
  return new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: ${why}, and ${found}. ${advice}; or give the epsilon and delta of the private method behind it.`,
  );
}

function readPrivateOrigin(name: ValueChoice | CrossUserChoice, origin: unknown): PrivateOrigin {
  if (!isRecord(origin)) throw refusal(name, 'its origin is not declared');
  const { epsilon, delta, neighbours, unit, mechanism, release } = origin;
  if (epsilon === undefined || delta === undefined) throw refusal(name, 'its privacy cost is not given');
  const text = (value: unknown, key: string): string => {
    if (typeof value === 'string' && value !== '') return value;
    throw refusal(name, `its ${key} is ${JSON.stringify(value) ?? 'not given'}`);
  };
  return {
    kind: 'private',
    epsilon: checkPositive(epsilon, { verb, name: `the epsilon of "${name}"` }),
    delta: delta === 0 ? 0 : checkDelta(delta, { verb, name: `the delta of "${name}"` }),
    neighbours: checkChoice(neighbours, {
      verb,
      name: `the neighbours of "${name}"`,
      choices: ['add-or-remove'],
    }),
    unit: checkChoice(unit, { verb, name: `the unit of "${name}"`, choices: ['user'] }),
    mechanism: text(mechanism, 'mechanism'),
    release: text(release, 'release'),
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** The origin of a choice, checked as if it came from outside; undefined for user-local ones. */
function originOf(choice: { readonly name: string; readonly origin?: unknown }): Origin | undefined {
  if (isUserLocal(choice.name)) return undefined;
  const name = checkChoice(choice.name, { verb, name: 'a choice', choices: spendingChoices });
  const kind = isRecord(choice.origin) ? choice.origin['kind'] : undefined;
  if (kind === 'public' && !isCrossUser(name)) return { kind };
  if (kind !== 'private') {
    throw refusal(
      name,
      kind === undefined ? 'its origin is not declared' : `its origin is ${JSON.stringify(kind)}`,
    );
  }
  return readPrivateOrigin(name, choice.origin);
}

/**
 * Says what a choice costs, or refuses it: whatever looks across users needs an (ε, δ) of its own.
 *
 * User-local choices keep this property: adding or removing a user changes the output by that user's records alone.
 *
 * @throws DpError `INVALID_ARGUMENT` where the choice looks across users and has no cost, with what to do instead
 * @example
 * ```ts
 * statusOf({ name: 'seed' }); // 'free'
 * statusOf({ name: 'records-per-user', origin: { kind: 'public' } }); // 'public'
 * ```
 */
export function statusOf(choice: SelectionChoice): ChoiceStatus {
  const origin = originOf(choice);
  if (origin === undefined) return 'free';
  return origin.kind === 'public' ? 'public' : 'spends';
}

/** One private release that a selection rests on, as the manifest and the plan keep it. */
export interface PrivacyCost {
  /** Choices that were computed from it. */
  readonly choices: readonly string[];
  readonly mechanism: string;
  readonly release: string;
  readonly epsilon: number;
  readonly delta: number;
  readonly neighbours: 'add-or-remove';
  readonly unit: 'user';
}

function checkSameCost(cost: PrivacyCost, origin: PrivateOrigin): void {
  if (cost.epsilon === origin.epsilon && cost.delta === origin.delta) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: one release is said to cost epsilon ${cost.epsilon} and ${origin.epsilon}. Give each release one cost and a name of its own.`,
  );
}

/**
 * What the choices of a selection spend together: one entry for each private release, however many choices were
 * computed from it.
 *
 * @returns in order of first use; empty where the selection is free
 * @throws DpError `INVALID_ARGUMENT` for a choice that looks across users without a cost
 * @example
 * ```ts
 * privacyCostOf([{ name: 'strategy' }, { name: 'records-per-user', origin: { kind: 'public' } }]); // []
 * ```
 */
export function privacyCostOf(choices: readonly SelectionChoice[]): PrivacyCost[] {
  const costs = new Map<string, PrivacyCost>();
  for (const choice of choices) {
    const origin = originOf(choice);
    if (origin?.kind !== 'private') continue;
    const { kind: _, ...cost } = origin;
    const before = costs.get(origin.release) ?? { choices: [], ...cost };
    checkSameCost(before, origin);
    costs.set(origin.release, { ...before, choices: [...before.choices, choice.name] });
  }
  return [...costs.values()];
}

/**
 * The costs of a selection as accounting events, to be composed with the run that uses it.
 *
 * Costs are stated for adding or removing a user. `zero-out` costs the same: a user whose records are gone is in no
 * count. `replace` is a removal and an addition, so ε doubles and δ becomes δ·(1 + e^ε) (Vadhan 2017, Lemma 2.2, k = 2).
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const cost = {
 *   choices: ['records-per-user'], mechanism: 'discrete Laplace histogram', release: 'a1', epsilon: 0.5, delta: 0,
 *   neighbours: 'add-or-remove', unit: 'user',
 * } as const;
 * eventsOfCosts([cost], 'replace'); // [{ kind: 'guarantee', epsilon: 1, delta: 0 }]
 * ```
 */
export function eventsOfCosts(costs: readonly PrivacyCost[], neighbours: Neighbours): GuaranteeEvent[] {
  checkChoice(neighbours, { verb, name: 'neighbours', choices: ['add-or-remove', 'replace', 'zero-out'] });
  return costs.map(({ epsilon, delta }) =>
    neighbours === 'replace'
      ? { kind: 'guarantee', epsilon: 2 * epsilon, delta: Math.min(1, delta * (1 + Math.exp(epsilon))) }
      : { kind: 'guarantee', epsilon, delta },
  );
}

const costKeys = ['choices', 'mechanism', 'release', 'epsilon', 'delta', 'neighbours', 'unit'] as const;

/**
 * Takes a list from outside, such as `privacyCost` of a manifest, as costs.
 *
 * @throws DpError `INVALID_ARGUMENT` where a key is missing, unknown or of another form
 * @example
 * ```ts
 * parsePrivacyCost([]); // []
 * ```
 */
export function parsePrivacyCost(json: unknown): PrivacyCost[] {
  if (!Array.isArray(json)) {
    throw new DpError(
      'INVALID_ARGUMENT',
      'Cannot select: privacyCost is no list. Give one, empty where nothing was spent.',
    );
  }
  return json.map((item: unknown, index) => readCost(item, `privacyCost[${index}]`));
}

function readCost(item: unknown, name: string): PrivacyCost {
  const fields = readFields(item, { verb, name, keys: costKeys });
  const { choices, mechanism, release } = fields;
  if (!isTexts(choices) || typeof mechanism !== 'string' || typeof release !== 'string') {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot ${verb}: ${name} lacks texts for choices, mechanism or release. Give the list that select wrote.`,
    );
  }
  const delta = checkNonNegative(fields.delta, { verb, name: `${name}.delta` });
  return {
    choices,
    mechanism,
    release,
    epsilon: checkPositive(fields.epsilon, { verb, name: `${name}.epsilon` }),
    delta: delta === 0 ? 0 : checkDelta(delta, { verb, name: `${name}.delta` }),
    neighbours: checkChoice(fields.neighbours, {
      verb,
      name: `${name}.neighbours`,
      choices: ['add-or-remove'],
    }),
    unit: checkChoice(fields.unit, { verb, name: `${name}.unit`, choices: ['user'] }),
  };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string');
}
