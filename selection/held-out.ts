import { DpError } from '../accounting/check.ts';
import { hash48, utf8Length } from './key.ts';
import { checkSeed } from './rule.ts';

/**
 * Whether a user is kept out of training for evaluation: a keyed hash of the id, so that the answer for one user
 * depends on no other user and adding or removing somebody moves nobody else.
 *
 * The first 48 bits of SHA-256 over `held-out:<seed>:<byte length of user>:<user>`, read as a fraction in [0, 1),
 * are below `fraction`.
 *
 * @param options - `fraction`: in [0, 1), the probability over seeds; `seed`: public text
 * @example
 * ```ts
 * isHeldOut('ada', { fraction: 0, seed: '42' }); // false
 * ```
 */
export function isHeldOut(user: string, options: { fraction: number; seed: string }): boolean {
  const { fraction } = options;
  if (!(fraction >= 0 && fraction < 1)) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot hold out users: fraction is ${fraction}. Give a number of at least 0 and below 1.`,
    );
  }
  const seed = checkSeed(options.seed, 'hold out users');
  return hash48(`held-out:${seed}:${utf8Length(user)}:${user}`) / 2 ** 48 < fraction;
}
