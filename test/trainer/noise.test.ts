import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, sha256 } from '../../trainer/digest.ts';
import { edgeAt, expAbove, expBelow, finishDraw } from '../../trainer/noise-exact.ts';
import {
  acceptBits,
  boxBits,
  buildNoiseTable,
  columns,
  peakBoxes,
  tailBoxes,
  tailPiece,
} from '../../trainer/noise-table.ts';
import { addGaussianNoise, noiseGrid } from '../../trainer/noise.ts';
import { openBits, type RandomWords } from '../../trainer/randomness.ts';
import { chiSquareBounds, distanceFromNormal, isPlausibleCount, kolmogorovBound } from './statistics.ts';

function noise(count: number, options: { seed: number; standardDeviation?: number }): Float64Array {
  const sum = new Float64Array(count);
  const bits = openBits(new Uint8Array(32).fill(options.seed), 'noise');
  addGaussianNoise(sum, { standardDeviation: options.standardDeviation ?? 1, bits });
  return sum;
}

/** A generator that gives these words, taken out of the list, and zeros after them. */
const wordsOf = (words: number[]): RandomWords => ({
  fillWords(target): void {
    for (let index = 0; index < target.length; index += 1) target[index] = words.shift() ?? 0;
  },
});

const squares = (values: Float64Array): number => values.reduce((total, value) => total + value * value, 0);

