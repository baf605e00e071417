import { sideOf, type Accountant, type Bound, type Interval } from './accountant.ts';
import { checkChoice, checkDelta, checkNonNegative, checkPositive, DpError } from './check.ts';
import { exactAccountant } from './contour/contour.ts';
import type { DpEvent, Neighbours } from './event.ts';
import { gdpAccountant } from './gdp.ts';
import { pldAccountant } from './pld/pld.ts';
import { rdpAccountant } from './rdp/rdp.ts';

/** Which accountants are asked: one of them, or all that support the event and give bounds. */
export type AccountantChoice = Accountant['name'] | 'all';

/** What every accountant asked has answered. */
export type BoundsByAccountant = { readonly [name in Accountant['name']]?: Bound };

/** Under which neighbours, whom to ask (all where left out), and how narrow the answer is to be. */
export interface QuestionOptions {
  readonly neighbours: Neighbours;
  readonly accountant?: AccountantChoice | undefined;
  /** Wanted (upper - lower) ÷ the answer, > 0; 1e-4 or better where left out. */
  readonly relativeGap?: number | undefined;
}

/** A question for ε. */
export interface EpsilonOptions extends QuestionOptions {
  readonly delta: number;
}

/** A question for δ. */
export interface DeltaOptions extends QuestionOptions {
  readonly epsilon: number;
}

/** ε with the answers that it was made of. */
export interface EpsilonAnswer {
  /** The least upper and the greatest lower bound. */
  readonly epsilon: Interval;
  readonly byAccountant: BoundsByAccountant;
}

/** δ with the answers that it was made of. */
export interface DeltaAnswer {
  /** The least upper and the greatest lower bound. */
  readonly delta: Interval;
  readonly byAccountant: BoundsByAccountant;
}

/** Every accountant there is, in the order in which answers list them. */
export const accountants: readonly Accountant[] = [
  rdpAccountant,
  pldAccountant,
  exactAccountant,
  gdpAccountant,
];

/** Names of the accountants that may be asked for, and `all`. */
export const accountantChoices: readonly AccountantChoice[] = [...accountants.map(({ name }) => name), 'all'];

/** Neighbouring relations that may be asked for. */
export const relations: readonly Neighbours[] = ['add-or-remove', 'replace', 'zero-out'];

/** Beside the exact accountant the PLD accountant is a second opinion: this gap is enough, and cheap. */
const secondOpinionGap = 5e-3;

/**
 * ε of an event at `delta`, bounded from both sides.
 *
 * @param options - delta: in (0, 1); accountant: `rdp` has upper bounds only, `gdp` an estimate that bounds nothing
 * @returns the truth lies in `epsilon`: its lower end is 0 where no accountant asked has a lower bound, its upper end Infinity
 *   where none has an upper bound
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT` where no accountant asked can interpret the event
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * const { epsilon } = epsilonOf(event, { delta: 1e-6, neighbours: 'add-or-remove' });
 * epsilon.upper; // ~4.8866
 * epsilon.lower; // ~4.8866
 * ```
 */
export function epsilonOf(event: DpEvent, options: EpsilonOptions): EpsilonAnswer {
  const delta = checkDelta(options.delta, { verb: 'compute epsilon', name: 'delta' });
  const byAccountant = askAccountants(
    event,
    { ...options, verb: 'compute epsilon' },
    (accountant, question) => accountant.epsilon(event, { ...question, delta }),
  );
  return { epsilon: tightest(Object.values(byAccountant)), byAccountant };
}

/**
 * δ of an event at `epsilon`, bounded from both sides.
 *
 * @param options - epsilon: in nats, >= 0; accountant: as for `epsilonOf`
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT` where no accountant asked can interpret the event
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * deltaOf(event, { epsilon: 1, neighbours: 'add-or-remove' }).delta.upper; // ~0.126936737507
 * ```
 */
export function deltaOf(event: DpEvent, options: DeltaOptions): DeltaAnswer {
  const epsilon = checkNonNegative(options.epsilon, { verb: 'compute delta', name: 'epsilon' });
  const byAccountant = askAccountants(event, { ...options, verb: 'compute delta' }, (accountant, question) =>
    accountant.delta(event, { ...question, epsilon }),
  );
  const { lower, upper } = tightest(Object.values(byAccountant));
  return { delta: { lower, upper: Math.min(1, upper) }, byAccountant };
}

/** The answers of all accountants that were chosen and support the event. */
function askAccountants(
  event: DpEvent,
  options: QuestionOptions & { readonly verb: string },
  ask: (accountant: Accountant, question: Omit<QuestionOptions, 'accountant'>) => Bound,
): BoundsByAccountant {
  const { neighbours, accountant: choice = 'all', relativeGap, verb } = options;
  checkChoice(neighbours, { verb, name: 'neighbours', choices: relations });
  checkChoice(choice, { verb, name: 'accountant', choices: accountantChoices });
  if (relativeGap !== undefined) checkPositive(relativeGap, { verb, name: 'relativeGap' });
  const able = ableAccountants(event, { neighbours, choice, verb });
  const gapFor = ({ name }: Accountant): number | undefined =>
    relativeGap ?? (choice === 'all' && name === 'pld' ? secondOpinionGap : undefined);
  return Object.fromEntries(
    able.map(accountant => [
      accountant.name,
      ask(accountant, { neighbours, relativeGap: gapFor(accountant) }),
    ]),
  );
}

function ableAccountants(
  event: DpEvent,
  { neighbours, choice, verb }: { neighbours: Neighbours; choice: AccountantChoice; verb: string },
): readonly Accountant[] {
  const chosen = accountants.filter(({ name }) => (choice === 'all' ? name !== 'gdp' : name === choice));
  const refusals = chosen.map(accountant => accountant.unsupported(event, neighbours));
  const able = chosen.filter((_, index) => refusals[index] === undefined);
  if (able.length > 0) return able;
  const reasons = chosen.map(({ name }, index) => `${name} does not support ${refusals[index]}`);
  throw new DpError(
    'UNSUPPORTED_EVENT',
    `Cannot ${verb}: ${reasons.join(', ')}. ${remedyFor(event, neighbours)}`,
  );
}

/** What supports the event instead, as a sentence. */
function remedyFor(event: DpEvent, neighbours: Neighbours): string {
  const elsewhere = accountants.filter(accountant => accountant.unsupported(event, neighbours) === undefined);
  if (elsewhere.length > 0) return `Ask ${elsewhere.map(({ name }) => name).join(' or ')}.`;
  const others = relations.filter(relation =>
    accountants.some(accountant => accountant.unsupported(event, relation) === undefined),
  );
  if (others.length > 0) return `Use ${others.join(' or ')} neighbours.`;
  return 'Account for its parts one by one.';
}

/**
 * The interval that several bounds on the same ε or δ leave.
 *
 * @example
 * ```ts
 * tightest([{ upper: 2, detail: '' }, { lower: 1, upper: 3, detail: '' }]); // { lower: 1, upper: 2 }
 * ```
 */
export function tightest(bounds: readonly Bound[]): Interval {
  const proven = bounds.filter(bound => sideOf(bound) !== 'estimate');
  const upper = Math.min(Infinity, ...proven.map(bound => bound.upper));
  const lower = Math.max(0, ...proven.map(bound => bound.lower ?? 0));
  if (lower <= upper) return { lower, upper };
  throw new DpError(
    'CHECK_FAILED',
    `Cannot bound the guarantee: the lower bound ${lower} exceeds the upper bound ${upper}. Report this; it is a defect.`,
  );
}
