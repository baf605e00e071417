import { describe, expect, it } from 'vitest';
import { encodeText } from '../../trainer/data.ts';
import { openDeviceModel } from '../../trainer/device.ts';
import { evaluate, lossesOf, perplexityOf } from '../../trainer/evaluate.ts';
import { perplexityScorer } from '../../trainer/score.ts';
import { textUsers, tinyEngine, tinyModel } from './tiny.ts';

describe('perplexityOf()', () => {
  const records = (perplexity: number, tokens: number): { loss: number; tokens: number } => ({
    loss: tokens * Math.log(perplexity),
    tokens,
  });

  it('weighs tokens by record, users by user, and finds the worst tenth', () => {
    const users = Array.from({ length: 20 }, (_, user) => [
      records(user + 1, 10),
      records(user + 1, user * 7 + 1),
    ]);
    const { byRecord, byUser, worstTenth, tokens } = perplexityOf(users);
    expect(byUser).toBeCloseTo(10.5, 9);
    expect(worstTenth).toBeCloseTo(19.5, 9);
    const loss = users.flat().reduce((sum, record) => sum + record.loss, 0);
    expect(byRecord).toBeCloseTo(Math.exp(loss / tokens), 9);
    expect(byRecord).toBeGreaterThan(byUser);
  });

  it('is one number where all is alike, and takes the worst of few users', () => {
    const { byRecord, byUser, worstTenth } = perplexityOf([[records(3, 5)], [records(3, 50)], []]);
    for (const value of [byRecord, byUser, worstTenth]) expect(value).toBeCloseTo(3, 12);
    expect(perplexityOf([[records(3, 5)], [records(4, 5)]]).worstTenth).toBeCloseTo(4, 12);
  });
});

describe('evaluate()', () => {
  it('gives a fresh model a perplexity near its vocabulary', async () => {
    const model = tinyModel();
    const { byRecord, byUser } = await evaluate(model, { users: textUsers(12), engine: await tinyEngine() });
    for (const value of [byRecord, byUser]) expect(Math.abs(value / 257 - 1)).toBeLessThan(0.1);
  });

  it('gives a record the same loss whatever stands beside it', async () => {
    const model = tinyModel();
    const device = openDeviceModel(model, await tinyEngine());
    const sequences = textUsers(9).flatMap(user => user.records.map(record => record.tokens));
    const together = await lossesOf(sequences, { model, device });
    for (const [index, tokens] of sequences.entries()) {
      const [alone] = await lossesOf([tokens], { model, device });
      expect(Math.abs(alone!.loss - together[index]!.loss)).toBeLessThan(1e-3);
      expect(together[index]!.tokens).toBe(Math.min(32, tokens.length));
    }
    device.dispose();
  });

  it('refuses to evaluate on nobody', async () => {
    const engine = await tinyEngine();
    await expect(evaluate(tinyModel(), { users: [], engine })).rejects.toThrow(
      'Cannot evaluate: there are 0 records. Hold out some users.',
    );
  });
});

describe('perplexityScorer()', () => {
  it('scores texts as evaluation does, an empty one too', async () => {
    const model = tinyModel();
    const engine = await tinyEngine();
    const texts = ['hello', '', 'x'.repeat(200)];
    const scorer = perplexityScorer(model, engine);
    const scores = await scorer.score(texts);
    scorer.dispose();
    expect(scores).toHaveLength(3);
    for (const [index, text] of texts.entries()) {
      const records = [{ id: 'only', tokens: encodeText(text, model.tokenizer) }];
      const { byRecord } = await evaluate(model, { users: [{ user: 'someone', records }], engine });
      expect(Math.abs(scores[index]! / byRecord - 1)).toBeLessThan(1e-5);
    }
  });

  it('refuses a model trained on private text', async () => {
    const model = tinyModel();
    const trained = { ...model, provenance: { ...model.provenance, trainedOn: 'private' as const } };
    const engine = await tinyEngine();
    expect(() => perplexityScorer(trained, engine)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('private text') }),
    );
  });
});
