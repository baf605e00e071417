import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { logBinomialTail } from '../../../accounting/numerics/binomial-tail.ts';
import { betaCdf, betaQuantile } from '../../../accounting/numerics/incomplete-beta.ts';
import { normalCdf, normalQuantile } from '../../../accounting/numerics/normal.ts';

const positive = fc.double({ min: 0.5, max: 500, noNaN: true });
const rate = fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true });

describe('betaCdf()', () => {
  // By quadrature in 40-digit arithmetic.
  it.each([
    { x: 0.2, a: 20_000.5, b: 80_000.5, exact: 0.4996846062073173 },
    { x: 1e-4, a: 10.5, b: 49_990.5, exact: 0.02108230201291153 },
  ])('at $x for $a and $b', ({ x, a, b, exact }) => {
    expect(Math.abs(betaCdf(x, { a, b }) / exact - 1)).toBeLessThan(1e-11);
  });

  it('is a binomial tail for whole shapes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(300), rate, (trials, count, x) => {
        const least = 1 + (count % trials);
        const tail = Math.exp(logBinomialTail({ trials, probability: x, least }));
        expect(Math.abs(betaCdf(x, { a: least, b: trials - least + 1 }) - tail)).toBeLessThan(1e-9);
      }),
    );
  });

  it('and its quantile undo each other', () => {
    fc.assert(
      fc.property(positive, positive, rate, (a, b, probability) => {
        const x = betaQuantile(probability, { a, b });
        if (x > 1e-6 && x < 1 - 1e-6) expect(Math.abs(betaCdf(x, { a, b }) - probability)).toBeLessThan(1e-8);
      }),
    );
  });
});

it('normalQuantile() and normalCdf() undo each other far into both tails', () => {
  fc.assert(
    fc.property(fc.double({ min: -36, max: 5, noNaN: true }), x => {
      expect(Math.abs(normalQuantile(normalCdf(x)) - x)).toBeLessThan(1e-9);
    }),
  );
  expect([normalQuantile(0), normalQuantile(1)]).toEqual([-Infinity, Infinity]);
});
