import type { LinearLayer, ModelSpec, Parameters } from '../../trainer/model/gpt.ts';

// GPT-2 once more, from its description: one text at a time, arrays of numbers, float64. Nothing is shared
// with the graph but the names of the parameters.

type Matrix = number[][];

interface ReferenceModel {
  readonly spec: ModelSpec;
  readonly parameters: ReadonlyMap<string, ArrayLike<number>>;
}

function vector({ parameters }: ReferenceModel, name: string): number[] {
  return Array.from(parameters.get(name)!);
}

function matrix(model: ReferenceModel, name: string, columns: number): Matrix {
  const flat = vector(model, name);
  return Array.from({ length: flat.length / columns }, (_, row) =>
    flat.slice(row * columns, (row + 1) * columns),
  );
}

function dot(left: readonly number[], right: readonly number[]): number {
  return left.reduce((sum, value, index) => sum + value * right[index]!, 0);
}

function plus(left: readonly number[], right: readonly number[]): number[] {
  return left.map((value, index) => value + right[index]!);
}

function normalise(model: ReferenceModel, name: string, input: readonly number[]): number[] {
  const mean =
    dot(
      input,
      input.map(() => 1),
    ) / input.length;
  const variance = input.reduce((sum, value) => sum + (value - mean) ** 2, 0) / input.length;
  const [gain, bias] = [vector(model, `${name}.weight`), vector(model, `${name}.bias`)];
  return input.map(
    (value, index) => ((value - mean) / Math.sqrt(variance + 1e-5)) * gain[index]! + bias[index]!,
  );
}

function linear(model: ReferenceModel, name: string, input: readonly number[]): number[] {
  const bias = vector(model, `${name}.bias`);
  const weight = matrix(model, `${name}.weight`, bias.length);
  const plain = bias.map(
    (value, column) =>
      value +
      dot(
        input,
        weight.map(row => row[column]!),
      ),
  );
  const { lora } = model.spec;
  if (lora === null || !lora.targets.some((target: LinearLayer) => name.endsWith(target))) return plain;
  const inner = matrix(model, `${name}.lora_A.weight`, input.length).map(row => dot(row, input));
  const outer = matrix(model, `${name}.lora_B.weight`, lora.rank).map(row => dot(row, inner));
  return plain.map((value, index) => value + (lora.alpha / lora.rank) * outer[index]!);
}

function gelu(u: number): number {
  return 0.5 * u * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (u + 0.044715 * u ** 3)));
}

function softmax(scores: readonly number[]): number[] {
  const exponentials = scores.map(score => Math.exp(score - Math.max(...scores)));
  const total = exponentials.reduce((sum, value) => sum + value, 0);
  return exponentials.map(value => value / total);
}

function attend(model: ReferenceModel, block: string, inputs: Matrix): Matrix {
  const { width, heads } = model.spec.config;
  const size = width / heads;
  const joint = inputs.map(input => linear(model, `${block}.attn.c_attn`, input));
  return inputs.map((_, position) => {
    const mixed = Array.from({ length: heads }, (_, head) => {
      const part = (token: number, which: number): number[] =>
        joint[token]!.slice(which * width + head * size, which * width + (head + 1) * size);
      const seen = Array.from({ length: position + 1 }, (_, token) => token);
      const weights = softmax(seen.map(token => dot(part(position, 0), part(token, 1)) / Math.sqrt(size)));
      return Array.from({ length: size }, (_, index) =>
        dot(
          weights,
          seen.map(token => part(token, 2)[index]!),
        ),
      );
    });
    return linear(model, `${block}.attn.c_proj`, mixed.flat());
  });
}

/** Logits of one text: a row for each of its tokens. */
export function referenceLogits(model: ReferenceModel, ids: readonly number[]): Matrix {
  const { layers, width } = model.spec.config;
  const tokens = matrix(model, 'transformer.wte.weight', width);
  const positions = matrix(model, 'transformer.wpe.weight', width);
  let stream = ids.map((id, position) => plus(tokens[id]!, positions[position]!));
  for (let layer = 0; layer < layers; layer++) {
    const block = `transformer.h.${layer}`;
    const heard = attend(
      model,
      block,
      stream.map(row => normalise(model, `${block}.ln_1`, row)),
    );
    stream = stream.map((row, index) => plus(row, heard[index]!));
    stream = stream.map(row => {
      const hidden = linear(model, `${block}.mlp.c_fc`, normalise(model, `${block}.ln_2`, row)).map(gelu);
      return plus(row, linear(model, `${block}.mlp.c_proj`, hidden));
    });
  }
  return stream.map(row => {
    const normal = normalise(model, 'transformer.ln_f', row);
    return tokens.map(token => dot(token, normal));
  });
}

/** Σ over the tokens of a text of weight · negative log-likelihood of the target. */
export function referenceLoss(
  model: ReferenceModel,
  text: {
    readonly ids: readonly number[];
    readonly targets: readonly number[];
    readonly weights: readonly number[];
  },
): number {
  return referenceLogits(model, text.ids).reduce((loss, logits, position) => {
    const likelihood = softmax(logits)[text.targets[position]!]!;
    return loss - text.weights[position]! * Math.log(likelihood);
  }, 0);
}

/** Parameters in float64, to be nudged. */
export function wideParameters(parameters: Parameters): Map<string, Float64Array> {
  return new Map([...parameters].map(([name, values]) => [name, Float64Array.from(values)]));
}
