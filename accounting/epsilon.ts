import type { Accountant, Bound, Interval } from './accountant.ts';
import { checkChoice, checkDelta, DpError } from './check.ts';
import type { DpEvent, Neighbours } from './event.ts';
import { pldAccountant } from './pld/pld.ts';
import { rdpAccountant } from './rdp/rdp.ts';

/** Which accountants are asked: one of them, or all that support the event. */
export type AccountantChoice = Accountant['name'] | 'all';

/** What every accountant asked has answered. */
export type BoundsByAccountant = { readonly [name in Accountant['name']]?: Bound };

/** At which δ, under which neighbours, and whom to ask (all where left out). */
export interface EpsilonOptions {
  readonly delta: number;
  readonly neighbours: Neighbours;
  readonly accountant?: AccountantChoice | undefined;
}

/** ε with the answers that it was made of. */
export interface EpsilonAnswer {
  /** The least upper and the greatest lower bound. */
  readonly epsilon: Interval;
  readonly byAccountant: BoundsByAccountant;
}

/** Every accountant there is, in the order in which answers list them. */
export const accountants: readonly Accountant[] = [rdpAccountant, pldAccountant];
const relations = ['add-or-remove', 'replace', 'zero-out'] as const;

/**
 * ε of an event at `delta`, bounded from both sides.
 *
 * @param options - delta: in (0, 1); accountant: `rdp` has upper bounds only
 * @returns the truth lies in `epsilon`; the lower end is 0 where no accountant asked has a lower bound
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
  const byAccountant = askAccountants(event, options);
  return { epsilon: tightest(Object.values(byAccountant)), byAccountant };
}

/** The bounds of all accountants that were chosen and support the event. */
function askAccountants(event: DpEvent, options: EpsilonOptions): BoundsByAccountant {
  const { delta, neighbours: relation } = checkQuestion(options);
  // A unit whose contribution becomes zero has the same dominating pairs as one that is not there.
  const neighbours = relation === 'zero-out' ? 'add-or-remove' : relation;
  const chosen = accountants.filter(
    ({ name }) => (options.accountant ?? 'all') === 'all' || name === options.accountant,
  );
  const refusals = chosen.map(accountant => accountant.unsupported(event, neighbours));
  const able = chosen.filter((_, index) => refusals[index] === undefined);
  if (able.length === 0) throw unsupportedBy(chosen, refusals);
  return Object.fromEntries(
    able.map(accountant => [accountant.name, accountant.epsilon(event, { delta, neighbours })]),
  );
}

function checkQuestion({ delta, neighbours, accountant }: EpsilonOptions): EpsilonOptions {
  const verb = 'compute epsilon';
  checkDelta(delta, { verb, name: 'delta' });
  checkChoice(neighbours, { verb, name: 'neighbours', choices: relations });
  checkChoice(accountant ?? 'all', { verb, name: 'accountant', choices: ['rdp', 'pld', 'all'] });
  return { delta, neighbours };
}

function unsupportedBy(chosen: readonly Accountant[], refusals: readonly (string | undefined)[]): DpError {
  const reasons = chosen.map(({ name }, index) => `${name} does not support ${refusals[index]}`);
  const message = `Cannot compute epsilon: ${reasons.join(', ')}. Use add-or-remove or zero-out neighbours.`;
  return new DpError('UNSUPPORTED_EVENT', message);
}

/**
 * The interval that several bounds on the same ε leave.
 *
 * @example
 * ```ts
 * tightest([{ upper: 2, detail: '' }, { lower: 1, upper: 3, detail: '' }]); // { lower: 1, upper: 2 }
 * ```
 */
export function tightest(bounds: readonly Bound[]): Interval {
  const upper = Math.min(...bounds.map(bound => bound.upper));
  const lower = Math.max(0, ...bounds.map(bound => bound.lower ?? 0));
  if (lower <= upper) return { lower, upper };
  throw new DpError(
    'CHECK_FAILED',
    `Cannot bound epsilon: the lower bound ${lower} exceeds the upper bound ${upper}. Report this; it is a defect.`,
  );
}
