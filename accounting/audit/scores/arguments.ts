import { checkCount, checkNonNegative, DpError, invalid } from '../../check.ts';

export const verb = 'audit the scores';

/** δ of a claim, which may be 0. */
export function checkAuditDelta(value: unknown): number {
  const delta = checkNonNegative(value, { verb, name: 'delta' });
  if (delta < 1) return delta;
  throw invalid(value, 'a number of at least 0 and below 1', { verb, name: 'delta' });
}

/** Probability of a false refutation that is put up with. */
export function checkSignificance(value: unknown): number {
  if (typeof value === 'number' && value > 0 && value < 0.5) return value;
  throw invalid(value, 'a number above 0 and below 0.5, such as 0.05', { verb, name: 'significance' });
}

/** What an auditor guessed about the canaries of one run. */
export interface Guesses {
  /** All canaries, guessed at or not. */
  readonly canaries: number;
  /** Canaries that were guessed at. */
  readonly guesses: number;
  readonly correct: number;
}

/** Whole numbers in order: correct <= guesses <= canaries. */
export function checkGuesses({ canaries, guesses, correct }: Guesses): void {
  checkCount(canaries, { verb, name: 'canaries' });
  checkCount(guesses, { verb, name: 'guesses', least: 0 });
  checkCount(correct, { verb, name: 'correct', least: 0 });
  if (correct <= guesses && guesses <= canaries) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: ${correct} of ${guesses} guesses about ${canaries} canaries are correct. Give correct <= guesses <= canaries.`,
  );
}
