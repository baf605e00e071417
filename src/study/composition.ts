import { epsilonOf, sequence, DpError, type DpEvent, type Interval } from '../../accounting/index.ts';
import { eventOfPlan } from '../../accounting/plan-entry.ts';
import { upward } from '../output.ts';
import type { RunResult } from './results.ts';

/** What all private runs of a study cost a user together. */
export interface Composition {
  readonly runs: number;
  readonly delta: number;
  /** All runs one after the other, by the accountants; null where they could not say. */
  readonly epsilon: Interval | null;
  /** The runs' own bounds added up, which is what anybody can check by hand. */
  readonly added: { readonly epsilon: number; readonly delta: number };
}

function eventsOf(runs: readonly RunResult[]): DpEvent[] {
  return runs.flatMap(({ plan, stepsCounted }) =>
    plan === null || stepsCounted === null || stepsCounted === 0 ? [] : [eventOfPlan(plan, stepsCounted)],
  );
}

function composed(events: readonly DpEvent[], delta: number): Interval | null {
  try {
    const { epsilon } = epsilonOf(sequence(events), { delta, neighbours: 'add-or-remove' });
    return Number.isFinite(epsilon.upper) ? epsilon : null;
  } catch (error) {
    if (error instanceof DpError) return null;
    throw error;
  }
}

/** Sequential composition over every private run, each with the steps that it counts. */
export function composeRuns(runs: readonly RunResult[], delta: number): Composition {
  const spent = runs.filter(({ plan }) => plan !== null);
  const events = eventsOf(spent);
  const each = spent.map(({ epsilon }) => epsilon!.upper);
  return {
    runs: spent.length,
    delta,
    epsilon: events.length === 0 ? null : composed(events, delta),
    added: { epsilon: each.reduce((sum, value) => sum + value, 0), delta: delta * spent.length },
  };
}

/** What the study itself spends and what nothing covers, in plain sentences. */
export function compositionSentences({ runs, delta, epsilon, added }: Composition): string[] {
  const total =
    epsilon === null
      ? `epsilon ${upward(added.epsilon)} at delta ${upward(added.delta)}`
      : `epsilon ${upward(epsilon.upper)} at delta ${delta} (by adding up: epsilon ${upward(added.epsilon)} at delta ${upward(added.delta)})`;
  return [
    'The study itself spends privacy. Choosing a configuration by looking at results on private text is not covered by the epsilon of any single run.',
    `The models of all ${runs} private runs together, and any choice made from these models alone, cost a training user at most ${total}. Training once more with the chosen configuration adds its own epsilon.`,
    'The run without privacy, training losses and counts are not covered by that total. The perplexities are raw values of the held-out users, whom no epsilon here covers.',
  ];
}
