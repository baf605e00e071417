import { DpError } from '../accounting/check.ts';
import { packRows, physicalLimits } from './batches.ts';
import type { UserTokens } from './data.ts';
import { openDeviceModel, type DeviceModel } from './device.ts';
import type { Engine } from './engines/engine.ts';
import type { LanguageModel } from './language-model.ts';

/** How well a model predicts users' text; all values are perplexities, >= 1, lower is better. */
export interface Perplexity {
  /** Every token weighs the same: exp(total negative log-likelihood ÷ tokens). Users with much text dominate. */
  readonly byRecord: number;
  /** Every user weighs the same: the mean over users of the user's own perplexity. */
  readonly byUser: number;
  /** Mean of the worst tenth of users' perplexities (at least one user). */
  readonly worstTenth: number;
  readonly users: number;
  readonly records: number;
  readonly tokens: number;
}

/** Negative log-likelihood of one record under a model. */
export interface RecordLoss {
  /** In nats, summed over the tokens read. */
  readonly loss: number;
  readonly tokens: number;
}

/**
 * Loss of every sequence under a model, the first token predicted from end-of-text, reading at
 * most the model's context.
 *
 * @returns one entry a sequence, in their order
 */
export async function lossesOf(
  sequences: readonly Int32Array[],
  options: { model: LanguageModel; device: DeviceModel },
): Promise<RecordLoss[]> {
  const { model, device } = options;
  const { contextLength, vocabularySize } = model.spec.config;
  const limits = physicalLimits({ contextLength, vocabularySize });
  const packing = { contextLength, endOfText: model.tokenizer.endOfText, limits };
  const losses: RecordLoss[] = Array.from({ length: sequences.length });
  for (const batch of packRows(sequences, { ...packing, weightOf: () => 1 })) {
    const rowLoss = await device.evaluate(batch);
    for (const [row, source] of batch.sources.entries()) {
      const tokens = Math.min(sequences[source]!.length, contextLength);
      losses[source] = { loss: rowLoss[row]!, tokens };
    }
  }
  return losses;
}

/**
 * Perplexities from the losses of users' records.
 *
 * @param users - one list of record losses a user; users without records are left out
 * @example
 * ```ts
 * const users = [[{ loss: 0, tokens: 4 }], [{ loss: 2 * Math.log(4), tokens: 2 }]];
 * perplexityOf(users).byUser; // 2.5
 * perplexityOf(users).byRecord; // ~1.59
 * ```
 */
export function perplexityOf(users: readonly (readonly RecordLoss[])[]): Perplexity {
  const totals = users.filter(records => records.length > 0).map(totalOf);
  const perUser = totals.map(({ loss, tokens }) => Math.exp(loss / tokens)).sort((a, b) => b - a);
  const all = totalOf(totals);
  const worst = perUser.slice(0, Math.max(1, Math.ceil(perUser.length / 10)));
  return {
    byRecord: Math.exp(all.loss / all.tokens),
    byUser: mean(perUser),
    worstTenth: mean(worst),
    users: totals.length,
    records: users.reduce((count, records) => count + records.length, 0),
    tokens: all.tokens,
  };
}

function totalOf(records: readonly RecordLoss[]): RecordLoss {
  return records.reduce((sum, { loss, tokens }) => ({ loss: sum.loss + loss, tokens: sum.tokens + tokens }), {
    loss: 0,
    tokens: 0,
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Perplexity of users' records on a device that holds the model already. */
export async function evaluateOn(
  users: readonly UserTokens[],
  options: { model: LanguageModel; device: DeviceModel },
): Promise<Perplexity> {
  const sequences = users.flatMap(user => user.records.map(record => record.tokens));
  const losses = await lossesOf(sequences, options);
  let next = 0;
  return perplexityOf(users.map(user => losses.slice(next, (next += user.records.length))));
}

/**
 * Perplexity of a model on users' records.
 *
 * The figures come from the text of these very users and are covered by no guarantee: evaluate on
 * held-out users who agreed to it, and keep the figures out of a statement.
 *
 * @throws `INVALID_DATA` where there is no record to evaluate on
 */
export async function evaluate(
  model: LanguageModel,
  options: { users: readonly UserTokens[]; engine: Engine },
): Promise<Perplexity> {
  if (options.users.every(user => user.records.length === 0)) {
    throw new DpError('INVALID_DATA', 'Cannot evaluate: there are 0 records. Hold out some users.');
  }
  const device = openDeviceModel(model, options.engine);
  try {
    return await evaluateOn(options.users, { model, device });
  } finally {
    device.dispose();
  }
}
