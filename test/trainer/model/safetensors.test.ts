import * as fc from 'fast-check';
import { mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  brainFloatToNumber,
  fromBrainFloats,
  fromHalves,
  halfToNumber,
  toBrainFloats,
  toHalves,
} from '../../../trainer/model/half.ts';
import {
  openSafetensors,
  readSafetensors,
  writeSafetensors,
  type TensorToWrite,
} from '../../../trainer/model/safetensors.ts';
import { rawFloats, writeRaw, writeRawTensors } from '../../support/raw-safetensors.ts';

const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-'));
const path = join(folder, 'values.safetensors');

function tensor(name: string, shape: readonly number[], values: Float32Array): TensorToWrite {
  return { name, shape, data: () => values };
}

/** Equal bit for bit; vitest takes seconds for long arrays. */
function same(left: Float32Array, right: Float32Array): boolean {
  return Buffer.compare(Buffer.from(left.buffer), Buffer.from(right.buffer)) === 0;
}

describe('writeSafetensors(), readSafetensors()', () => {
  it('give back values bit for bit', async () => {
    const values = Float32Array.of(0, -0, 1.5, NaN, Infinity, -Infinity, 1e-45, 3.4e38);
    const none = new Float32Array(0);
    await writeSafetensors(path, [tensor('é.weight', [2, 4], values), tensor('empty', [0, 3], none)]);
    const read = await readSafetensors(path);
    expect([...read.keys()]).toEqual(['é.weight', 'empty']);
    expect(read.get('é.weight')).toEqual({ shape: [2, 4], data: values });
    expect(read.get('empty')).toEqual({ shape: [0, 3], data: none });
  });

  it('begin the data at a multiple of 8 bytes', async () => {
    for (const name of ['a', 'ab', 'abc', 'abcdefg', 'é']) {
      await writeSafetensors(path, [tensor(name, [1], Float32Array.of(1))]);
      expect(Number(readFileSync(path).readBigUInt64LE(0)) % 8).toBe(0);
    }
  });

  it('carry texts in the metadata', async () => {
    await writeSafetensors(path, [tensor('a', [1], Float32Array.of(1))], { metadata: { note: '"é"' } });
    const file = await openSafetensors(path);
    expect(file.metadata).toEqual({ format: 'pt', note: '"é"' });
    await file.close();
  });

  it.each([
    ['float16', toHalves, fromHalves],
    ['bfloat16', toBrainFloats, fromBrainFloats],
  ] as const)('round to %s, also beyond one piece of the file', async (type, to, from) => {
    const values = Float32Array.from({ length: 700_001 }, (_, index) => Math.sin(index) * 100);
    await writeSafetensors(path, [tensor('a', [700_001], values)], { type });
    const rounded = from(to(values));
    expect(same((await readSafetensors(path)).get('a')!.data, rounded)).toBe(true);
    const file = await openSafetensors(path);
    expect(await file.equals('a', rounded)).toBe(true);
    expect(await file.equals('a', values)).toBe(false);
    expect(await file.equals('a', rounded.subarray(1))).toBe(false);
    rounded[700_000]! += 1;
    expect(await file.equals('a', rounded)).toBe(false);
    await file.close();
  });
});

