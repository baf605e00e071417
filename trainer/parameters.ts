import { DpError } from '../accounting/check.ts';
import { parametersOf, sizeOf, type Model, type Parameters } from './model/gpt.ts';

/** A stretch of the flat vector of trainable values that belongs to one parameter. */
export interface TrainableSlice {
  readonly name: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/**
 * Where each trainable parameter lies in one flat vector, in the order of the model.
 *
 * @example
 * ```ts
 * const config = { vocabularySize: 257, contextLength: 64, layers: 2, width: 64, heads: 4 };
 * trainableSlices({ config, lora: { rank: 4, alpha: 8, targets: ['attn.c_attn'] } }).at(-1)!.end; // 2048
 * ```
 */
export function trainableSlices(spec: Model['spec']): TrainableSlice[] {
  let end = 0;
  return parametersOf(spec)
    .filter(parameter => parameter.trainable)
    .map(({ name, shape }) => {
      const start = end;
      end += sizeOf(shape);
      return { name, shape, start, end };
    });
}

/** Number of trainable values. */
export function trainableSize(slices: readonly TrainableSlice[]): number {
  return slices.at(-1)?.end ?? 0;
}

/** A copy of a model's trainable values in one vector. */
export function flattenTrainable(model: Model): Float32Array {
  const slices = trainableSlices(model.spec);
  const flat = new Float32Array(trainableSize(slices));
  for (const { name, start } of slices) flat.set(model.parameters.get(name)!, start);
  return flat;
}

/** A model's parameters with the trainable ones replaced by copies from a flat vector; frozen ones are shared. */
export function withTrainable(model: Model, flat: Float32Array): Parameters {
  const parameters = new Map(model.parameters);
  for (const { name, start, end } of trainableSlices(model.spec))
    parameters.set(name, flat.slice(start, end));
  return parameters;
}

/**
 * Refuses values that no training comes back from. Those of private training are noised ones, so that whether it
 * ends here tells nothing private.
 *
 * @param run - step: finished steps; learningRate: the highest of the run
 * @throws `INVALID_ARGUMENT` where one is not finite
 */
export function checkFinite(parameters: Float32Array, run: { step: number; learningRate: number }): void {
  let stray = 0;
  for (let index = 0; index < parameters.length; index += 1)
    if (!Number.isFinite(parameters[index])) stray += 1;
  if (stray === 0) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot train: after step ${run.step} ${stray} of ${parameters.length} parameters are no longer finite at learning rate ${run.learningRate}. ` +
      'Lower it (--learning-rate); steps that were noised stay counted.',
  );
}
