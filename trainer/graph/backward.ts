import type { Contribution, GraphBuilder, ParameterUse, Tensor } from './graph.ts';
import { add } from './operations.ts';
import { unitGradient } from './unit-gradients.ts';

/** Looks up d(Σ root) / d(tensor). */
export interface Gradients {
  /**
   * The gradient of a tensor of the forward pass: of an activation in its shape, of a parameter for each unit
   * apart, [units, …shape], or [shape] for one unit.
   */
  readonly of: (tensor: Tensor) => Tensor;
  /** How a parameter's gradient comes about: the sum of these. */
  readonly usesOf: (parameter: Tensor) => readonly ParameterUse[];
}

/**
 * Reverse-mode differentiation of the sum of a tensor's values by everything it depends on.
 *
 * Adds the nodes of the backward pass to the builder; those that nobody asks for disappear when the graph is
 * built.
 *
 * @returns the look-up; a tensor on which the root doesn't depend is a `RangeError`
 */
export function backward(builder: GraphBuilder, root: Tensor): Gradients {
  const ones = new Float32Array(root.shape.reduce((size, extent) => size * extent, 1)).fill(1);
  const gathered = new Map<number, Tensor>([[root.id, builder.constant(ones, root.shape)]]);
  const uses = new Map<number, ParameterUse[]>();
  const gather = ({ id }: Tensor, contribution: Contribution): void => {
    if ('use' in contribution) return void uses.set(id, [...(uses.get(id) ?? []), contribution]);
    const before = gathered.get(id);
    gathered.set(id, before === undefined ? contribution : add(builder, [before, contribution]));
  };
  for (const { inputs, outputs, reverse } of builder.tape.toReversed()) {
    const gradients = outputs.map(output => gathered.get(output.id));
    if (gradients.every(gradient => gradient === undefined)) continue;
    reverse(gradients).forEach((contribution, index) => {
      if (inputs[index]!.differentiable) gather(inputs[index]!, contribution);
    });
  }
  const usesOf = (parameter: Tensor): readonly ParameterUse[] => uses.get(parameter.id) ?? refuse(parameter);
  return {
    usesOf,
    of: tensor =>
      gathered.get(tensor.id) ?? unitGradient(builder, { shape: tensor.shape, uses: usesOf(tensor) }),
  };
}

function refuse({ shape }: Tensor): never {
  throw new RangeError(`Cannot differentiate: nothing leads to the tensor of shape [${shape.join()}].`);
}
