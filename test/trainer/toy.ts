import type { Plan } from '../../accounting/plan.ts';
import type { MicroBatch } from '../../trainer/batches.ts';
import type { UserTokens } from '../../trainer/data.ts';
import type { BatchGradients, GradientSource } from '../../trainer/clip.ts';

/** Token ids of the toy are below this; its gradient has one coordinate a token id. */
export const toyVocabulary = 40;

/** A gradient that depends on nothing but the tokens: token v pulls on coordinate v with strength 1 + v. */
export function toyGradient(tokens: Int32Array, weight: number): Float64Array {
  const gradient = new Float64Array(toyVocabulary);
  for (const token of tokens) gradient[token]! += weight * (1 + token);
  return gradient;
}

/** Length of a vector. */
export function norm(vector: ArrayLike<number>): number {
  return Math.sqrt(Array.from(vector).reduce((sum, value) => sum + value * value, 0));
}

/** What a toy clips: every unit, as it should, or one of the classic mistakes. */
export type ToyClip = 'units' | 'rows' | 'batch' | 'nothing';

function addClipped(sum: Float64Array, vector: Float64Array, clip: number): void {
  const scale = Math.min(1, clip / norm(vector));
  for (let index = 0; index < sum.length; index += 1) sum[index]! += (scale || 0) * vector[index]!;
}

function rowGradient(batch: MicroBatch, row: number): Float64Array {
  const { tokens } = batch.shape;
  const gradient = new Float64Array(toyVocabulary);
  for (let place = row * tokens; place < (row + 1) * tokens; place += 1) {
    const token = batch.targetIds[place]!;
    const weight = batch.tokenWeights[place]!;
    if (weight > 0) gradient[token]! += weight * (1 + token);
  }
  return gradient;
}

/** A gradient source without an engine, in float64. `zero` makes every gradient vanish. */
export function toySource(options: { clip?: ToyClip; zero?: boolean; size?: number } = {}): GradientSource {
  const { clip = 'units', zero = false, size = toyVocabulary } = options;
  return {
    size,
    run(batch, clipNorm): Promise<BatchGradients> {
      const { units, rowsPerUnit } = batch.shape;
      const losses = new Float32Array(units);
      const norms = new Float32Array(units);
      if (zero) return Promise.resolve({ losses, norms, sums: [new Float32Array(size)] });
      const sum = new Float64Array(size);
      for (let unit = 0; unit < units; unit += 1) {
        const whole = new Float64Array(size);
        for (let row = unit * rowsPerUnit; row < (unit + 1) * rowsPerUnit; row += 1) {
          const gradient = rowGradient(batch, row);
          if (clip === 'rows') addClipped(sum, gradient, clipNorm);
          addClipped(whole, gradient, Infinity);
        }
        norms[unit] = norm(whole);
        losses[unit] = norms[unit]!;
        if (clip !== 'rows') addClipped(sum, whole, clip === 'units' ? clipNorm : Infinity);
      }
      const result = new Float64Array(size);
      addClipped(result, sum, clip === 'batch' ? clipNorm : Infinity);
      return Promise.resolve({ losses, norms, sums: [Float32Array.from(result)] });
    },
  };
}

/** A plan for these users that draws everybody every step, unless told otherwise. */
export function planFor(
  users: readonly UserTokens[],
  changes: Partial<Plan> & { probability?: number } = {},
): Plan {
  const { probability = 1, ...fields } = changes;
  const mechanism = fields.mechanism ?? 'user-wise';
  const records = users.reduce((sum, user) => sum + user.records.length, 0);
  const over = mechanism === 'user-wise' ? 'users' : 'records';
  const units = over === 'users' ? users.length : records;
  return {
    format: 'privacy-unit/plan',
    version: 1,
    mechanism,
    neighbours: 'add-or-remove',
    unit: { protection: 'user', recordsPerUser: Math.max(1, ...users.map(user => user.records.length)) },
    population: { users: users.length, records },
    sampler: {
      kind: 'poisson',
      over,
      samplingProbability: probability,
      expectedBatchSize: probability * units,
    },
    clipNorm: 2,
    noiseMultiplier: 1.5,
    steps: 4,
    delta: 1e-5,
    targetEpsilon: null,
    groupConversion: mechanism === 'user-wise' ? 'none' : 'mixture',
    selection: {
      strategy: 'random',
      seed: '1',
      tokensPerUser: null,
      chunkTokens: null,
      when: 'once',
      privacyCost: [],
    },
    heldOut: { fraction: 0, seed: '1' },
    ...fields,
  };
}

/** Users whose records have the given lengths; tokens are a fixed function of user, record and place. */
export function usersWith(
  lengths: readonly (readonly number[])[],
  vocabulary: number = toyVocabulary,
): UserTokens[] {
  return lengths.map((records, user) => ({
    user: `user-${user}`,
    records: records.map((length, record) => ({
      id: `record-${record}`,
      tokens: Int32Array.from(
        { length },
        (_, place) => (7 * user + 11 * record + 3 * place * place + place) % vocabulary,
      ),
    })),
  }));
}
