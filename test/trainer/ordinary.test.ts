import { describe, expect, it } from 'vitest';
import { trainWithoutPrivacy } from '../../trainer/baseline.ts';
import { openDeviceModel } from '../../trainer/device.ts';
import { evaluate, lossesOf } from '../../trainer/evaluate.ts';
import { trainOrdinarily } from '../../trainer/ordinary.ts';
import { pretrain } from '../../trainer/pretrain.ts';
import { textUsers, tinyEngine, tinyModel } from './tiny.ts';

const settings = { steps: 40, batchSize: 16, learningRate: 0.01 };

describe('trainWithoutPrivacy()', () => {
  it('lowers held-out perplexity and marks its model private, without a guarantee', async () => {
    const users = textUsers(40);
    const model = tinyModel();
    const options = { users: users.slice(0, 32), heldOut: users.slice(32), model, settings };
    const result = await trainWithoutPrivacy({ ...options, engine: await tinyEngine() });
    const { before, after } = result.perplexity!;
    expect(after.byRecord).toBeLessThan(0.2 * before.byRecord);
    expect(result.model.provenance).toEqual({ trainedOn: 'private', tokenizer: 'bytes' });
    expect(result.steps).toBe(40);
    expect(model.parameters).toEqual(tinyModel().parameters);
  });
});

describe('pretrain()', () => {
  it('makes a public model out of texts of any length, a pure function of them and the seed', async () => {
    const config = tinyModel().spec.config;
    const engine = await tinyEngine();
    const { tokenizer } = tinyModel();
    const texts = ['', 'a b '.repeat(60), 'short'];
    const options = {
      texts,
      corpus: 'three texts',
      config,
      tokenizer,
      engine,
      settings: { ...settings, batchSize: 4 },
    };
    const { model, lossCurve } = await pretrain(options);
    expect(model.provenance).toEqual({ trainedOn: 'public', tokenizer: 'bytes', corpus: 'three texts' });
    expect(lossCurve.at(-1)!.loss).toBeLessThan(0.5 * lossCurve[0]!.loss);
    expect((await pretrain(options)).model.parameters).toEqual(model.parameters);
    const users = [
      { user: 'u', records: [{ id: '1', tokens: Int32Array.from(tokenizer.encode('a b a b a b')) }] },
    ];
    expect((await evaluate(model, { users, engine })).byRecord).toBeLessThan(30);
  });

  it('refuses no texts', async () => {
    const { spec, tokenizer } = tinyModel();
    const options = {
      texts: [],
      corpus: 'none',
      config: spec.config,
      tokenizer,
      engine: await tinyEngine(),
      settings,
    };
    await expect(pretrain(options)).rejects.toMatchObject({ code: 'INVALID_DATA' });
  });
});

describe('trainOrdinarily()', () => {
  const sequences = textUsers(12).flatMap(user => user.records.map(record => record.tokens));

  it('first reports the mean loss over the tokens of its batch', async () => {
    const model = tinyModel();
    const engine = await tinyEngine();
    const { lossCurve } = await trainOrdinarily({
      model,
      sequences,
      engine,
      settings: { steps: 1, batchSize: sequences.length },
    });
    const device = openDeviceModel(model, engine);
    const losses = await lossesOf(sequences, { model, device });
    device.dispose();
    const total = losses.reduce((sum, record) => sum + record.loss, 0);
    const mean = total / losses.reduce((sum, record) => sum + record.tokens, 0);
    expect(Math.abs(lossCurve[0]!.loss / mean - 1)).toBeLessThan(1e-5);
  });

  it('stops on a signal', async () => {
    const options = { model: tinyModel(), sequences, engine: await tinyEngine(), settings };
    await expect(trainOrdinarily({ ...options, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
  });

  it.each([{ steps: 0 }, { batchSize: 0 }, { learningRate: -1 }])('refuses %o', async wrong => {
    const options = {
      model: tinyModel(),
      sequences,
      engine: await tinyEngine(),
      settings: { ...settings, ...wrong },
    };
    await expect(trainOrdinarily(options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