describe('addGaussianNoise()', () => {
  it.each([1, 0.37, 12.5])('has the variance asked for (standard deviation %d)', standardDeviation => {
    const { lower, upper } = chiSquareBounds(200_001);
    const scaled = squares(noise(200_001, { seed: 1, standardDeviation })) / standardDeviation ** 2;
    expect(scaled).toBeGreaterThan(lower);
    expect(scaled).toBeLessThan(upper);
  });

  it('is Gaussian (Kolmogorov and Smirnov)', () => {
    expect(distanceFromNormal(noise(100_000, { seed: 2 }))).toBeLessThan(kolmogorovBound(100_000));
  });

  it('has Gaussian tails: as many values beyond 3 and 4 standard deviations as there should be', () => {
    const values = noise(1_000_000, { seed: 3 });
    for (const [threshold, probability] of [
      [3, 0.0026997960632602],
      [4, 6.334248366624e-5],
    ] as const) {
      const count = values.reduce((total, value) => total + (Math.abs(value) > threshold ? 1 : 0), 0);
      expect(isPlausibleCount(count, { trials: values.length, probability }), `${count}`).toBe(true);
    }
  });

  it('has uncorrelated neighbours: cosine and sine of one pair, and one pair and the next', () => {
    const values = noise(400_000, { seed: 4 });
    for (const lag of [1, 2]) {
      let product = 0;
      for (let index = 0; index + lag < values.length; index += 4)
        product += values[index]! * values[index + lag]!;
      // A product of independent standard normals is sub-exponential; 6 standard errors leave far less than 1e-6.
      expect(Math.abs(product)).toBeLessThan(6 * Math.sqrt(values.length / 4));
    }
  });

  it('adds to what is there, and adds nothing at standard deviation 0', () => {
    const sum = Float64Array.of(1, 2, 3);
    const bits = openBits(new Uint8Array(32), 'noise');
    addGaussianNoise(sum, { standardDeviation: 0, bits });
    expect([...sum]).toEqual([1, 2, 3]);
    addGaussianNoise(sum, { standardDeviation: 1e-3, bits });
    expect(sum.every((value, index) => value !== index + 1 && Math.abs(value - index - 1) < 0.01)).toBe(true);
  });

  it('leaves multiples of one public grid whatever was in the sum', () => {
    for (const standardDeviation of [1, 0.37, 12.5, 1e-9, 3e12]) {
      const grid = noiseGrid(standardDeviation);
      expect(standardDeviation / grid).toBeGreaterThanOrEqual(2 ** 22);
      expect(standardDeviation / grid).toBeLessThan(2 ** 23);
      const sum = Float64Array.from({ length: 3000 }, (_, index) => standardDeviation * Math.sin(index) * 3);
      addGaussianNoise(sum, { standardDeviation, bits: openBits(new Uint8Array(32).fill(7), 'noise') });
      expect(sum.every(value => Number.isInteger(value / grid))).toBe(true);
      expect(new Set(sum).size).toBeGreaterThan(2990);
    }
  });

  it('covers all residues of the grid alike, for a sum on the grid and one that is not', () => {
    for (const value of [0, 0.3, 1 / 3]) {
      const sum = new Float64Array(64_000).fill(value);
      addGaussianNoise(sum, { standardDeviation: 1, bits: openBits(new Uint8Array(32).fill(8), 'noise') });
      const counts = new Float64Array(64);
      for (const noised of sum) counts[(((noised * 2 ** 22) % 64) + 64) % 64]! += 1;
      const statistic = counts.reduce((total, count) => total + (count - 1000) ** 2 / 1000, 0);
      expect(statistic).toBeLessThan(chiSquareBounds(63).upper);
    }
  });

  it('keeps its bits, for sums of any size: a run that goes on repeats the noise of its last steps', () => {
    const sum = Float64Array.from(
      { length: 20_001 },
      (_, index) => (((index * 7919) % 1000) - 500) * 2 ** ((index % 40) - 12),
    );
    const bits = openBits(new Uint8Array(32).fill(9), 'noise');
    addGaussianNoise(sum, { standardDeviation: 0.37, bits });
    expect(sha256(bytesOf(sum))).toBe('eaae8dde3aeb712f60b0cf75c64c2bbf75797bb2ed83db644a34754ac9e8b305');
  });

  it('draws again where the words reject, and is finite at the ends of the generator', () => {
    const words = [0xffffffff, 0xffffffff, 0xffffffff, 0, 0x00000001, 0xffffffff];
    const sum = Float64Array.of(2);
    addGaussianNoise(sum, { standardDeviation: 1, bits: wordsOf(words) });
    expect(sum[0]).toBe(2 - 2 ** -6);
    expect(words).toEqual([]);
  });

  it('rounds the sum together with the noise, not before it', () => {
    const grid = noiseGrid(1);
    const noised = (value: number, words: number[]): number => {
      const sum = Float64Array.of(value * grid);
      addGaussianNoise(sum, { standardDeviation: 1, bits: wordsOf(words) });
      return sum[0]! / grid;
    };
    expect([2.75, -2.75, 2.25, -2.25].map(value => noised(value, []))).toEqual([3, -3, 2, -2]);
    // A fraction of 2^-18.2 columns is 0.22 grid steps.
    expect([2.4, -2.4].map(value => noised(value, [0, 2 ** 32 * 2 ** -18.2]))).toEqual([3, -2]);
    expect([2.4, -2.4].map(value => noised(value, [1, 2 ** 32 * 2 ** -18.2]))).toEqual([2, -3]);
  });

  it('refuses a sum that is not finite, and a standard deviation below 0', () => {
    const bits = openBits(new Uint8Array(32), 'noise');
    for (const value of [NaN, Infinity, -Infinity]) {
      expect(() => addGaussianNoise(Float64Array.of(value), { standardDeviation: 1, bits })).toThrow(
        expect.objectContaining({ code: 'INVALID_DATA' }),
      );
    }
    expect(() => addGaussianNoise(new Float64Array(1), { standardDeviation: -1, bits })).toThrow(
      'Cannot add noise: standardDeviation is -1.',
    );
  });

  it('differs between keys and between purposes of one key', () => {
    const first = noise(4, { seed: 5 });
    expect([...noise(4, { seed: 5 })]).toEqual([...first]);
    expect([...noise(4, { seed: 6 })]).not.toEqual([...first]);
  });
});

/** exp((column / 64)² / 2) as a fraction for `expBelow` and `expAbove`. */
const inverseBell = (column: number): { value: bigint; shift: number } => ({
  value: BigInt(column) ** 2n,
  shift: 13,
});

describe('expBelow() and expAbove()', () => {
  it('hold e to 60 digits between them', () => {
    const digits = 271828182845904523536028747135266249775724709369995957496696n;
    const scaled = (value: bigint): bigint => (value * 10n ** 59n) >> 256n;
    const one = { value: 1n, shift: 0 };
    expect(scaled(expBelow(one, 256))).toBe(digits);
    expect(scaled(expAbove(one, 256))).toBe(digits);
    expect(expBelow(one, 256)).toBeLessThan(expAbove(one, 256));
  });

  it('lie on either side of Math.exp, and close together', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 20 }), value => {
        const y = { value: BigInt(value), shift: 14 };
        const [below, above] = [expBelow(y, 128), expAbove(y, 128)];
        expect(below).toBeLessThan(above);
        expect(Number(above - below) / Number(below)).toBeLessThan(2 ** -100);
        expect(Math.abs(Number(below) / 2 ** 128 / Math.exp(value / 2 ** 14) - 1)).toBeLessThan(2 ** -45);
      }),
    );
  });
});

