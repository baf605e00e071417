import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fromBrainFloats, fromHalves, toBrainFloats, toHalves } from '../../../trainer/model/half.ts';
import type { Model } from '../../../trainer/model/gpt.ts';
import { mergeLora } from '../../../trainer/model/lora.ts';
import { readSafetensors } from '../../../trainer/model/safetensors.ts';
import { loadModel, saveModel, type Provenance } from '../../../trainer/model/weights.ts';
import {
  changeJson,
  huggingFaceConfig,
  rawParameters,
  readJson,
  writeCheckpoint,
} from '../../support/checkpoints.ts';
import { livelyModel, tinyFull, tinyLora } from '../../support/model-batches.ts';
import { rawBrainFloats, rawFloats, writeRawTensors } from '../../support/raw-safetensors.ts';

const provenance: Provenance = {
  trainedOn: 'private',
  tokenizer: 'bytes',
  guarantee: { epsilon: 8, delta: 1e-5 },
};
const vouched: Provenance = { trainedOn: 'public', tokenizer: 'tokenizer.json' };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'privacy-unit-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function weights(...name: string[]): string {
  return join(folder, ...name, 'model.safetensors');
}

/** Refused as invalid data, with that reason. */
async function expectRefusal(reason: string, code = 'INVALID_DATA'): Promise<void> {
  const refused = { code, message: expect.stringContaining(reason) };
  await expect(loadModel(folder, { provenance: vouched })).rejects.toMatchObject(refused);
}

/** The parameters of a model after rounding. */
function rounded({ parameters }: Model, round: (values: Float32Array) => Float32Array): Model['parameters'] {
  return new Map([...parameters].map(([name, values]) => [name, round(values)]));
}

describe('saveModel(), loadModel()', () => {
  it.each([
    ['full', tinyFull],
    ['LoRA', tinyLora],
  ])('give back a model with everything it says of itself, %s', async (_, spec) => {
    const model = { ...livelyModel(spec, 1), provenance };
    await saveModel(join(folder, 'model'), model);
    const { source, ...loaded } = await loadModel(join(folder, 'model'));
    expect(loaded).toEqual(model);
    expect([...loaded.parameters.keys()]).toEqual([...model.parameters.keys()]);
    expect(source?.folder).toBe(join(folder, 'model'));
    const files = ['config.json', 'model.safetensors', 'provenance.json'];
    expect(readdirSync(join(folder, 'model')).sort()).toEqual(files);
  });

  it.each([
    ['float16', (values: Float32Array) => fromHalves(toHalves(values))],
    ['bfloat16', (values: Float32Array) => fromBrainFloats(toBrainFloats(values))],
  ] as const)('lose nothing but the rounding as %s', async (type, round) => {
    const model = { ...livelyModel(tinyFull, 1), provenance };
    await saveModel(folder, model, { type });
    const loaded = await loadModel(folder);
    expect(loaded.parameters).toEqual(rounded(model, round));
    expect(readJson(join(folder, 'config.json'))['torch_dtype']).toBe(type);
    await saveModel(folder, loaded, { type });
    expect((await loadModel(folder)).parameters).toEqual(loaded.parameters);
  });

  it('refuse to make a value infinite by rounding it', async () => {
    const model = { ...livelyModel(tinyFull, 1), provenance };
    model.parameters.get('transformer.h.1.mlp.c_fc.bias')![3] = -65_520;
    await expect(saveModel(folder, model, { type: 'float16' })).rejects.toThrow(
      'value 3 of transformer.h.1.mlp.c_fc.bias is -65520, too large for float16',
    );
    expect(readdirSync(folder)).toEqual([]);
    await saveModel(folder, model, { type: 'bfloat16' });
  });

  it('merge adapters, without touching those in memory', async () => {
    const model = { ...livelyModel(tinyLora, 1), provenance };
    const before = structuredClone(model.parameters);
    await saveModel(folder, model, { layout: 'merged' });
    const merged = mergeLora(model);
    const { spec, parameters } = await loadModel(folder);
    expect({ spec, parameters }).toEqual({ spec: merged.spec, parameters: merged.parameters });
    expect(readJson(join(folder, 'config.json'))['model_type']).toBe('gpt2');
    expect(model.parameters).toEqual(before);
  });

  it('give adapters in full a name that other programs refuse', async () => {
    await saveModel(folder, { ...livelyModel(tinyLora, 1), provenance });
    expect(readJson(join(folder, 'config.json'))['model_type']).toBe('gpt2-with-adapters');
    changeJson(join(folder, 'config.json'), { privacy_unit_lora: undefined });
    await expectRefusal('model_type "gpt2-with-adapters", not "gpt2"');
  });

  it('replace a model that lies there, of whatever layout', async () => {
    writeFileSync(join(folder, 'adapter_config.json'), '{}');
    writeFileSync(join(folder, 'model.safetensors.index.json'), '{}');
    await saveModel(folder, { ...livelyModel(tinyFull, 1), provenance });
    const second = {
      ...livelyModel(tinyFull, 2),
      provenance: { ...provenance, trainedOn: 'public' as const },
    };
    await saveModel(folder, second);
    expect(await loadModel(folder)).toMatchObject(second);
    expect(readdirSync(folder).sort()).toEqual(['config.json', 'model.safetensors', 'provenance.json']);
  });

  it('say where the disk fails, and leave what was there', async () => {
    const model = { ...livelyModel(tinyFull, 1), provenance };
    await saveModel(folder, model);
    mkdirSync(join(folder, 'config.json.partial'));
    const failed = { code: 'OUTPUT_FAILED', message: expect.stringContaining(folder) };
    await expect(saveModel(folder, { ...livelyModel(tinyFull, 2), provenance })).rejects.toMatchObject(
      failed,
    );
    expect(await loadModel(folder)).toMatchObject(model);
    expect(readdirSync(folder).sort()).toEqual([
      'config.json',
      'config.json.partial',
      'model.safetensors',
      'provenance.json',
    ]);
  });

  it('keep what config.json says beyond the architecture', async () => {
    const model = livelyModel(tinyFull, 1);
    writeCheckpoint(folder, model);
    const loaded = await loadModel(folder, { provenance: vouched });
    await saveModel(join(folder, 'again'), loaded);
    const { _name_or_path: _, ...expected } = huggingFaceConfig(model);
    expect(readJson(join(folder, 'again', 'config.json'))).toEqual({
      ...expected,
      tie_word_embeddings: true,
      add_cross_attention: false,
      torch_dtype: 'float32',
      privacy_unit: vouched,
    });
  });

  it('refuse a folder whose writing was cut short', async () => {
    await saveModel(folder, { ...livelyModel(tinyFull, 1), provenance });
    rmSync(join(folder, 'config.json'));
    await expectRefusal('config.json cannot be read', 'MISSING_FILE');
  });
});

