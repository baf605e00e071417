import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Model } from '../../../trainer/model/gpt.ts';
import { withLora } from '../../../trainer/model/lora.ts';
import { readSafetensors } from '../../../trainer/model/safetensors.ts';
import { loadModel, saveModel, type Provenance, type StoredModel } from '../../../trainer/model/weights.ts';
import { changeJson, readJson, writeCheckpoint } from '../../support/checkpoints.ts';
import { livelyModel, tinyFull, tinyLora } from '../../support/model-batches.ts';
import { rawFloats, writeRawTensors, type RawTensor } from '../../support/raw-safetensors.ts';

const publicText: Provenance = { trainedOn: 'public', tokenizer: 'bytes' };
const privateText: Provenance = { trainedOn: 'private', tokenizer: 'bytes', guarantee: { epsilon: 2 } };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'privacy-unit-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const base = (): string => join(folder, 'base');
const adapter = (): string => join(folder, 'adapter');

/** The base in its folder, and with adapters that have left their start. */
async function trained(provenance = privateText): Promise<StoredModel> {
  await saveModel(base(), { ...livelyModel(tinyFull, 1), provenance: publicText });
  const start = await loadModel(base());
  const adapted = { ...start, ...withLora(start, { lora: tinyLora.lora!, seed: 2 }), provenance };
  const lively = livelyModel(tinyLora, 3).parameters;
  for (const [name, values] of lively) if (name.includes('.lora_')) adapted.parameters.set(name, values);
  return adapted;
}

/** The adapters of a model as PEFT names them, written without the code under test. */
function rawAdapters(
  { parameters }: Model,
  rename = (name: string): string => `base_model.model.${name}`,
): RawTensor[] {
  return [...parameters]
    .filter(([name]) => name.includes('.lora_'))
    .map(([name, values]) => {
      const shape = name.includes('lora_A') ? [3, values.length / 3] : [values.length / 3, 3];
      return rawFloats(rename(name), shape, values);
    });
}

/** A folder as PEFT writes it, without provenance. */
async function writePeft(
  tensors?: readonly RawTensor[],
  config: Record<string, unknown> = {},
): Promise<StoredModel> {
  const model = await trained();
  await saveModel(adapter(), model, { layout: 'adapter' });
  rmSync(join(adapter(), 'provenance.json'));
  const written = {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: base(),
    bias: 'none',
    fan_in_fan_out: true,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: 5,
    lora_dropout: 0.05,
    modules_to_save: null,
    peft_type: 'LORA',
    r: 3,
    rank_pattern: {},
    revision: null,
    target_modules: ['c_proj', 'c_attn', 'c_fc'],
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: false,
    ...config,
  };
  writeFileSync(join(adapter(), 'adapter_config.json'), JSON.stringify(written));
  writeRawTensors(join(adapter(), 'adapter_model.safetensors'), tensors ?? rawAdapters(model), {
    format: 'pt',
  });
  return model;
}

