import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  packUnits,
  paddedTokens,
  physicalLimits,
  powerOfTwoAbove,
  type MicroBatch,
  type PackOptions,
  type UnitRows,
} from '../../trainer/batches.ts';

const options: PackOptions = { contextLength: 48, endOfText: 99, limits: { tokens: 256, units: 8 } };

/** Units of rows with recognisable, all different first tokens. */
const unitsArbitrary = fc
  .array(fc.array(fc.integer({ min: 1, max: 70 }), { maxLength: 12 }), { maxLength: 30 })
  .map(units => {
    let next = 1000;
    return units.map(rows => rows.map(length => new Int32Array(length).fill((next += 1))));
  });

interface PlacedRow {
  readonly batch: MicroBatch;
  readonly unit: number;
  readonly tokens: number[];
  readonly inputs: number[];
  readonly weights: number[];
}

function rowsOf(batch: MicroBatch): PlacedRow[] {
  const { units, rowsPerUnit, tokens } = batch.shape;
  return Array.from({ length: units * rowsPerUnit }, (_, row) => {
    const range = [row * tokens, (row + 1) * tokens] as const;
    const weights = [...batch.tokenWeights.subarray(...range)];
    const read = weights.filter(weight => weight > 0).length;
    return {
      batch,
      unit: Math.floor(row / rowsPerUnit),
      tokens: [...batch.targetIds.subarray(...range)].slice(0, read),
      inputs: [...batch.inputIds.subarray(...range)].slice(0, read),
      weights: weights.slice(0, read),
    };
  }).filter(row => row.tokens.length > 0);
}

const isPower = (value: number): boolean => Number.isInteger(Math.log2(value));
const placed = (units: readonly UnitRows[]): PlacedRow[] => {
  const packed = packUnits(units, options);
  return [...packed.batches, ...packed.oversized.flat()].flatMap(rowsOf);
};

describe('packUnits()', () => {
  it('reads every row once, cut to the context, each target after its own input', () => {
    fc.assert(
      fc.property(unitsArbitrary, units => {
        const rows = placed(units);
        const expected = units.flat().map(row => [...row.subarray(0, 48)]);
        const sort = (lists: number[][]): number[][] => lists.sort((a, b) => a[0]! - b[0]!);
        expect(sort(rows.map(row => row.tokens))).toEqual(sort(expected));
        for (const row of rows) expect(row.inputs).toEqual([99, ...row.tokens.slice(0, -1)]);
      }),
    );
  });

  it('puts a unit whole into one place of one run, or into the parts of one oversized unit', () => {
    fc.assert(
      fc.property(unitsArbitrary, units => {
        const packed = packUnits(units, options);
        const homes = [
          ...packed.batches.flatMap(batch => {
            const rows = rowsOf(batch);
            return Array.from({ length: batch.shape.units }, (_, unit) =>
              rows.filter(row => row.unit === unit),
            );
          }),
          ...packed.oversized.map(parts => parts.flatMap(rowsOf)),
        ];
        const found = homes
          .filter(rows => rows.length > 0)
          .map(rows => rows.map(row => row.tokens[0]!).sort((a, b) => a - b));
        const expected = units.filter(rows => rows.length > 0).map(rows => rows.map(row => row[0]));
        const sort = (lists: (number | undefined)[][]): (number | undefined)[][] =>
          lists.sort((a, b) => a[0]! - b[0]!);
        expect(sort(found)).toEqual(sort(expected));
      }),
    );
  });

  it("weights a unit's tokens by 1 / (records × tokens read), so that they sum to 1", () => {
    fc.assert(
      fc.property(unitsArbitrary, units => {
        const recordsOf = new Map(units.flatMap(rows => rows.map(row => [row[0]!, rows.length] as const)));
        for (const row of placed(units)) {
          const weight = Math.fround(1 / (recordsOf.get(row.tokens[0]!)! * row.tokens.length));
          expect(row.weights.every(value => value === weight)).toBe(true);
        }
      }),
    );
  });

  it('keeps within the limits, with less than half of the places empty', () => {
    fc.assert(
      fc.property(unitsArbitrary, units => {
        const packed = packUnits(units, options);
        for (const { shape, unitsFilled } of [...packed.batches, ...packed.oversized.flat()]) {
          expect(isPower(shape.tokens) || shape.tokens === 48).toBe(true);
          expect(shape.units * shape.rowsPerUnit * shape.tokens).toBeLessThanOrEqual(256);
          expect(shape.units).toBeLessThanOrEqual(Math.min(8, 2 * unitsFilled - 1));
        }
        expect(packed.batches.every(batch => isPower(batch.shape.rowsPerUnit))).toBe(true);
        for (const parts of packed.oversized) {
          expect(parts.length).toBeGreaterThan(0);
          expect(parts.every(part => part.shape.units === 1)).toBe(true);
        }
      }),
    );
  });

  it('comes by with few shapes, whatever is drawn: each is compiled and kept', () => {
    const shapes = new Set<string>();
    const drawn = fc.array(fc.array(fc.integer({ min: 1, max: 48 }), { minLength: 1, maxLength: 4 }), {
      maxLength: 40,
    });
    for (const units of fc.sample(drawn, 300)) {
      const rows = units.map(lengths => lengths.map(length => new Int32Array(length)));
      for (const { shape } of packUnits(rows, options).batches) shapes.add(JSON.stringify(shape));
    }
    // Three numbers of rows, three lengths, and up to eight places in halves.
    expect(shapes.size).toBeLessThanOrEqual(3 * 3 * 4);
  });

  it('pads no unit beyond the most rows that there are', () => {
    const users = [3, 5, 6].map(rows => Array.from({ length: rows }, () => new Int32Array(10)));
    const rowsPerUnit = (mostRows: number): number[] =>
      packUnits(users, { ...options, mostRows }).batches.map(batch => batch.shape.rowsPerUnit);
    expect(rowsPerUnit(6)).toEqual([4, 6]);
    expect(rowsPerUnit(100)).toEqual([4, 8]);
    expect(rowsPerUnit(4)).toEqual([4, 8]);
  });

  it('has nothing to run where nobody was drawn, or those drawn have no rows', () => {
    expect(packUnits([], options)).toEqual({ batches: [], oversized: [] });
    expect(packUnits([[], []], options)).toEqual({ batches: [], oversized: [] });
  });
});

describe('shapes', () => {
  it('paddedTokens() is a power of two of at least 16, or the context', () => {
    expect([1, 16, 17, 33, 48, 500].map(length => paddedTokens(length, 48))).toEqual([
      16, 16, 32, 48, 48, 48,
    ]);
    expect(paddedTokens(3, 8)).toBe(8);
  });

  it('physicalLimits() always leaves room for one whole row', () => {
    fc.assert(
      fc.property(
        fc.record({
          vocabularySize: fc.integer({ min: 2, max: 300_000 }),
          contextLength: fc.integer({ min: 1, max: 4096 }),
        }),
        model => {
          const { tokens, units } = physicalLimits(model);
          expect(tokens).toBeGreaterThanOrEqual(model.contextLength);
          expect(isPower(tokens) && isPower(units)).toBe(true);
          expect(
            tokens * model.vocabularySize <= 2 ** 26 || tokens === powerOfTwoAbove(model.contextLength),
          ).toBe(true);
        },
      ),
    );
  });
});
