/** Which update rule, and its constants. */
export type OptimizerSettings =
  | {
      readonly kind: 'adamw';
      /** Decay rates of the two running means, in [0, 1). */
      readonly beta1: number;
      readonly beta2: number;
      /** Added to the root of the second mean, > 0. */
      readonly stability: number;
      /** Decoupled decay, per step and unit of learning rate, >= 0. */
      readonly weightDecay: number;
    }
  | {
      readonly kind: 'sgd';
      /** Share of the last update that is kept, in [0, 1). */
      readonly momentum: number;
      readonly weightDecay: number;
    };

/** What an optimizer remembers between steps; written to checkpoints as it stands. */
export interface OptimizerState {
  updates: number;
  /** Running means, one value a parameter: two arrays for AdamW, one for SGD. */
  readonly moments: readonly Float32Array[];
}

/**
 * AdamW constants that suit noised gradients: the usual ones, no weight decay.
 *
 * @example
 * ```ts
 * defaultOptimizer.kind; // 'adamw'
 * ```
 */
export const defaultOptimizer: OptimizerSettings = {
  kind: 'adamw',
  beta1: 0.9,
  beta2: 0.99,
  stability: 1e-8,
  weightDecay: 0,
};

/** Zeroed state for `size` parameters. */
export function openOptimizer(size: number, settings: OptimizerSettings): OptimizerState {
  const arrays = settings.kind === 'adamw' ? 2 : 1;
  return { updates: 0, moments: Array.from({ length: arrays }, () => new Float32Array(size)) };
}

/**
 * One update in place. AdamW: Loshchilov and Hutter (arXiv 1711.05101), Algorithm 2, with bias
 * correction; SGD: heavy ball. Post-processing of the noised gradient, so it costs no privacy.
 *
 * @param parameters - shape [parameters], changed in place
 * @param update - gradient: shape [parameters]; learningRate: > 0; state: changed in place
 * @example
 * ```ts
 * const settings: OptimizerSettings = { kind: 'sgd', momentum: 0, weightDecay: 0 };
 * const parameters = Float32Array.of(1);
 * applyUpdate(parameters, { gradient: Float64Array.of(2), learningRate: 0.25, settings, state: openOptimizer(1, settings) });
 * parameters[0]; // 0.5
 * ```
 */
export function applyUpdate(
  parameters: Float32Array,
  update: {
    gradient: Float64Array;
    learningRate: number;
    settings: OptimizerSettings;
    state: OptimizerState;
  },
): void {
  update.state.updates += 1;
  if (update.settings.kind === 'adamw') applyAdamW(parameters, { ...update, settings: update.settings });
  else applySgd(parameters, { ...update, settings: update.settings });
}

interface UpdateOf<Kind extends OptimizerSettings['kind']> {
  gradient: Float64Array;
  learningRate: number;
  settings: Extract<OptimizerSettings, { kind: Kind }>;
  state: OptimizerState;
}

function applyAdamW(parameters: Float32Array, update: UpdateOf<'adamw'>): void {
  const { gradient, learningRate, settings, state } = update;
  const { beta1, beta2, stability, weightDecay } = settings;
  const first = state.moments[0]!;
  const second = state.moments[1]!;
  const firstScale = learningRate / (1 - beta1 ** state.updates);
  const secondScale = 1 / (1 - beta2 ** state.updates);
  const kept = 1 - learningRate * weightDecay;
  for (let index = 0; index < parameters.length; index += 1) {
    const slope = gradient[index]!;
    const mean = beta1 * first[index]! + (1 - beta1) * slope;
    const square = beta2 * second[index]! + (1 - beta2) * slope * slope;
    first[index] = mean;
    second[index] = square;
    const step = (firstScale * mean) / (Math.sqrt(square * secondScale) + stability);
    parameters[index] = kept * parameters[index]! - step;
  }
}

function applySgd(parameters: Float32Array, update: UpdateOf<'sgd'>): void {
  const { gradient, learningRate, settings, state } = update;
  const velocity = state.moments[0]!;
  const kept = 1 - learningRate * settings.weightDecay;
  for (let index = 0; index < parameters.length; index += 1) {
    const moved = settings.momentum * velocity[index]! + gradient[index]!;
    velocity[index] = moved;
    parameters[index] = kept * parameters[index]! - learningRate * moved;
  }
}
