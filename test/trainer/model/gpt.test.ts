import { describe, expect, it } from 'vitest';
import {
  initialiseParameters,
  linearLayers,
  parametersOf,
  sizeOf,
  type ModelSpec,
} from '../../../trainer/model/gpt.ts';
import { mergeLora, withLora } from '../../../trainer/model/lora.ts';
import { livelyModel, tinyFull, tinyLora } from '../../support/model-batches.ts';
import { referenceLogits } from '../../support/reference-gpt.ts';

const gpt2: ModelSpec = {
  config: { vocabularySize: 50_257, contextLength: 1024, layers: 12, width: 768, heads: 12 },
  lora: null,
};

function sizes(spec: ModelSpec, trainableOnly: boolean): number {
  return parametersOf(spec)
    .filter(({ trainable }) => trainable || !trainableOnly)
    .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

describe('parametersOf()', () => {
  it('gives GPT-2 small its 148 arrays and 124,439,808 values', () => {
    expect(parametersOf(gpt2).length).toBe(148);
    expect(sizes(gpt2, true)).toBe(124_439_808);
  });

  it('trains the adapters alone where there are any', () => {
    const lora = { rank: 8, alpha: 16, targets: ['attn.c_attn'] as const };
    expect(sizes({ ...gpt2, lora }, true)).toBe(12 * 8 * (768 + 3 * 768));
    expect(sizes({ ...gpt2, lora }, false)).toBe(sizes(gpt2, false) + sizes({ ...gpt2, lora }, true));
  });

  it('names every parameter once, in Hugging Face form', () => {
    const names = parametersOf(tinyLora).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.slice(0, 7)).toEqual([
      'transformer.wte.weight',
      'transformer.wpe.weight',
      'transformer.h.0.ln_1.weight',
      'transformer.h.0.ln_1.bias',
      'transformer.h.0.attn.c_attn.weight',
      'transformer.h.0.attn.c_attn.bias',
      'transformer.h.0.attn.c_attn.lora_A.weight',
    ]);
  });

  it.each([
    [{ config: { ...tinyFull.config, heads: 3 }, lora: null }, 'width 8 is no multiple of 3 heads'],
    [{ config: { ...tinyFull.config, layers: 0 }, lora: null }, 'layers is 0'],
    [{ ...tinyFull, lora: { rank: 0, alpha: 1, targets: linearLayers } }, 'lora.rank is 0'],
    [{ ...tinyFull, lora: { rank: 1, alpha: NaN, targets: linearLayers } }, 'lora.alpha is NaN'],
    [{ ...tinyFull, lora: { rank: 1, alpha: 1, targets: [] } }, 'lora.targets is []'],
    [
      { ...tinyFull, lora: { rank: 1, alpha: 1, targets: ['mlp.c_fc', 'mlp.c_fc'] as const } },
      'at most once',
    ],
  ])('refuses %j', (spec, reason) => {
    expect(() => parametersOf(spec)).toThrow(reason);
  });
});

describe('initialiseParameters()', () => {
  const config = { vocabularySize: 300, contextLength: 40, layers: 8, width: 64, heads: 4 };
  const lora = { rank: 16, alpha: 16, targets: linearLayers };
  const parameters = initialiseParameters({ config, lora }, { seed: 'a' });

  function deviation(name: string): number {
    const values = parameters.get(name)!;
    return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  }

  // GPT-2's 0.02 at width 768 is 0.02·√12 at width 64. Standard deviations of thousands of seeded draws: 10 % is more than five standard errors away.
  it.each([
    ['transformer.wte.weight', 0.02 * Math.sqrt(12)],
    ['transformer.wpe.weight', 0.02 * Math.sqrt(12)],
    ['transformer.h.3.attn.c_attn.weight', 0.02 * Math.sqrt(12)],
    ['transformer.h.3.attn.c_proj.weight', (0.02 * Math.sqrt(12)) / 4],
    ['transformer.h.3.mlp.c_proj.weight', (0.02 * Math.sqrt(12)) / 4],
    ['transformer.h.3.mlp.c_fc.lora_A.weight', 1 / 8],
    ['transformer.h.3.mlp.c_proj.lora_A.weight', 1 / 16],
  ])('draws %s with deviation %d', (name, expected) => {
    expect(Math.abs(deviation(name) / expected - 1)).toBeLessThan(0.1);
  });

  it('starts norms at the identity, biases and the upper adapters at 0', () => {
    for (const [name, values] of parameters) {
      if (/ln_\w\.weight/.test(name)) expect(values.every(value => value === 1)).toBe(true);
      if (/bias|lora_B/.test(name)) expect(values.every(value => value === 0)).toBe(true);
    }
  });

  it('is a pure function of the seed, and adapters change no other parameter', () => {
    const adapted = initialiseParameters(tinyLora, { seed: 'a' });
    for (const [name, values] of initialiseParameters(tinyFull, { seed: 'a' })) {
      expect(values).toEqual(adapted.get(name));
    }
    const other = initialiseParameters(tinyFull, { seed: 'b' });
    expect(other.get('transformer.wte.weight')).not.toEqual(adapted.get('transformer.wte.weight'));
  });
});

describe('withLora(), mergeLora()', () => {
  const ids = [3, 1, 4, 1, 5];

  it('a fresh adapter changes nothing and shares the rest', () => {
    const model = livelyModel(tinyFull, 1);
    const adapted = withLora(model, { lora: tinyLora.lora!, seed: 1 });
    expect(adapted.parameters.get('transformer.wte.weight')).toBe(
      model.parameters.get('transformer.wte.weight'),
    );
    expect(referenceLogits(adapted, ids)).toEqual(referenceLogits(model, ids));
    expect(parametersOf(adapted.spec).map(({ name }) => name)).toEqual([...adapted.parameters.keys()]);
  });

  it('merging computes the same without adapters', () => {
    const model = livelyModel(tinyLora, 2);
    const merged = mergeLora(model);
    expect(merged.spec.lora).toBeNull();
    expect([...merged.parameters.keys()]).toEqual(parametersOf(merged.spec).map(({ name }) => name));
    const [expected, actual] = [referenceLogits(model, ids).flat(), referenceLogits(merged, ids).flat()];
    actual.forEach((value, index) => expect(Math.abs(value - expected[index]!)).toBeLessThan(1e-5));
    expect(mergeLora(merged)).toBe(merged);
  });

  it('refuses a second adapter', () => {
    expect(() => withLora(livelyModel(tinyLora, 1), { lora: tinyLora.lora!, seed: 1 })).toThrow(
      'of rank 3 already',
    );
  });
});
