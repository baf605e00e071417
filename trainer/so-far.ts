import type { Interval } from '../accounting/index.ts';
import { epsilonCurve, type Plan } from '../accounting/plan-entry.ts';
import { canonicalJson } from './digest.ts';
import type { EpsilonSoFar } from './ledger.ts';

const pointsOfPlan = 12;
const plansKept = 16;

/** What was computed for the plans of the last runs of this process: seeds and resumptions share a plan. */
const known = new Map<string, Map<number, Interval>>();

function knownOf(plan: Plan): Map<number, Interval> {
  const name = canonicalJson(plan);
  const points = known.get(name) ?? new Map<number, Interval>();
  known.delete(name);
  known.set(name, points);
  if (known.size > plansKept) known.delete(known.keys().next().value!);
  return points;
}

/** ε of a plan along its steps, at a dozen numbers of steps: each costs the accountant a while. */
export class EpsilonAlong {
  readonly #plan: Plan;
  readonly #known: Map<number, Interval>;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#known = knownOf(plan);
  }

  /** After exactly `steps` steps. */
  at(steps: number): Interval {
    const epsilon = this.#known.get(steps) ?? epsilonCurve(this.#plan, [steps])[0]!;
    this.#known.set(steps, epsilon);
    return epsilon;
  }

  /** An upper bound after `steps` steps: that of the next of the dozen numbers. */
  soFar(steps: number): EpsilonSoFar {
    const next = this.#nextPoint(steps);
    const { lower, upper } = this.at(next);
    if (Number.isFinite(upper)) return { steps: next, epsilonUpper: upper };
    return { steps: next, epsilonUpper: null, epsilonLower: lower };
  }

  /** Up to a dozen points up to `steps`, evenly spaced. */
  curve(steps: number): { step: number; epsilon: Interval }[] {
    const points = Math.min(steps, pointsOfPlan);
    return Array.from({ length: points }, (_, index) => {
      const step = Math.round((steps * (index + 1)) / points);
      return { step, epsilon: this.at(step) };
    });
  }

  #nextPoint(steps: number): number {
    const planned = this.#plan.steps;
    const points = Math.min(planned, pointsOfPlan);
    let index = Math.max(1, Math.floor((steps * points) / planned));
    while (Math.round((planned * index) / points) < steps) index += 1;
    return Math.round((planned * index) / points);
  }
}