describe('provenance', () => {
  const claimed = { provenance: vouched };

  it('is asked for where nothing says it', async () => {
    writeCheckpoint(folder, livelyModel(tinyFull, 1));
    await expect(loadModel(folder)).rejects.toThrow('says whether the text it was trained on is public');
    expect((await loadModel(folder, claimed)).provenance).toEqual(vouched);
  });

  it.each(['provenance.json', 'config.json', 'model.safetensors'])(
    'stays private where only %s still says so, whatever is claimed',
    async kept => {
      const model = { ...livelyModel(tinyFull, 1), provenance };
      await saveModel(folder, model);
      if (kept !== 'provenance.json') rmSync(join(folder, 'provenance.json'));
      if (kept !== 'config.json') changeJson(join(folder, 'config.json'), { privacy_unit: undefined });
      if (kept !== 'model.safetensors') writeRawTensors(weights(), rawParameters(model), { format: 'pt' });
      expect((await loadModel(folder, claimed)).provenance).toEqual(provenance);
    },
  );

  it('is what the folder says where that is public, unless the caller says private', async () => {
    const told = { ...vouched, corpus: 'books' };
    await saveModel(folder, { ...livelyModel(tinyFull, 1), provenance: told });
    expect((await loadModel(folder, claimed)).provenance).toEqual(told);
    expect((await loadModel(folder, { provenance })).provenance).toEqual(provenance);
  });

  it('is private where one place says private and another public', async () => {
    const model = { ...livelyModel(tinyFull, 1), provenance };
    await saveModel(folder, model);
    writeFileSync(join(folder, 'provenance.json'), JSON.stringify(vouched));
    changeJson(join(folder, 'config.json'), { privacy_unit: vouched });
    expect((await loadModel(folder, claimed)).provenance).toEqual(provenance);
  });

  it.each([
    ['provenance.json', (path: string): void => writeFileSync(path, '{"trainedOn":"unknown"}')],
    ['provenance.json', (path: string): void => writeFileSync(path, 'public')],
    ['config.json', (path: string): void => changeJson(path, { privacy_unit: 'public' })],
    [
      'model.safetensors',
      (path: string): void =>
        writeRawTensors(path, rawParameters(livelyModel(tinyFull, 1)), { privacy_unit: 'x' }),
    ],
  ])('is refused where %s says what can not be read', async (name, spoil) => {
    await saveModel(folder, { ...livelyModel(tinyFull, 1), provenance: vouched });
    spoil(join(folder, name));
    await expectRefusal(name);
  });
});

