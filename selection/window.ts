import { hash48, utf8Length } from './key.ts';

/**
 * Where the window of a user starts: the first 48 bits of SHA-256 over `<seed>:<byte length of user>:<user>`, modulo the
 * number of their records.
 *
 * @param rule - count: records of the user, at least 1
 * @returns a place in the order of K, in [0, count)
 * @example
 * ```ts
 * windowStart('ada', { seed: '42', count: 1 }); // 0
 * ```
 */
export function windowStart(user: string, rule: { seed: string; count: number }): number {
  return hash48(`${rule.seed}:${utf8Length(user)}:${user}`) % rule.count;
}

/**
 * Random chunks, second reading (selection contract, v1): as many consecutive records as the cap allows, in the order
 * of K from `windowStart` on, going on at the front where the order ends.
 *
 * Each record is kept with the same probability, as under `random`, and the order of the input plays no part. But the
 * start depends on how many records the user has, so the windows of two shards say nothing of the window of both:
 * all records of a user have to be in one place, and engines that rank shards or speak SQL refuse the strategy.
 *
 * @param order - all places of a user in the order of K
 * @returns places in the window's order; at most `length`
 * @example
 * ```ts
 * windowOf(Int32Array.of(7, 8, 9), { start: 2, length: 2 }); // Int32Array.of(9, 7)
 * ```
 */
export function windowOf(order: Int32Array, window: { start: number; length: number }): Int32Array {
  const length = Math.min(window.length, order.length);
  return Int32Array.from({ length }, (_, at) => order[(window.start + at) % order.length]!);
}