describe('buildNoiseTable()', () => {
  const table = buildNoiseTable();
  const one = 1n << 128n;

  it('covers the bell with its columns, and with its tail however far out', () => {
    for (let column = 0; column < columns; column += 1) {
      // height >= peak × bell, as height × inverse bell >= peak.
      const covered = BigInt(table.heights[column]!) * expBelow(inverseBell(column), 128);
      expect(covered).toBeGreaterThanOrEqual(BigInt(peakBoxes) * one);
    }
    for (let piece = 0; piece < 200; piece += 1) {
      // tailBoxes × 2^-(piece + 1) boxes over the columns of a piece.
      const covered = BigInt(tailBoxes) * expBelow(inverseBell(columns + tailPiece * piece), 128);
      expect(covered).toBeGreaterThanOrEqual(BigInt(peakBoxes * tailPiece) * (one << BigInt(piece + 1)));
    }
  });

  it('is sure only of what lies under the bell all over a column', () => {
    for (let column = 0; column < columns; column += 1) {
      const { heights, sure } = table;
      const reach = BigInt(sure[column]! * heights[column]!) * expAbove(inverseBell(column + 1), 128);
      expect(reach).toBeLessThanOrEqual((BigInt(peakBoxes) * one) << BigInt(acceptBits));
    }
  });

  it('gives every column its boxes, and the whole fits the bits that choose a box', () => {
    const counts = new Uint16Array(columns);
    for (const column of table.boxes.subarray(0, table.columnBoxes)) counts[column]! += 1;
    expect(counts).toEqual(table.heights);
    expect(table.boxes.length).toBe(table.columnBoxes + tailBoxes);
    expect(table.boxes.length).toBeLessThanOrEqual(2 ** boxBits);
    expect(table.boxes.length).toBeGreaterThan(0.99 * 2 ** boxBits);
  });
});