describe('loadModel() of a Hugging Face checkpoint', () => {
  const model = livelyModel(tinyFull, 4);
  const load = async (): Promise<Model['parameters']> =>
    (await loadModel(folder, { provenance: vouched })).parameters;

  it.each(['transformer.', ''] as const)(
    'reads names with the prefix "%s", masks and the tied head',
    async prefix => {
      const tensors = [
        rawFloats(`${prefix}h.0.attn.bias`, [1, 1, 2, 2], [1, 0, 1, 1]),
        { name: `${prefix}h.1.attn.masked_bias`, dtype: 'BOOL', shape: [], bytes: Uint8Array.of(1) },
        ...rawParameters(model, prefix),
        rawFloats('lm_head.weight', [11, 8], model.parameters.get('transformer.wte.weight')!),
      ];
      writeCheckpoint(folder, model, { tensors });
      expect(await load()).toEqual(model.parameters);
    },
  );

  it('reads bfloat16 that another program wrote', async () => {
    writeCheckpoint(folder, model, { tensors: rawParameters(model).map(rawBrainFloats) });
    const cut = (values: Float32Array): Float32Array =>
      new Float32Array(new Uint32Array(values.buffer.slice(0)).map(bits => bits & 0xffff_0000).buffer);
    expect(await load()).toEqual(rounded(model, cut));
  });

  it('reads weights that are spread over files', async () => {
    writeCheckpoint(folder, model);
    rmSync(weights());
    spread();
    expect(await load()).toEqual(model.parameters);
  });

  /** Two shards and their index; what the index says can be changed. */
  function spread(
    change: (map: Record<string, string>) => void = () => {},
    second = rawParameters(model),
  ): void {
    const all = rawParameters(model);
    writeRawTensors(join(folder, 'model-00001-of-00002.safetensors'), all.slice(0, 9), { format: 'pt' });
    writeRawTensors(join(folder, 'model-00002-of-00002.safetensors'), second.slice(9), { format: 'pt' });
    const map = Object.fromEntries(
      all.map(({ name }, index) => [name, `model-0000${index < 9 ? 1 : 2}-of-00002.safetensors`]),
    );
    change(map);
    const index = { metadata: { total_size: 1 }, weight_map: map };
    writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
  }

  it.each([
    [
      'a tensor in another file than the index says',
      (): void => spread(map => (map['transformer.wte.weight'] = 'model-00002-of-00002.safetensors')),
      'places transformer.wte.weight in model-00002-of-00002.safetensors, which does not hold it',
    ],
    [
      'a tensor in two files',
      (): void => spread(undefined, [...rawParameters(model), rawParameters(model)[0]!]),
      'transformer.wte.weight is both in',
    ],
    [
      'a file outside of the folder',
      (): void => spread(map => (map['transformer.wte.weight'] = '../model.safetensors')),
      'names "../model.safetensors"',
    ],
    [
      'an index without names',
      (): void => writeFileSync(join(folder, 'model.safetensors.index.json'), '{}'),
      'has no weight_map',
    ],
    [
      'an index with a name twice',
      (): void =>
        writeFileSync(join(folder, 'model.safetensors.index.json'), '{"weight_map":{"a":"b","a":"c"}}'),
      'has the key "a" twice',
    ],
  ])('refuses %s', async (_, prepare, reason) => {
    writeCheckpoint(folder, model);
    rmSync(weights());
    prepare();
    await expectRefusal(reason);
  });

  it('names a file of the index that is missing', async () => {
    writeCheckpoint(folder, model);
    rmSync(weights());
    spread(map => (map['transformer.ln_f.bias'] = 'model-00003-of-00003.safetensors'));
    await expectRefusal('model-00003-of-00003.safetensors', 'MISSING_FILE');
  });

  it.each([
    ['another architecture', { model_type: 'llama' }, 'model_type "llama", not "gpt2"'],
    ['another activation', { activation_function: 'relu' }, 'activation_function "relu"'],
    ['another normalisation', { layer_norm_epsilon: 1e-6 }, 'layer_norm_epsilon 0.000001'],
    ['an untied head', { tie_word_embeddings: false }, 'tie_word_embeddings false'],
    ['other attention', { scale_attn_by_inverse_layer_idx: true }, 'scale_attn_by_inverse_layer_idx true'],
    ['another inner width', { n_inner: 16 }, 'n_inner 16, not 32'],
    ['another size', { n_embd: 16 }, 'transformer.wte.weight has shape [11, 8], expected [11, 16]'],
    ['more layers', { n_layer: 3 }, 'transformer.h.2.ln_1.weight is missing'],
    ['fewer layers', { n_layer: 1 }, 'holds transformer.h.1.ln_1.weight, which its configuration'],
    ['no size', { n_head: undefined }, 'no n_head'],
    ['a size that is no number', { n_embd: '8' }, 'n_embd "8", not a number'],
  ])('refuses %s', async (_, config, reason) => {
    writeCheckpoint(folder, model, { config });
    await expectRefusal(reason);
  });

  it('takes the other name of the same activation', async () => {
    writeCheckpoint(folder, model, { config: { activation_function: 'gelu_pytorch_tanh' } });
    expect(await load()).toEqual(model.parameters);
  });

  it.each([
    [
      'is missing',
      (): void => change('transformer.h.0.ln_2.bias', []),
      'h.0.ln_2.bias is missing, expected [8]',
    ],
    [
      'has another shape',
      (): void =>
        change('transformer.h.0.ln_2.bias', [rawFloats('transformer.h.0.ln_2.bias', [2, 4], zeros)]),
      'transformer.h.0.ln_2.bias has shape [2, 4], expected [8]',
    ],
    [
      'has another type',
      (): void =>
        change('transformer.h.0.ln_2.bias', [
          { ...rawFloats('transformer.h.0.ln_2.bias', [8], zeros), dtype: 'I32' },
        ]),
      'transformer.h.0.ln_2.bias has type I32, which is none of F64, F32, F16, BF16',
    ],
    [
      'is not a number',
      (): void =>
        change('transformer.h.0.ln_2.bias', [rawFloats('transformer.h.0.ln_2.bias', [8], odd(NaN))]),
      'value 5 of transformer.h.0.ln_2.bias is NaN',
    ],
    [
      'is infinite',
      (): void => change('transformer.h.0.ln_2.bias', [rawFloats('h.0.ln_2.bias', [8], odd(-Infinity))]),
      'value 5 of h.0.ln_2.bias is -Infinity',
    ],
    [
      'is there with and without the prefix',
      (): void =>
        change('transformer.h.0.ln_2.bias', [
          rawFloats('transformer.h.0.ln_2.bias', [8], zeros),
          rawFloats('h.0.ln_2.bias', [8], zeros),
        ]),
      'holds both transformer.h.0.ln_2.bias and h.0.ln_2.bias',
    ],
    [
      'is of no GPT-2',
      (): void => change('', [rawFloats('transformer.h.0.crossattention.c_attn.weight', [8], zeros)]),
      'holds transformer.h.0.crossattention.c_attn.weight',
    ],
    [
      'is a head of its own',
      (): void => change('', [rawFloats('lm_head.weight', [11, 8], new Float32Array(88))]),
      'lm_head.weight is not the token embedding',
    ],
  ])('refuses a checkpoint in which a tensor %s', async (_, prepare, reason) => {
    prepare();
    await expectRefusal(reason);
  });

  const zeros = new Float32Array(8);
  const odd = (value: number): Float32Array =>
    Float32Array.from(zeros, (_, index) => (index === 5 ? value : 0));

  /** The checkpoint without one tensor and with others. */
  function change(without: string, others: Parameters<typeof writeRawTensors>[1]): void {
    const tensors = [...rawParameters(model).filter(({ name }) => name !== without), ...others];
    writeCheckpoint(folder, model, { tensors });
  }

  it('refuses a folder without config.json, without weights, and one that is not there', async () => {
    await expectRefusal('config.json cannot be read', 'MISSING_FILE');
    writeCheckpoint(folder, model);
    rmSync(weights());
    await expectRefusal('has neither model.safetensors nor model.safetensors.index.json', 'MISSING_FILE');
    writeFileSync(join(folder, 'config.json'), '[]');
    await expectRefusal('holds no JSON object');
  });

  it('writes tensors under the names and shapes of Hugging Face', async () => {
    await saveModel(folder, { ...model, provenance });
    const tensors = await readSafetensors(weights());
    const expected = rawParameters(model).map(({ name, shape }) => [name, shape]);
    expect([...tensors].map(([name, { shape }]) => [name, shape])).toEqual(expected);
    expect(tensors.get('transformer.h.1.attn.c_attn.weight')!.shape).toEqual([8, 24]);
  });
});
