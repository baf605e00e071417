/** What was spent beside a run on something that looked at its users: (ε, δ) under the run's own neighbours. */
export interface PrivacySpent {
  readonly epsilon: number;
  /** In [0, 1); 0 is pure DP. */
  readonly delta: number;
  /** In words, for the statement. */
  readonly what: string;
}

/**
 * All of it together by plain addition, which holds whatever the releases are.
 *
 * @example
 * ```ts
 * const cost = { epsilon: 0.5, delta: 1e-7, what: 'the cap' };
 * totalSpent([cost, cost]); // { epsilon: 1, delta: 2e-7 }
 * ```
 */
export function totalSpent(spent: readonly Omit<PrivacySpent, 'what'>[] = []): {
  epsilon: number;
  delta: number;
} {
  return spent.reduce(
    (sum, { epsilon, delta }) => ({ epsilon: sum.epsilon + epsilon, delta: sum.delta + delta }),
    { epsilon: 0, delta: 0 },
  );
}