describe('a draw that the first words do not settle', () => {
  const table = buildNoiseTable();
  const further = (words: number[]): { next: () => number } => ({ next: () => words.shift() ?? 0 });
  const wordFor = (column: number, accepting: number): number =>
    ((table.boxes.indexOf(column) << (32 - boxBits)) | (accepting << 1)) >>> 0;

  it('comes out as endless bits would have it, near the bell and near the middle between two points of the grid', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: columns - 1 }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.integer({ min: -1, max: 1 }),
        fc.double({ min: -0.999, max: 0.999, noNaN: true }),
        fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 8, maxLength: 8 }),
        (column, fraction, offset, rest, more) => {
          // Two words of the place and one of the chance decide more than a test can tell apart.
          const x = (column + fraction / 2 ** 32) / 64;
          const edge = (2 ** acceptBits * peakBoxes * Math.exp((-x * x) / 2)) / table.heights[column]!;
          const accepting = Math.min(2 ** acceptBits - 1, Math.max(0, Math.floor(edge) + offset));
          const columnWidth = 70_001.25;
          const source = further([...more]);
          const drawn = finishDraw(
            { word: wordFor(column, accepting), fraction, rest, columnWidth },
            { table, source },
          );
          if (offset !== 0) expect(drawn !== undefined).toBe(offset < 0);
          expect(edgeAt(table, { column, fraction })).toBeCloseTo(edge, 6);
          if (drawn === undefined) return;
          const least = rest + columnWidth * (column + fraction / 2 ** 32);
          expect(drawn).toBeGreaterThanOrEqual(Math.floor(least + 0.5 - 1e-6));
          expect(drawn).toBeLessThanOrEqual(Math.floor(least + columnWidth / 2 ** 32 + 0.5 + 1e-6));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is accepted, rejected and rounded alike by the quick way, which leaves to it what it cannot tell', () => {
    const grid = noiseGrid(1);
    const outcomes = new Set<string>();
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: columns - 1 }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.integer({ min: -3000, max: 3000 }),
        fc.integer({ min: 0, max: 1 }),
        (column, fraction, offset, sign) => {
          const edge = edgeAt(table, { column, fraction });
          const accepting = Math.min(2 ** acceptBits - 1, Math.max(0, Math.floor(edge) + offset));
          const word = wordFor(column, accepting) + sign;
          const columnWidth = 1 / grid / 64;
          const exact = finishDraw({ word, fraction, rest: 0, columnWidth }, { table, source: further([]) });
          const sum = new Float64Array(1);
          addGaussianNoise(sum, { standardDeviation: 1, bits: wordsOf([word, fraction]) });
          // Zeros follow: a draw that is rejected is followed by one of noise 0.
          expect(sum[0]! / grid).toBe(exact ?? 0);
          outcomes.add(`${exact === undefined} ${accepting < table.sure[column]!}`);
        },
      ),
      { numRuns: 600 },
    );
    expect([...outcomes].toSorted()).toEqual(['false false', 'false true', 'true false']);
  });

  it('is asked by the quick way where only further bits can tell', () => {
    for (let column = 10; column < 250; column += 10) {
      const fraction = 2 ** 31;
      const accepting = Math.floor(edgeAt(table, { column, fraction }));
      const sum = new Float64Array(1);
      // The highest chance bits, which lie above the bell; zeros follow, for a draw of noise 0.
      const words = [wordFor(column, accepting), fraction, 0, 2 ** 32 - 1];
      addGaussianNoise(sum, { standardDeviation: 1, bits: wordsOf(words) });
      expect(sum[0]).toBe(0);
    }
  });

  it('takes the chance bits that lie on the bell by the bits that follow', () => {
    const column = 100;
    const x = (column + 0.5) / 64;
    const edge = (2 ** acceptBits * peakBoxes * Math.exp((-x * x) / 2)) / table.heights[column]!;
    const draw = { word: wordFor(column, Math.floor(edge)), fraction: 2 ** 31, rest: 0, columnWidth: 65_536 };
    const next = Math.floor((edge - Math.floor(edge)) * 2 ** 32);
    const decide = (chance: number): number | undefined =>
      finishDraw(draw, { table, source: further([0, chance]) });
    expect(decide(next - 2 ** 10)).toBe(65_536 * 100.5);
    expect(decide(next + 2 ** 10)).toBeUndefined();
  });

  it('rounds by the bits that follow where the first lead to a middle', () => {
    // 100.5 columns of 65537 end in 1/2; what is added to it decides.
    const draw = { word: wordFor(100, 0), fraction: 2 ** 31, columnWidth: 65_537 };
    const round = (rest: number, words: number[]): number | undefined =>
      finishDraw({ ...draw, rest }, { table, source: further(words) });
    expect(round(0, [])).toBe(65_537 * 100.5 + 0.5);
    expect(round(-(2 ** -60), [0, 0, 0])).toBe(65_537 * 100.5 - 0.5);
    expect(round(-(2 ** -60), [2 ** 31])).toBe(65_537 * 100.5 + 0.5);
    expect(round(-(2 ** -17), [2 ** 30])).toBe(65_537 * 100.5 - 0.5);
    const negative = { ...draw, word: draw.word + 1 };
    expect(finishDraw({ ...negative, rest: 0 }, { table, source: further([0, 1]) })).toBe(
      -65_537 * 100.5 - 0.5,
    );
  });

  it('goes into the tail piece by piece, each half as likely', () => {
    const word = (table.columnBoxes << (32 - boxBits)) >>> 0;
    const tail = (zeros: number): number | undefined =>
      finishDraw(
        { word, fraction: 0, rest: 0, columnWidth: 65_536 },
        { table, source: further([2 ** (31 - zeros)]) },
      );
    expect(tail(0)).toBe(65_536 * 256);
    expect(tail(1)).toBe(65_536 * 268);
    expect(tail(3)).toBe(65_536 * 292);
    const middle = { word, fraction: 2 ** 31, rest: 0, columnWidth: 65_536 };
    expect(finishDraw(middle, { table, source: further([2 ** 31]) })).toBe(65_536 * 262);
    const certain = word + (((2 ** acceptBits - 1) << 1) >>> 0);
    expect(
      finishDraw(
        { word: certain, fraction: 0, rest: 0, columnWidth: 65_536 },
        { table, source: further([1]) },
      ),
    ).toBeUndefined();
  });
});
