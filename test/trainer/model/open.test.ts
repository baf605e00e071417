import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLora } from '../../../trainer/model/lora.ts';
import { openLanguageModel, openTokenizerFrom } from '../../../trainer/model/open.ts';
import { byteTokenizerFiles } from '../../../trainer/model/tokenizer-export.ts';
import { byteTokenizer } from '../../../trainer/model/tokenizer.ts';
import { saveModel } from '../../../trainer/model/weights.ts';
import { changeJson, readJson, writeCheckpoint } from '../../support/checkpoints.ts';
import { livelyModel, tinyFull } from '../../support/model-batches.ts';

const config = { ...tinyFull.config, vocabularySize: 260 };
const model = livelyModel({ config, lora: null }, 1);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'privacy-unit-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function writeTokenizer(tokens: readonly string[], place = folder): void {
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  const tokenizer = {
    added_tokens: [],
    pre_tokenizer: bytes,
    decoder: bytes,
    model: { type: 'BPE', vocab, merges: [] },
  };
  writeFileSync(join(place, 'tokenizer.json'), JSON.stringify(tokenizer));
}

describe('openLanguageModel()', () => {
  it('opens a checkpoint with its tokenizer, and writes both back', async () => {
    writeCheckpoint(folder, model, { config: { eos_token_id: 2 } });
    writeTokenizer(['a', 'b', 'end']);
    const opened = await openLanguageModel(folder, { trainedOn: 'public' });
    expect([...opened.tokenizer.encode('abba')]).toEqual([0, 1, 1, 0]);
    expect(opened.tokenizer.endOfText).toBe(2);
    expect(opened.provenance).toEqual({ trainedOn: 'public', tokenizer: 'tokenizer.json' });

    const again = join(folder, 'again');
    await saveModel(again, opened);
    expect(readFileSync(join(again, 'tokenizer.json'))).toEqual(readFileSync(join(folder, 'tokenizer.json')));
    const { source: _, tokenizer, ...reopened } = await openLanguageModel(again);
    expect(reopened).toEqual({
      spec: opened.spec,
      parameters: opened.parameters,
      provenance: opened.provenance,
    });
    expect(tokenizer.hash).toBe(opened.tokenizer.hash);
  });

  it("writes this package's own tokenizers so that other programs and itself know them", async () => {
    const provenance = { trainedOn: 'public', tokenizer: 'bytes' } as const;
    await saveModel(folder, { ...model, provenance, tokenizer: byteTokenizer() });
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(Object.keys(byteTokenizerFiles())));
    expect(readJson(join(folder, 'config.json'))).toMatchObject({ eos_token_id: 256, bos_token_id: 256 });
    expect((await openLanguageModel(folder)).tokenizer.hash).toBe(byteTokenizer().hash);
    rmSync(join(folder, 'provenance.json'));
    expect((await openLanguageModel(folder)).tokenizer.name).toBe('bytes');
  });

  it('opens a model that names a tokenizer of this package and has no files of it', async () => {
    await saveModel(folder, { ...model, provenance: { trainedOn: 'public', tokenizer: 'bytes' } });
    expect((await openLanguageModel(folder)).tokenizer.name).toBe('bytes');
  });

  it('reads the tokenizer of an adapter from its base', async () => {
    writeCheckpoint(folder, model, { config: { eos_token_id: 2 } });
    writeTokenizer(['a', 'b', 'end']);
    const base = await openLanguageModel(folder, { trainedOn: 'public' });
    const lora = { rank: 1, alpha: 2, targets: ['mlp.c_fc'] } as const;
    const provenance = { ...base.provenance, trainedOn: 'private' } as const;
    const adapter = join(folder, 'adapter');
    await saveModel(
      adapter,
      { ...base, ...withLora(base, { lora, seed: 1 }), provenance },
      { layout: 'adapter' },
    );
    const opened = await openLanguageModel(adapter, { trainedOn: 'public' });
    expect(opened.tokenizer.hash).toBe(base.tokenizer.hash);
    expect(opened.provenance).toEqual(provenance);
  });

  it('refuses a tokenizer that is larger than the model', async () => {
    writeCheckpoint(folder, { ...model, ...livelyModel(tinyFull, 1) }, { config: { eos_token_id: 2 } });
    writeTokenizer('abcdefghijkl'.split(''));
    await expect(openLanguageModel(folder, { trainedOn: 'public' })).rejects.toMatchObject({
      code: 'INVALID_DATA',
      message: expect.stringContaining('has 12 tokens, the model 11'),
    });
    writeTokenizer('abcdefghijk'.split(''));
    expect((await openLanguageModel(folder, { trainedOn: 'public' })).tokenizer.vocabularySize).toBe(11);
  });

  it('asks for a tokenizer where there is none', async () => {
    writeCheckpoint(folder, model);
    await expect(openLanguageModel(folder, { trainedOn: 'public' })).rejects.toMatchObject({
      code: 'MISSING_FILE',
      message: expect.stringContaining('has no tokenizer.json'),
    });
  });

  it('never takes a private model for a public one', async () => {
    const provenance = { trainedOn: 'private', tokenizer: 'bytes', guarantee: { epsilon: 1 } } as const;
    await saveModel(folder, { ...model, provenance, tokenizer: byteTokenizer() });
    rmSync(join(folder, 'provenance.json'));
    changeJson(join(folder, 'config.json'), { privacy_unit: undefined });
    expect((await openLanguageModel(folder, { trainedOn: 'public' })).provenance).toEqual(provenance);
  });
});

describe('openTokenizerFrom()', () => {
  it('takes a name or a folder, and the end of a text from its configuration', async () => {
    expect((await openTokenizerFrom('bytes')).name).toBe('bytes');
    writeTokenizer(['a', 'b', 'end']);
    await expect(openTokenizerFrom(folder)).rejects.toThrow('nothing says which token ends a text');
    writeCheckpoint(folder, model, { config: { eos_token_id: 1 } });
    expect((await openTokenizerFrom(folder)).endOfText).toBe(1);
    await expect(openTokenizerFrom(join(folder, 'none'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