describe('readSafetensors()', () => {
  it('widens F16, BF16 and F64, and passes over other types', async () => {
    const header = JSON.stringify({
      half: { dtype: 'F16', shape: [2], data_offsets: [0, 4] },
      brain: { dtype: 'BF16', shape: [2], data_offsets: [4, 8] },
      double: { dtype: 'F64', shape: [], data_offsets: [8, 16] },
      mask: { dtype: 'BOOL', shape: [2], data_offsets: [16, 18] },
    });
    const data = Buffer.alloc(18);
    [0x3c00, 0xc000, 0x3fc0, 0xc2f7].forEach((bits, index) => data.writeUInt16LE(bits, 2 * index));
    data.writeDoubleLE(0.1, 8);
    writeRaw(path, { header, data });
    const read = await readSafetensors(path);
    const values = [...read].map(([name, { data: found }]) => [name, [...found]]);
    expect(Object.fromEntries(values)).toEqual({
      half: [1, -2],
      brain: [1.5, -123.5],
      double: [Math.fround(0.1)],
    });
    const file = await openSafetensors(path);
    await expect(file.read('mask')).rejects.toThrow('mask has type BOOL');
    await expect(file.read('other')).rejects.toThrow('holds no other');
    await file.close();
  });

  const entry = (start: number, end: number, dtype = 'F32'): object => {
    return { dtype, shape: [(end - start) / 4], data_offsets: [start, end] };
  };

  it.each([
    ['a header longer than the file', '    ', { length: 400n }, 'its header claims 400 of'],
    ['a header of billions of bytes', '    ', { length: 1n << 62n }, 'its header claims 46116860184273'],
    ['a header that is no JSON', '{"a":', {}, 'is no JSON object'],
    ['a header that is no object', '7', {}, 'is no JSON object'],
    ['an entry without offsets', '{"a":{"dtype":"F32","shape":[1]}}', {}, 'describes a wrongly'],
    ['a negative size', '{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', {}, 'describes a wrongly'],
    ['offsets beyond the file', JSON.stringify({ a: entry(0, 36) }), {}, 'a claims the bytes 0 to 36, of 16'],
    [
      'offsets that contradict the shape',
      '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,16]}}',
      {},
      'a claims the bytes 0 to 16 for 2 values of type F32',
    ],
    [
      'offsets that run backwards',
      '{"a":{"dtype":"F32","shape":[1],"data_offsets":[16,12]}}',
      {},
      'a claims the bytes 16 to 12',
    ],
    [
      'tensors that share bytes',
      JSON.stringify({ a: entry(0, 12), b: entry(8, 16) }),
      {},
      'b claims the bytes 8 to 16, those before 12 are taken',
    ],
    [
      'bytes between tensors that belong to none',
      JSON.stringify({ a: entry(0, 4), b: entry(8, 16) }),
      {},
      'the bytes 4 to 8 belong to no tensor',
    ],
    ['bytes after the last tensor', JSON.stringify({ a: entry(0, 12) }), {}, 'the bytes 12 to 16 belong to'],
    ['an unknown type', JSON.stringify({ a: entry(0, 16, 'F33') }), {}, 'a has the unknown type F33'],
    [
      'a name twice',
      `{"a":${JSON.stringify(entry(0, 16))},"\\u0061":${JSON.stringify(entry(0, 16))}}`,
      {},
      'its header has "a" twice',
    ],
    ['metadata that are no texts', '{"__metadata__":{"x":1}}', {}, '__metadata__ holds more than texts'],
  ])('refuses %s', async (_, header, { length }: { length?: bigint }, reason) => {
    writeRaw(path, { header, data: new Uint8Array(16) });
    if (length !== undefined) {
      const bytes = readFileSync(path);
      bytes.writeBigUInt64LE(length);
      writeFileSync(path, bytes);
    }
    const refused = { code: 'INVALID_DATA', message: expect.stringContaining(reason) };
    await expect(readSafetensors(path)).rejects.toMatchObject(refused);
  });

  it('refuses a file that was cut short, wherever', async () => {
    writeRawTensors(path, [rawFloats('a', [3], [1, 2, 3]), rawFloats('b', [1], [4])]);
    const whole = readFileSync(path);
    for (let size = 0; size < whole.length; size += 3) {
      writeFileSync(path, whole);
      truncateSync(path, size);
      await expect(readSafetensors(path)).rejects.toMatchObject({ code: 'INVALID_DATA' });
    }
  });

  it('refuses a file that is not there', async () => {
    await expect(readSafetensors(join(folder, 'none'))).rejects.toMatchObject({ code: 'MISSING_FILE' });
  });
});

describe('halfToNumber(), brainFloatToNumber()', () => {
  it.each([
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, (1023 / 1024) * 2 ** -14],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x7bff, 65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
    [0x7e00, NaN],
  ])('half precision %i is %d', (bits, value) => {
    expect(halfToNumber(bits)).toBe(value);
  });

  it.each([
    [0x3f80, 1],
    [0xbf80, -1],
    [0x7f80, Infinity],
    [0x7fc0, NaN],
    [0x0001, 2 ** -133],
    [0x4049, 3.140625],
  ])('bfloat16 %i is %d', (bits, value) => {
    expect(brainFloatToNumber(bits)).toBe(value);
  });
});

describe.each([
  ['half precision', toHalves, fromHalves, halfToNumber],
  ['bfloat16', toBrainFloats, fromBrainFloats, brainFloatToNumber],
] as const)('rounding to %s', (_, to, from, toNumber) => {
  const all = Uint16Array.from({ length: 0x1_0000 }, (_, bits) => bits);

  it('gives back each of its numbers', () => {
    const values = from(all);
    const back = to(values);
    const odd = Array.from(all).filter(bits => !Object.is(values[bits], toNumber(bits)));
    const changed = Array.from(all).filter(bits => back[bits] !== bits && !Number.isNaN(values[bits]));
    expect({ odd, changed }).toEqual({ odd: [], changed: [] });
    expect(Number.isNaN(from(to(Float32Array.of(NaN)))[0])).toBe(true);
  });

  it('goes to the nearest, to the even one of two', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xfffe }), fc.integer({ min: -1, max: 1 }), (bits, side) => {
        const [low, high] = [toNumber(bits), toNumber(bits + 1)];
        fc.pre(Number.isFinite(low) && Number.isFinite(high));
        const middle = (low + high) / 2;
        const near = Float32Array.of(middle + (side * (high - low)) / 16);
        const nearest = side === 0 ? bits + (bits % 2) : side < 0 ? bits : bits + 1;
        expect(to(near)[0]).toBe(nearest);
      }),
      { numRuns: 2000, seed: 5 },
    );
  });
});