describe("saveModel() in PEFT's layout", () => {
  it('writes the adapters alone, under the names and settings of PEFT', async () => {
    const model = await trained();
    await saveModel(adapter(), model, { layout: 'adapter' });
    expect(readdirSync(adapter()).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
      'provenance.json',
    ]);
    expect(readJson(join(adapter(), 'adapter_config.json'))).toMatchObject({
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      base_model_name_or_path: '../base',
      r: 3,
      lora_alpha: 5,
      target_modules: ['attn.c_attn', 'attn.c_proj', 'mlp.c_fc', 'mlp.c_proj'],
      fan_in_fan_out: true,
      bias: 'none',
    });
    const tensors = await readSafetensors(join(adapter(), 'adapter_model.safetensors'));
    expect(tensors.size).toBe(2 * 2 * 4);
    const name = 'transformer.h.0.attn.c_attn.lora_A.weight';
    expect(tensors.get(`base_model.model.${name}`)).toEqual({
      shape: [3, 8],
      data: model.parameters.get(name),
    });
    expect(tensors.get('base_model.model.transformer.h.1.mlp.c_fc.lora_B.weight')!.shape).toEqual([32, 3]);
  });

  it('gives back the model together with its base', async () => {
    const model = await trained();
    await saveModel(adapter(), model, { layout: 'adapter' });
    const loaded = await loadModel(adapter());
    expect(loaded).toEqual(model);
    expect([...loaded.parameters.keys()]).toEqual([...livelyModel(tinyLora, 1).parameters.keys()]);
    await saveModel(join(folder, 'again'), loaded, { layout: 'adapter' });
    expect(await loadModel(join(folder, 'again'))).toEqual(model);
  });

  it('names its base by a name or by the way there, never by a place on this machine', async () => {
    const called = (): unknown => readJson(join(adapter(), 'adapter_config.json'))['base_model_name_or_path'];
    const options = { layout: 'adapter' } as const;
    const model = await trained();
    await saveModel(adapter(), model, { ...options, baseName: 'somebody/gpt2' });
    expect(called()).toBe('somebody/gpt2');
    const given = await loadModel(adapter(), { base: base() });
    await saveModel(adapter(), given, options);
    expect(called()).toBe('somebody/gpt2');
    await saveModel(adapter(), given, { ...options, baseName: 'other/gpt2' });
    expect(called()).toBe('other/gpt2');
    for (const path of [base(), '../base', '../gone']) {
      changeJson(join(adapter(), 'adapter_config.json'), { base_model_name_or_path: path });
      const loaded = await loadModel(adapter(), { base: base() });
      const deeper = join(folder, 'run', 'model');
      await saveModel(deeper, loaded, options);
      const written = readJson(join(deeper, 'adapter_config.json'))['base_model_name_or_path'];
      expect(written).toBe('../../base');
      expect((await loadModel(deeper)).parameters).toEqual(model.parameters);
    }
  });

  it('is found together with its base where both were moved', async () => {
    const model = await trained();
    await saveModel(adapter(), model, { layout: 'adapter' });
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    for (const name of ['base', 'adapter']) renameSync(join(folder, name), join(elsewhere, name));
    expect((await loadModel(join(elsewhere, 'adapter'))).parameters).toEqual(model.parameters);
  });

  it('refuses where there is no adapter, no base, or the base would be replaced', async () => {
    const model = await trained();
    const options = { layout: 'adapter' } as const;
    const full = { ...livelyModel(tinyFull, 1), provenance: publicText };
    await expect(saveModel(adapter(), full, options)).rejects.toThrow('the model has none');
    const { source: _, ...homeless } = model;
    await expect(saveModel(adapter(), homeless, options)).rejects.toThrow('lies in no folder');
    await expect(saveModel(base(), model, options)).rejects.toThrow('holds the model that it belongs to');
    const together = join(folder, 'together');
    await saveModel(together, model);
    await expect(saveModel(adapter(), await loadModel(together), options)).rejects.toThrow(
      'lies in no folder',
    );
    expect((await loadModel(base())).spec.lora).toBeNull();
  });
});

