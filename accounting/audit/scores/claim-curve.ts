import { sequence } from '../../event.ts';
import type { Claim } from '../claim.ts';
import { runEvents } from '../claim-bounds.ts';
import { openChoices } from '../claim-open.ts';
import { roundedClaim } from '../claim-rounding.ts';
import { settle } from '../claim-settings.ts';
import { verb } from './arguments.ts';
import { type Tradeoff, tradeoffOfEvent } from './tradeoff.ts';
import { checkDelta, DpError } from '../../check.ts';

/**
 * A lower bound of the trade-off curve that a claim's own settings give, whatever was rounded to what is printed; for the method `f-dp`.
 *
 * @param options - leastRate: the smallest rate that matters, about significance ÷ canaries
 * @returns undefined where the claim leaves a setting open, chooses among several runs, is about replacing a unit, or has a mechanism
 *   for which no upper bound is known: then only its printed ε and δ can be tested
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * const claim = claimOf({
 *   adjacency: 'add_remove',
 *   guarantee: { epsilon: '4.4', delta: 1e-5 },
 *   mechanisms: [{ kind: 'gaussian', noise: { multiplier: 1, relative_to: 'clip' } }],
 * });
 * claimTradeoff(claim, { leastRate: 1e-4 })(0.5).toFixed(2); // '0.16'
 * claimTradeoff(claimOf({}), { leastRate: 1e-4 }); // undefined
 * ```
 */
export function claimTradeoff(claim: Claim, options: { readonly leastRate: number }): Tradeoff | undefined {
  const leastRate = checkDelta(options.leastRate, { verb, name: 'leastRate' });
  if (claim.adjacency === null || claim.adjacency === 'replace_one' || openChoices(claim).length > 0)
    return undefined;
  const settings = settle(roundedClaim(claim, 'worst').claim, { choices: {}, fill: {} });
  if (settings === undefined || settings.selection !== null) return undefined;
  const { runs, neighbours } = settings;
  const events = runs.map(run => runEvents(run, neighbours).upper).filter(event => event !== undefined);
  if (events.length < runs.length) return undefined;
  try {
    return tradeoffOfEvent(sequence(events), { neighbours, leastRate });
  } catch (error) {
    if (error instanceof DpError && error.code === 'UNSUPPORTED_EVENT') return undefined;
    throw error;
  }
}
