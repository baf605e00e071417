import { expect, it } from 'vitest';
import { DpError } from '../../accounting/check.ts';
import { exitCodeOf } from '../../src/exit-codes.ts';

it.each([
  ['INVALID_ARGUMENT', 2],
  ['INVALID_DATA', 2],
  ['MISSING_COLUMN', 2],
  ['NULL_USER', 2],
  ['DUPLICATE_RECORD', 2],
  ['MISSING_FILE', 2],
  ['OUTPUT_FAILED', 2],
  ['UNSUPPORTED_EVENT', 2],
  ['BUDGET_UNREACHABLE', 2],
  ['CHECK_FAILED', 3],
  ['OUTPUT_EXISTS', 5],
  ['ENGINE_UNAVAILABLE', 7],
  ['ENGINE_FAILED', 7],
  ['INTERRUPTED', 130],
] as const)('exitCodeOf() ends %s with %d', (code, expected) => {
  expect(exitCodeOf(new DpError(code, 'Cannot test: 1 is 2. Give 1.'))).toBe(expected);
});

it('exitCodeOf() ends everything else with 1', () => {
  expect(exitCodeOf(new TypeError('x is not a function'))).toBe(1);
  expect(exitCodeOf('text')).toBe(1);
});
