import { describe, expect, it } from 'vitest';
import { packRows, physicalLimits } from '../../trainer/batches.ts';
import { trainWithoutPrivacy } from '../../trainer/baseline.ts';
import { noClip } from '../../trainer/clip.ts';
import { openDeviceModel } from '../../trainer/device.ts';
import { evaluate, lossesOf } from '../../trainer/evaluate.ts';
import { trainOrdinarily } from '../../trainer/ordinary.ts';
import { pretrain } from '../../trainer/pretrain.ts';
import { textUsers, tinyEngine, tinyModel } from './tiny.ts';
import { norm } from './toy.ts';

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

  it.each([null, { rank: 2, alpha: 4, targets: ['attn.c_attn', 'mlp.c_fc'] } as const])(
    'goes by the gradient of the private step that clips nothing (adapters: %o)',
    async lora => {
      const device = openDeviceModel(tinyModel(lora), await tinyEngine());
      const limits = physicalLimits({ contextLength: 32, vocabularySize: 257 });
      const packing = { contextLength: 32, endOfText: 256, limits, weightOf: () => 0.01 };
      for (const batch of packRows(sequences, packing)) {
        const plain = await device.gradient(batch);
        const { sums, losses } = await device.run(batch, noClip);
        const whole = sums.flatMap(values => [...values]);
        const gap = plain.sums.flatMap(values => [...values]).map((value, at) => value - whole[at]!);
        expect(norm(whole)).toBeGreaterThan(0);
        expect(norm(gap) / norm(whole)).toBeLessThan(1e-5);
        const loss = plain.rowLosses.reduce((sum, value) => sum + value, 0);
        expect(Math.abs(loss / losses[0]! - 1)).toBeLessThan(1e-5);
      }
      device.dispose();
    },
  );

  it('refuses a learning rate that drives parameters to infinity', async () => {
    const wild = { ...settings, steps: 3, learningRate: 1e300 };
    const options = { model: tinyModel(), sequences, engine: await tinyEngine(), settings: wild };
    await expect(trainOrdinarily(options)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('parameters are no longer finite at learning rate 1e+300'),
    });
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
