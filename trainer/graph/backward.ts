import type { Contribution, GraphBuilder, Tensor } from './graph.ts';
import { add } from './operations.ts';

/** Looks up d(Σ root) / d(tensor) for a tensor of the forward pass. */
export type Gradients = (tensor: Tensor) => Tensor;

/**
 * Reverse-mode differentiation of the sum of a tensor's values by everything it depends on.
 *
 * Adds the nodes of the backward pass to the builder; those that nobody asks for disappear when the graph is
 * built. Gradients of activations have the activation's shape, those of parameters have the units in front.
 *
 * @returns the look-up; a tensor on which the root doesn't depend is a `RangeError`
 */
export function backward(builder: GraphBuilder, root: Tensor): Gradients {
  const ones = new Float32Array(root.shape.reduce((size, extent) => size * extent, 1)).fill(1);
  const gathered = new Map<number, Tensor>([[root.id, builder.constant(ones, root.shape)]]);
  const gather = (input: Tensor, contribution: Contribution): void => {
    const before = gathered.get(input.id);
    gathered.set(input.id, combine(builder, { before, contribution }));
  };
  for (const { inputs, outputs, reverse } of builder.tape.toReversed()) {
    const gradients = outputs.map(output => gathered.get(output.id));
    if (gradients.every(gradient => gradient === undefined)) continue;
    reverse(gradients).forEach((contribution, index) => {
      if (inputs[index]!.differentiable) gather(inputs[index]!, contribution);
    });
  }
  return tensor => {
    const gradient = gathered.get(tensor.id);
    if (gradient !== undefined) return gradient;
    throw new RangeError(
      `Cannot differentiate: nothing leads to the tensor of shape [${tensor.shape.join()}].`,
    );
  };
}

function combine(
  builder: GraphBuilder,
  { before, contribution }: { before: Tensor | undefined; contribution: Contribution },
): Tensor {
  if (typeof contribution === 'function') return contribution(before);
  return before === undefined ? contribution : add(builder, [before, contribution]);
}