describe('loadModel() of an adapter', () => {
  const claimed = { provenance: publicText };

  async function expectRefusal(reason: string, code = 'INVALID_DATA'): Promise<void> {
    const refused = { code, message: expect.stringContaining(reason) };
    await expect(loadModel(adapter(), claimed)).rejects.toMatchObject(refused);
  }

  it('reads what PEFT writes', async () => {
    const model = await writePeft();
    expect(await loadModel(adapter(), claimed)).toEqual({ ...model, provenance: publicText });
  });

  it.each([
    ['of the bare model', (name: string): string => `base_model.model.${name.replace('transformer.', '')}`],
    [
      'with the name of the adapter',
      (name: string): string => `base_model.model.${name.replace(/(lora_.)/, '$1.default')}`,
    ],
  ])('reads names %s', async (_, rename) => {
    const model = await trained();
    await writePeft(rawAdapters(model, rename));
    expect((await loadModel(adapter(), claimed)).parameters).toEqual(model.parameters);
  });

  it('scales by the root of the rank where PEFT does', async () => {
    await writePeft(undefined, { use_rslora: true });
    const { alpha, rank } = (await loadModel(adapter(), claimed)).spec.lora!;
    expect(alpha / rank).toBeCloseTo(5 / Math.sqrt(3), 12);
  });

  it('adapts the layers that there are tensors for', async () => {
    const model = await trained();
    await writePeft(rawAdapters(model).filter(({ name }) => name.includes('.mlp.c_fc.')));
    const { spec, parameters } = await loadModel(adapter(), claimed);
    expect(spec.lora).toEqual({ rank: 3, alpha: 5, targets: ['mlp.c_fc'] });
    expect(parameters.size).toBe(28 + 4);
  });

  it.each([
    ['another kind', { peft_type: 'IA3' }, 'peft_type "IA3"'],
    ['trained biases', { bias: 'all' }, 'bias "all"'],
    ['DoRA', { use_dora: true }, 'use_dora true'],
    ['ranks by layer', { rank_pattern: { c_fc: 4 } }, 'rank_pattern {"c_fc":4}'],
    ['whole modules', { modules_to_save: ['wte'] }, 'modules_to_save ["wte"]'],
    ['no rank', { r: undefined }, 'r undefined'],
    ['no base', { base_model_name_or_path: null }, 'base_model_name_or_path null'],
    ['another rank', { r: 4 }, 'h.0.attn.c_attn.lora_A.weight has shape [3, 8], expected [4, 8]'],
  ])('refuses %s', async (_, config, reason) => {
    await writePeft(undefined, config);
    await expectRefusal(reason);
  });

  it('refuses tensors that are missing or belong to no adapter', async () => {
    const model = await trained();
    await writePeft(rawAdapters(model).filter(({ name }) => !name.includes('h.1.attn.c_proj.lora_B')));
    await expectRefusal('h.1.attn.c_proj.lora_B.weight is missing, expected [8, 3]');
    const head = rawFloats('base_model.model.lm_head.weight', [11, 8], new Float32Array(88));
    await writePeft([...rawAdapters(model), head]);
    await expectRefusal('holds base_model.model.lm_head.weight');
  });

  it('looks for the base beside it, and asks for it where it is nowhere', async () => {
    const model = await writePeft(undefined, { base_model_name_or_path: '../base' });
    expect((await loadModel(adapter(), claimed)).parameters).toEqual(model.parameters);
    changeJson(join(adapter(), 'adapter_config.json'), { base_model_name_or_path: 'gpt2' });
    await expectRefusal('no folder gpt2 holds the model', 'MISSING_FILE');
    expect((await loadModel(adapter(), { ...claimed, base: base() })).parameters).toEqual(model.parameters);
  });

  it('refuses another base than it was trained on, and one with adapters', async () => {
    await saveModel(adapter(), await trained(), { layout: 'adapter' });
    await saveModel(base(), { ...livelyModel(tinyFull, 9), provenance: publicText });
    await expectRefusal('was trained on other weights');
    await saveModel(base(), { ...livelyModel(tinyLora, 9), provenance: publicText });
    await expectRefusal('has adapters already');
  });
});

describe('provenance of an adapter', () => {
  const claimed = { provenance: publicText };

  it.each(['provenance.json', 'adapter_model.safetensors'])(
    'stays private where only %s says so',
    async kept => {
      const model = await trained();
      await saveModel(adapter(), model, { layout: 'adapter' });
      if (kept !== 'provenance.json') rmSync(join(adapter(), 'provenance.json'));
      if (kept !== 'adapter_model.safetensors')
        writeRawTensors(join(adapter(), 'adapter_model.safetensors'), rawAdapters(model));
      expect((await loadModel(adapter(), claimed)).provenance).toEqual(privateText);
    },
  );

  it('is asked for where nothing says it, though the base is public', async () => {
    await writePeft();
    await expect(loadModel(adapter())).rejects.toThrow('nothing in');
  });

  it('is that of a private base, without the promise of the adapter', async () => {
    await saveModel(adapter(), await trained(publicText), { layout: 'adapter' });
    expect((await loadModel(adapter())).provenance).toEqual(publicText);
    await saveModel(base(), { ...livelyModel(tinyFull, 1), provenance: privateText });
    const { provenance } = await loadModel(adapter(), claimed);
    expect(provenance).toEqual({ trainedOn: 'private', tokenizer: 'bytes' });
  });

  it('vouches for a base that says nothing as well', async () => {
    const model = await trained(publicText);
    await saveModel(adapter(), model, { layout: 'adapter' });
    writeCheckpoint(base(), { ...model, ...livelyModel(tinyFull, 1) });
    rmSync(join(base(), 'provenance.json'));
    await expect(loadModel(adapter())).rejects.toThrow('nothing in');
    expect((await loadModel(adapter(), claimed)).provenance.trainedOn).toBe('public');
  });
});
