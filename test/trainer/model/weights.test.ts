import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  brainFloatToNumber,
  halfToNumber,
  readSafetensors,
  writeSafetensors,
} from '../../../trainer/model/safetensors.ts';
import { loadModel, saveModel, type Provenance } from '../../../trainer/model/weights.ts';
import { livelyModel, tinyFull, tinyLora } from '../../support/model-batches.ts';

const provenance: Provenance = {
  trainedOn: 'private',
  tokenizer: 'bytes',
  guarantee: { epsilon: 8, delta: 1e-5 },
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'privacy-unit-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A safetensors file with that header text and those bytes. */
function writeRaw(path: string, { header, data }: { header: string; data: Uint8Array }): void {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  writeFileSync(path, Buffer.concat([length, Buffer.from(header), data]));
}

describe('readSafetensors()', () => {
  it('reads back what writeSafetensors() wrote, bit for bit', async () => {
    const path = join(folder, 'values.safetensors');
    const values = Float32Array.of(0, -0, 1.5, NaN, Infinity, -Infinity, 1e-45, 3.4e38);
    const empty = { shape: [0, 3], data: new Float32Array(0) };
    await writeSafetensors(path, [
      ['é.weight', { shape: [2, 4], data: values }],
      ['empty', empty],
    ]);
    const read = await readSafetensors(path);
    expect([...read.keys()]).toEqual(['é.weight', 'empty']);
    expect(read.get('é.weight')).toEqual({ shape: [2, 4], data: values });
    expect(read.get('empty')).toEqual(empty);
  });

  it('begins the data at a multiple of 8 bytes', async () => {
    for (const name of ['a', 'ab', 'abc', 'abcdefg']) {
      await writeSafetensors(join(folder, name), [[name, { shape: [1], data: Float32Array.of(1) }]]);
      expect(Number(readFileSync(join(folder, name)).readBigUInt64LE(0)) % 8).toBe(0);
    }
  });

  it('widens F16, BF16 and F64, and passes over other types', async () => {
    const path = join(folder, 'mixed.safetensors');
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
    const values = [...read].map(([name, tensor]) => [name, [...tensor.data]]);
    expect(Object.fromEntries(values)).toEqual({
      half: [1, -2],
      brain: [1.5, -123.5],
      double: [Math.fround(0.1)],
    });
  });

  it.each([
    ['a header longer than the file', { header: ' '.repeat(4), length: 400n }, 'its header claims 400 of'],
    ['a header that is no JSON', { header: '{"a":' }, 'is no JSON object'],
    ['a header that is no object', { header: '7' }, 'is no JSON object'],
    ['an entry without offsets', { header: '{"a":{"dtype":"F32","shape":[1]}}' }, 'describes a wrongly'],
    [
      'offsets beyond the file',
      { header: '{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}' },
      'the bytes 0 to 36',
    ],
    [
      'offsets that contradict the shape',
      { header: '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}' },
      'for 2 values',
    ],
  ])('refuses %s', async (_, { header, length }: { header: string; length?: bigint }, reason) => {
    const path = join(folder, 'broken.safetensors');
    writeRaw(path, { header, data: new Uint8Array(4) });
    if (length !== undefined) {
      const bytes = readFileSync(path);
      bytes.writeBigUInt64LE(length);
      writeFileSync(path, bytes);
    }
    await expect(readSafetensors(path)).rejects.toThrow(reason);
  });

  it('refuses an empty file and one that is not there', async () => {
    writeFileSync(join(folder, 'empty'), '');
    await expect(readSafetensors(join(folder, 'empty'))).rejects.toMatchObject({ code: 'INVALID_DATA' });
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

describe('saveModel(), loadModel()', () => {
  it.each([
    ['full', tinyFull],
    ['LoRA', tinyLora],
  ])('give back a model with everything it says of itself, %s', async (_, spec) => {
    const model = { ...livelyModel(spec, 1), provenance };
    await saveModel(join(folder, 'model'), model);
    expect(await loadModel(join(folder, 'model'))).toEqual(model);
    expect(readdirSync(join(folder, 'model')).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'provenance.json',
    ]);
  });

  it('replace a model that lies there', async () => {
    await saveModel(folder, { ...livelyModel(tinyFull, 1), provenance });
    const second = {
      ...livelyModel(tinyFull, 2),
      provenance: { ...provenance, trainedOn: 'public' as const },
    };
    await saveModel(folder, second);
    expect(await loadModel(folder)).toEqual(second);
  });

  it('write what Hugging Face calls a GPT-2', async () => {
    await saveModel(folder, { ...livelyModel(tinyFull, 1), provenance });
    expect(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))).toMatchObject({
      model_type: 'gpt2',
      vocab_size: 11,
      n_positions: 7,
      n_layer: 2,
      n_embd: 8,
      n_head: 2,
      activation_function: 'gelu_new',
    });
    const tensors = await readSafetensors(join(folder, 'model.safetensors'));
    expect(tensors.get('transformer.h.1.attn.c_attn.weight')!.shape).toEqual([8, 24]);
  });

  it('read a checkpoint without the prefix and with masks, if somebody vouches for it', async () => {
    const model = livelyModel(tinyFull, 4);
    await saveModel(folder, { ...model, provenance });
    const tensors = await readSafetensors(join(folder, 'model.safetensors'));
    const bare = [...tensors].map(([name, tensor]) => [name.replace('transformer.', ''), tensor] as const);
    const mask = ['h.0.attn.bias', { shape: [1], data: Float32Array.of(1) }] as const;
    await writeSafetensors(join(folder, 'model.safetensors'), [mask, ...bare]);
    rmSync(join(folder, 'provenance.json'));
    await expect(loadModel(folder)).rejects.toMatchObject({ code: 'MISSING_FILE' });
    const vouched = { trainedOn: 'public', tokenizer: 'gpt2' } as const;
    expect(await loadModel(folder, { provenance: vouched })).toEqual({ ...model, provenance: vouched });
  });

  it('believe the folder before the one who vouches', async () => {
    await saveModel(folder, { ...livelyModel(tinyFull, 1), provenance });
    const claimed = { trainedOn: 'public', tokenizer: 'bytes' } as const;
    expect((await loadModel(folder, { provenance: claimed })).provenance).toEqual(provenance);
    writeFileSync(join(folder, 'provenance.json'), '{"trainedOn":"unknown"}');
    await expect(loadModel(folder, { provenance: claimed })).rejects.toThrow('names no trainedOn');
  });

  it.each([
    ['another architecture', { model_type: 'llama' }, 'model_type "llama", not "gpt2"'],
    ['another activation', { activation_function: 'relu' }, 'activation_function "relu"'],
    ['another size', { n_embd: 16 }, 'has shape [11, 8], expected [11, 16]'],
    ['more layers', { n_layer: 3 }, 'h.2.ln_1.weight is missing'],
    ['no size', { n_head: undefined }, 'heads is NaN'],
  ])('refuse %s', async (_, change, reason) => {
    await saveModel(folder, { ...livelyModel(tinyFull, 1), provenance });
    const path = join(folder, 'config.json');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }));
    await expect(loadModel(folder)).rejects.toThrow(reason);
  });

  it('refuse a folder whose writing was cut short', async () => {
    await saveModel(folder, { ...livelyModel(tinyFull, 1), provenance });
    rmSync(join(folder, 'config.json'));
    await expect(loadModel(folder)).rejects.toMatchObject({ code: 'MISSING_FILE' });
  });
});
