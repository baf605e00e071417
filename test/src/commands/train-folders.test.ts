import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withLora } from '../../../trainer/model/lora.ts';
import { saveModel } from '../../../trainer/model/weights.ts';
import { initialiseParameters } from '../../../trainer/model/gpt.ts';
import { openLanguageModel } from '../../../trainer/model/open.ts';
import { readSafetensors } from '../../../trainer/model/safetensors.ts';
import { byteCharacters, byteTokenizerFiles } from '../../../trainer/model/tokenizer-export.ts';
import { rawParameters, readJson, writeCheckpoint } from '../../support/checkpoints.ts';
import { rawBrainFloats } from '../../support/raw-safetensors.ts';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl, type Outcome } from '../support.ts';

const folder = temporaryFolder();
const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(30));
const model = join(folder, 'checkpoint');
const plan = join(folder, 'plans', 'user-wise-k1.json');

/** A plan, and a checkpoint as another program leaves it: in bfloat16, and nothing says where it is from. */
async function prepare(): Promise<void> {
  if (existsSync(model)) return;
  const budget = ['--epsilon', '8', '--batch-size', '5', '--steps', '1', '--k', '1', '--held-out', '0.2'];
  await runJson('plan', table, ...budget, '--out', join(folder, 'plans'));
  const config = { vocabularySize: 260, contextLength: 32, layers: 1, width: 16, heads: 2 };
  const spec = { config, lora: null };
  const start = { spec, parameters: initialiseParameters(spec, { seed: 1 }) };
  writeCheckpoint(model, start, {
    tensors: rawParameters(start, '').map(rawBrainFloats),
    config: { eos_token_id: 256 },
  });
  for (const [name, text] of Object.entries(byteTokenizerFiles())) writeFileSync(join(model, name), text);
}

async function train(out: string, ...options: string[]): Promise<Outcome> {
  return runCli('train', plan, table, '--model', model, '--out', join(folder, out), ...options);
}

const publicText = ['--trained-on', 'public'];
const adapters = ['--lora-rank', '2'];

describe('train from a checkpoint of Hugging Face', () => {
  it('asks where it is from, and does not start from a private one', async () => {
    await prepare();
    const silent = await train('none');
    expect({ code: silent.code, told: silent.stderr.includes('--trained-on public') }).toEqual({
      code: 2,
      told: true,
    });
    const secret = await train('none', '--trained-on', 'private');
    expect({ code: secret.code, told: secret.stderr.includes('trained on private') }).toEqual({
      code: 2,
      told: true,
    });
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });

  const layouts: [string, string[], string[]][] = [
    ['full', publicText, ['config.json', 'model.safetensors']],
    ['merged', [...publicText, ...adapters], ['config.json', 'model.safetensors']],
    [
      'adapter',
      [...publicText, ...adapters, '--save', 'adapter'],
      ['adapter_config.json', 'adapter_model.safetensors'],
    ],
  ];

  it.each(layouts)('writes the model %s, which stays private', async (name, options, files) => {
    await prepare();
    const { code, stderr } = await train(name, ...options);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const written = join(folder, name, 'model');
    const tokenizer = name === 'adapter' ? [] : Object.keys(byteTokenizerFiles());
    expect(readdirSync(written).sort()).toEqual([...files, ...tokenizer, 'provenance.json'].sort());
    rmSync(join(written, 'provenance.json'));
    const opened = await openLanguageModel(written, { trainedOn: 'public' });
    expect(opened.provenance).toMatchObject({ trainedOn: 'private', guarantee: { unit: 'user' } });
    expect(opened.spec.lora === null).toBe(name !== 'adapter');
    const again = ['train', plan, table, '--model', written, ...publicText, '--out', join(folder, 'again')];
    const refused = await runCli(...again);
    expect({ code: refused.code, told: refused.stderr.includes('trained on private') }).toEqual({
      code: 2,
      told: true,
    });
  });

  it('writes half precision where it is asked for', async () => {
    await prepare();
    expect((await train('half', ...publicText, '--save-type', 'float16')).code).toBe(0);
    const written = join(folder, 'half', 'model');
    expect(readJson(join(written, 'config.json'))).toMatchObject({ torch_dtype: 'float16', n_ctx: 32 });
    const weights = await readSafetensors(join(written, 'model.safetensors'));
    const values = weights.get('transformer.wte.weight')!.data;
    expect(values.every(value => Number.isInteger(value * 2 ** 24))).toBe(true);
  });

  it('refuses before training to write adapters that there are none of, or without a base', async () => {
    await prepare();
    const none = await train('none', ...publicText, '--save', 'adapter');
    expect({ code: none.code, told: none.stderr.includes('there are no adapters') }).toEqual({
      code: 2,
      told: true,
    });
    const start = ['train', plan, table, ...adapters, '--width', '16', '--heads', '2', '--layers', '1'];
    const homeless = await runCli(...start, '--save', 'adapter', '--out', join(folder, 'none'));
    expect({ code: homeless.code, told: homeless.stderr.includes('lies in no folder') }).toEqual({
      code: 2,
      told: true,
    });
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });

  it('starts from an adapter whose base is given', async () => {
    await prepare();
    const adapter = join(folder, 'public-adapter');
    const base = await openLanguageModel(model, { trainedOn: 'public' });
    const lora = { rank: 2, alpha: 4, targets: ['attn.c_attn'] } as const;
    await saveModel(adapter, { ...base, ...withLora(base, { lora, seed: 1 }) }, { layout: 'adapter' });
    const start = ['train', plan, table, '--model', adapter, '--base-model', model, ...publicText];
    expect((await runCli(...start, '--save', 'adapter', '--out', join(folder, 'onward'))).code).toBe(0);
    const { r, base_model_name_or_path: called } = readJson(
      join(folder, 'onward', 'model', 'adapter_config.json'),
    );
    expect({ r, called }).toEqual({ r: 2, called: '../../checkpoint' });
  });

  it('calls the base of an adapter as it is told to', async () => {
    await prepare();
    const name = ['--save', 'adapter', '--base-name', 'somebody/gpt2'];
    expect((await train('named', ...publicText, ...adapters, ...name)).code).toBe(0);
    const written = readFileSync(join(folder, 'named', 'model', 'adapter_config.json'), 'utf8');
    expect(written).toContain('"base_model_name_or_path": "somebody/gpt2"');
    expect(written).not.toContain(folder);
    for (const [wrong, told] of [
      [['--base-name', 'somebody/gpt2'], 'goes with --save adapter, not merged'],
      [['--save', 'adapter', '--base-name', ''], '--base-name is empty'],
    ] as const) {
      const { code, stderr } = await train('none', ...publicText, ...adapters, ...wrong);
      expect({ code, told: stderr.includes(told) }).toEqual({ code: 2, told: true });
    }
  });
});

