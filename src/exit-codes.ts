import { DpError, type DpErrorCode } from '../accounting/check.ts';

/** What every command may end with; the finer reason is the `code` of the JSON error. */
export const exitCodes = {
  done: 0,
  internal: 1,
  usage: 2,
  checkFailed: 3,
  inconclusive: 4,
  outputExists: 5,
  engineFailed: 7,
  interrupted: 130,
} as const;

/** One of the numbers in {@link exitCodes}. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const codeOf: Record<DpErrorCode, ExitCode> = {
  INVALID_ARGUMENT: exitCodes.usage,
  INVALID_DATA: exitCodes.usage,
  MISSING_COLUMN: exitCodes.usage,
  NULL_USER: exitCodes.usage,
  DUPLICATE_RECORD: exitCodes.usage,
  MISSING_FILE: exitCodes.usage,
  OUTPUT_FAILED: exitCodes.usage,
  UNSUPPORTED_EVENT: exitCodes.usage,
  BUDGET_UNREACHABLE: exitCodes.usage,
  OUTPUT_EXISTS: exitCodes.outputExists,
  CHECK_FAILED: exitCodes.checkFailed,
  INCONCLUSIVE: exitCodes.inconclusive,
  ENGINE_UNAVAILABLE: exitCodes.engineFailed,
  ENGINE_FAILED: exitCodes.engineFailed,
  INTERRUPTED: exitCodes.interrupted,
};

/** The one table from failures to exit codes; whatever is no `DpError` is a bug of ours. */
export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof DpError ? codeOf[error.code] : exitCodes.internal;
}
