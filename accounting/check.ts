/** Stable names of everything that can go wrong through the user's doing; the command line maps them to exit codes. */
export type DpErrorCode =
  | 'INVALID_ARGUMENT'
  | 'INVALID_DATA'
  | 'MISSING_COLUMN'
  | 'NULL_USER'
  | 'DUPLICATE_RECORD'
  | 'MISSING_FILE'
  | 'OUTPUT_EXISTS'
  | 'OUTPUT_FAILED'
  | 'UNSUPPORTED_EVENT'
  | 'BUDGET_UNREACHABLE'
  | 'CHECK_FAILED'
  | 'INCONCLUSIVE'
  | 'ENGINE_UNAVAILABLE'
  | 'ENGINE_FAILED'
  | 'INTERRUPTED';

/**
 * A failure that the caller can mend.
 *
 * The message has one form: `Cannot <verb>: <reason with the value>. <what to change>.`
 *
 * @example
 * ```ts
 * new DpError('INVALID_ARGUMENT', 'Cannot plan: steps is 0. Give a whole number of at least 1.').code; // 'INVALID_ARGUMENT'
 * ```
 */
export class DpError extends Error {
  override readonly name = 'DpError';
  readonly code: DpErrorCode;

  constructor(code: DpErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** What an argument check needs for its message: the verb of `Cannot <verb>` and the argument's name. */
export interface CheckContext {
  readonly verb: string;
  readonly name: string;
}

/** The error for an argument that is not what was expected. */
export function invalid(value: unknown, expected: string, { verb, name }: CheckContext): DpError {
  const isNumeric = typeof value === 'number' || typeof value === 'bigint';
  const shown = isNumeric ? String(value) : (JSON.stringify(value) ?? 'undefined');
  return new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${name} is ${shown}. Give ${expected}.`);
}

/** Finite number > 0, returned as it came; anything else is an `INVALID_ARGUMENT`. */
export function checkPositive(value: unknown, context: CheckContext): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw invalid(value, 'a finite number above 0', context);
}

/** Finite number >= 0. */
export function checkNonNegative(value: unknown, context: CheckContext): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  throw invalid(value, 'a finite number of at least 0', context);
}

/** Whole number within [least, 2^53 - 1]. */
export function checkCount(value: unknown, context: CheckContext & { least?: number }): number {
  const least = context.least ?? 1;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
  throw invalid(value, `a whole number of at least ${least}`, context);
}

/** Probability in (0, 1]; zero is refused because nothing would ever be sampled. */
export function checkProbability(value: unknown, context: CheckContext): number {
  if (typeof value === 'number' && value > 0 && value <= 1) return value;
  throw invalid(value, 'a probability above 0 and at most 1', context);
}

/** Delta strictly between 0 and 1. */
export function checkDelta(value: unknown, context: CheckContext): number {
  if (typeof value === 'number' && value > 0 && value < 1) return value;
  throw invalid(value, 'a number strictly between 0 and 1, such as 1e-6', context);
}

/** One of a fixed list of words. */
export function checkChoice<T extends string>(
  value: unknown,
  context: CheckContext & { choices: readonly T[] },
): T {
  const found = context.choices.find(choice => choice === value);
  if (found !== undefined) return found;
  throw invalid(value, `one of ${context.choices.join(', ')}`, context);
}