describe('--tokenizer', () => {
  /** One token for every byte but in `word`, which is one token. */
  function writeTokenizer(): string {
    const own = join(folder, 'tokenizer');
    mkdirSync(own, { recursive: true });
    const vocab = Object.fromEntries(byteCharacters.map((character, byte) => [character, byte + 1]));
    const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
    const joint = { wo: 257, rd: 258, word: 259, end: 0 };
    const model = { type: 'BPE', vocab: { ...vocab, ...joint }, merges: ['w o', 'r d', 'wo rd'] };
    const described = { added_tokens: [], pre_tokenizer: bytes, decoder: bytes, model };
    writeFileSync(join(own, 'tokenizer.json'), JSON.stringify(described));
    writeFileSync(join(own, 'tokenizer_config.json'), '{"eos_token":"end"}');
    return own;
  }

  it('takes a folder: select, plan and verify count by it', async () => {
    const cap = ['--tokens', '80', '--tokenizer', writeTokenizer()];
    const out = join(folder, 'capped.arrow');
    const selected = await runJson('select', table, '--strategy', 'random', ...cap, '--out', out);
    const byBytes = ['--strategy', 'random', '--tokens', '80', '--out', `${out}s`];
    const { recordsKept } = await runJson('select', table, ...byBytes);
    expect(Number(selected['recordsKept'])).toBeGreaterThan(Number(recordsKept));
    expect((await runCli('verify', `${out}.manifest.json`)).code).toBe(0);
    const budget = ['--epsilon', '8', '--batch-size', '5', '--steps', '1', '--k', '1', '--held-out', '0.2'];
    await runJson('plan', table, ...budget, ...cap, '--out', join(folder, 'capped-plans'));
    const wrong = await runCli('plan', table, ...budget, '--tokens', '80', '--tokenizer', 'gpt4');
    expect({ code: wrong.code, told: wrong.stderr.includes('gpt4 is none of bytes, gpt2') }).toEqual({
      code: 2,
      told: true,
    });
  });
});

describe('select --scorer', () => {
  it('takes a checkpoint that somebody vouches for', async () => {
    await prepare();
    const rule = ['--strategy', 'lowest-perplexity', '--k', '1', '--scorer', model];
    const out = ['--out', join(folder, 'scored.arrow')];
    expect((await runCli('select', table, ...rule, ...out)).code).toBe(2);
    expect((await runCli('select', table, ...rule, ...publicText, ...out)).code).toBe(0);
  });
});
