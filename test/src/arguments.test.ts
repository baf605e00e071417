import { CommanderError } from 'commander';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DpError } from '../../accounting/check.ts';
import {
  choice,
  count,
  counts,
  delta,
  nonNegative,
  positive,
  probability,
  required,
  share,
  usageError,
} from '../../src/arguments.ts';

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    expect(error.code).toBe('INVALID_ARGUMENT');
    return error.message;
  }
  return 'no error';
}

describe('number parsers', () => {
  const slips = ['', ' ', '1e', 'NaN', 'Infinity', '0x10', '1,5', '1_000', 'one', '--', '1e5 '];
  const parsers = { positive, nonNegative, count, probability, delta, share };
  for (const [sort, make] of Object.entries(parsers)) {
    it.each(slips)(`${sort}() refuses %j and shows what came`, slip => {
      const shown = `Cannot read the command line: --x is ${JSON.stringify(slip)}`;
      expect(messageOf(() => make('--x')(slip))).toContain(shown);
    });
  }

  it('accept the usual spellings', () => {
    expect(['1', '1.5', '.5', '1e-6', '+2', '3.'].map(positive('--x'))).toEqual([1, 1.5, 0.5, 1e-6, 2, 3]);
    expect(counts('--k')('1, 2,5,2')).toEqual([1, 2, 5]);
    expect(share('--x')('0')).toBe(0);
  });

  it('refuse values outside their range', () => {
    expect(messageOf(() => positive('--x')('-1'))).toContain('--x is -1. Give a finite number above 0.');
    expect(messageOf(() => positive('--x')('1e999'))).toContain('--x is Infinity');
    expect(messageOf(() => count('--k')('0'))).toContain('--k is 0. Give a whole number of at least 1.');
    expect(messageOf(() => counts('--k')('1,,2'))).toContain('--k is "".');
    expect(messageOf(() => counts('--k')('1;2'))).toContain('--k is "1;2".');
    expect(messageOf(() => counts('--k')('5,0'))).toContain('--k is 0.');
    expect(messageOf(() => count('--k')('1.5'))).toContain('--k is 1.5');
    expect(messageOf(() => probability('--p')('1.01'))).toContain('--p is 1.01');
    expect(messageOf(() => delta('--delta')('1'))).toContain('--delta is 1.');
    expect(messageOf(() => share('--x')('1'))).toContain('--x is 1. Give a share below 1.');
    expect(messageOf(() => choice('--c', ['a', 'b'])('c'))).toContain('--c is "c". Give one of a, b.');
  });

  it('positive() reads every finite positive number that JavaScript prints', () => {
    const numbers = fc.double({ min: Number.MIN_VALUE, noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(numbers, value => {
        expect(positive('--x')(String(value))).toBe(value);
      }),
    );
  });
});

it('required() names the option and shows an example', () => {
  const ask = (): unknown => required(undefined, { verb: 'plan', name: '--epsilon', example: '8' });
  expect(messageOf(ask)).toBe('Cannot plan: --epsilon is missing. Give --epsilon 8.');
  expect(required(0, { verb: 'plan', name: '--epsilon', example: '8' })).toBe(0);
});

it('usageError() keeps the suggestion of commander', () => {
  const error = new CommanderError(
    1,
    'commander.unknownOption',
    "error: unknown option '--sgma'\n(Did you mean --sigma?)",
  );
  expect(usageError(error).message).toBe(
    "Cannot read the command line: unknown option '--sgma'. Did you mean --sigma?",
  );
});
