import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DpError } from '../../accounting/check.ts';
import {
  downward,
  errorObject,
  errorText,
  mendable,
  number,
  renderInterval,
  renderJson,
  renderTable,
  upward,
} from '../../src/output.ts';

it('renderTable() aligns words left and numbers right', () => {
  const columns = [{ title: 'run' }, { title: 'k', align: 'right' }] as const;
  expect(
    renderTable(columns, [
      ['a', '10'],
      ['longer', '1'],
    ]),
  ).toBe(['run      k', '------  --', 'a       10', 'longer   1'].join('\n'));
});

it('renderJson() keeps infinities and typed arrays readable', () => {
  expect(JSON.parse(renderJson({ a: Infinity, b: new Float32Array([1, 2]), c: -Infinity }))).toEqual({
    a: 'Infinity',
    b: [1, 2],
    c: '-Infinity',
  });
  expect(renderJson({}).endsWith('\n')).toBe(true);
});

describe('rounding of bounds', () => {
  const values = fc.double({ min: 1e-12, max: 1e8, noNaN: true });

  it('upward() never prints less than the value', () => {
    fc.assert(
      fc.property(values, value => {
        expect(Number(upward(value))).toBeGreaterThanOrEqual(value);
      }),
    );
  });

  it('downward() never prints more than the value', () => {
    fc.assert(
      fc.property(values, value => {
        expect(Number(downward(value))).toBeLessThanOrEqual(value);
      }),
    );
  });

  it('both stay within one unit of the fourth digit', () => {
    fc.assert(
      fc.property(values, value => {
        expect(Number(upward(value))).toBeLessThanOrEqual(value * 1.0021);
        expect(Number(downward(value))).toBeGreaterThanOrEqual(value / 1.0021);
      }),
    );
  });

  it('renderInterval() rounds outward and spells infinity', () => {
    expect(renderInterval({ lower: 7.91236, upper: 7.91241 })).toBe('[7.912, 7.913]');
    expect(renderInterval({ lower: 0, upper: Infinity })).toBe('[0, ∞]');
  });
});

it('number() keeps small and whole numbers legible', () => {
  expect([0, 10, 0.25, 1e-6, 1234.567].map(value => number(value))).toEqual([
    '0',
    '10',
    '0.2500',
    '1.000e-6',
    '1235',
  ]);
});

describe('errors', () => {
  it('of the user are shown as they are', () => {
    const error = new DpError('MISSING_FILE', 'Cannot read: no file. Give one.');
    expect(errorObject(error)).toEqual({ error: { code: 'MISSING_FILE', message: error.message } });
    expect(errorText(error)).toBe(`${error.message}\n`);
  });

  it('of ours ask for a report', () => {
    expect(errorObject(new TypeError('boom')).error).toEqual({
      code: 'INTERNAL',
      message: 'Internal failure, please report it: boom',
    });
    expect(errorText(new TypeError('boom'))).toMatch(/please report it:\nTypeError: boom\n +at /);
  });
});

it('mendable() turns a full disk into words, and leaves bugs and our own errors alone', () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  expect(mendable(full)).toMatchObject({
    code: 'OUTPUT_FAILED',
    message: expect.stringContaining('the disk is full'),
  });
  const bug = new TypeError('x is not a function');
  expect(mendable(bug)).toBe(bug);
  const own = new DpError('INVALID_DATA', 'Cannot read: row 1 is empty. Mend it.');
  expect(mendable(own)).toBe(own);
});
