import { checkCount, DpError } from '../../check.ts';
import { verb } from './arguments.ts';

/** log-likelihoods in nats of the same fresh samples of one user, in the same order. */
export interface UserLikelihoods {
  /** Under the model that is audited. */
  readonly model: ArrayLike<number>;
  /** Under a model that never saw the user. */
  readonly reference: ArrayLike<number>;
}

/**
 * Score of a whole user: the mean log-likelihood ratio of fresh samples of that user, which were not trained on.
 *
 * Kandpal et al. (arXiv 2310.09266). The score for claims about users; the coin then decides over the whole user.
 *
 * @returns in nats; higher speaks for having taken part
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * userInferenceScore({ model: [-10, -12], reference: [-11, -14] }); // 1.5
 * ```
 */
export function userInferenceScore({ model, reference }: UserLikelihoods): number {
  checkCount(model.length, { verb, name: 'the number of samples' });
  if (model.length !== reference.length) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot ${verb}: the model has ${model.length} values and the reference ${reference.length}. Give both for the same samples.`,
    );
  }
  let sum = 0;
  for (let index = 0; index < model.length; index += 1) sum += model[index]! - reference[index]!;
  const score = sum / model.length;
  if (Number.isFinite(score)) return score;
  throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: a user's score is ${score}. Give finite values.`);
}
