import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gaussLegendre } from '../../../accounting/numerics/gauss-legendre.ts';
import { erfc, erfcx, logNormalTail, logSumExp } from '../../../accounting/numerics/special.ts';

// mpmath 1.3.0, 40 digits: erfc(x), exp(x²) erfc(x), log(erfc(x / sqrt 2) / 2); truth rounded to doubles.
const erfcTable = [
  [-3, 1.9999779095030015],
  [-0.5, 1.5204998778130465],
  [1e-300, 1],
  [0.1, 0.887537083981715],
  [0.5, 0.4795001221869535],
  [1, 0.15729920705028513],
  [2.5, 0.0004069520174449589],
  [3.75, 1.1372725656979665e-7],
  [5, 1.537459794428035e-12],
  [10, 2.0884875837625446e-45],
  [20, 5.395865611607901e-176],
  [26.5, 2.2109076642637343e-307],
] as const;

const erfcxTable = [
  [-2, 108.94090438997797],
  [0.01, 0.9888154610463425],
  [0.3, 0.7345993345676552],
  [1, 0.427583576155807],
  [4, 0.13699945762506138],
  [9, 0.06230772403777468],
  [50, 0.011281536265323772],
  [1e4, 5.641895807268084e-5],
  [1e10, 5.641895835477563e-11],
  [1e300, 5.641895835477563e-301],
] as const;

const logTailTable = [
  [-8, -6.220960574271786e-16],
  [-1, -0.1727537790234499],
  [-0.1, -0.6165050101150263],
  [0.3, -0.9621028181688507],
  [2, -3.783184333682032],
  [8, -35.0134371599145],
  [37, -689.0305855768906],
  [100, -5005.524208694205],
  [1e5, -5000000012.431864],
] as const;

function relativeError(actual: number, truth: number): number {
  return Math.abs(actual / truth - 1);
}

describe('special functions', () => {
  it.each(erfcTable)('erfc(%d) is right to 2e-15', (x, truth) => {
    expect(relativeError(erfc(x), truth)).toBeLessThanOrEqual(2e-15);
  });

  it.each(erfcxTable)('erfcx(%d) is right to 2e-15', (x, truth) => {
    expect(relativeError(erfcx(x), truth)).toBeLessThanOrEqual(2e-15);
  });

  it.each(logTailTable)('logNormalTail(%d) is right to 4e-15', (x, truth) => {
    const error = Math.abs(logNormalTail(x) - truth);
    expect(error).toBeLessThanOrEqual(4e-15 * Math.max(Math.abs(truth), x < 0 ? 1e-1 : 1));
  });

  it('erfc() and erfcx() keep their ends', () => {
    expect([erfc(Infinity), erfc(-Infinity), erfc(40), erfcx(Infinity)]).toEqual([0, 2, 0, 0]);
    expect(erfcx(-30)).toBe(Infinity);
  });

  it('erfc(x) + erfc(-x) is 2 and erfc falls', () => {
    const number = fc.double({ min: -6, max: 6, noNaN: true });
    fc.assert(
      fc.property(number, number, (x, y) => {
        expect(Math.abs(erfc(x) + erfc(-x) - 2)).toBeLessThanOrEqual(1e-15);
        if (y > x) expect(erfc(y)).toBeLessThanOrEqual(erfc(x) * (1 + 1e-15));
      }),
    );
  });

  it('logSumExp() neither overflows nor forgets', () => {
    expect(logSumExp([])).toBe(-Infinity);
    expect(logSumExp([-Infinity, -Infinity])).toBe(-Infinity);
    expect(logSumExp([-2000, -2000])).toBe(-2000 + Math.LN2);
    expect(logSumExp([5, -Infinity])).toBe(5);
  });

  it.each([2, 3, 5, 8, 10, 24])('gaussLegendre(%d) is exact for its degree', count => {
    const { nodes, weights } = gaussLegendre(count);
    for (let power = 0; power < 2 * count; power += 1) {
      const sum = nodes.reduce((total, node, index) => total + weights[index]! * node ** power, 0);
      expect(Math.abs(sum - (power % 2 === 0 ? 2 / (power + 1) : 0))).toBeLessThanOrEqual(1e-14);
    }
  });
});
