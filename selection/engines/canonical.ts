import type { UserNames } from './narrow-store.ts';

/** Bytes that radix passes look at; users that agree in more are compared byte by byte. */
const radixBytes = 8;

/** Bytes that all users begin with. */
function commonPrefix({ bytes, offsets, length }: UserNames): number {
  let common = offsets[1]! - offsets[0]!;
  for (let user = 1; user < length && common > 0; user++) {
    const start = offsets[user]!;
    const most = Math.min(common, offsets[user + 1]! - start);
    let same = 0;
    while (same < most && bytes[start + same] === bytes[same]) same++;
    common = same;
  }
  return common;
}

/** Four bytes of every user from `place` on as one number; bytes beyond its end are 0, as no user has a NUL. */
function wordsAt({ bytes, offsets, length }: UserNames, place: number): Uint32Array {
  const words = new Uint32Array(length);
  for (let user = 0; user < length; user++) {
    const end = offsets[user + 1]!;
    let word = 0;
    for (let at = offsets[user]! + place, i = 0; i < 4; i++, at++)
      word = (word << 8) | (at < end ? bytes[at]! : 0);
    words[user] = word;
  }
  return words;
}

/** One stable counting pass by 16 bits of the words. */
function radixPass(order: Int32Array, words: Uint32Array, shift: number): Int32Array {
  const starts = new Int32Array(2 ** 16 + 1);
  for (let i = 0; i < words.length; i++) starts[((words[i]! >>> shift) & 0xffff) + 1]! += 1;
  for (let key = 1; key < starts.length; key++) starts[key]! += starts[key - 1]!;
  const out = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) {
    const user = order[i]!;
    out[starts[(words[user]! >>> shift) & 0xffff]!++] = user;
  }
  return out;
}

function compareFrom({ bytes, offsets }: UserNames, pair: readonly [number, number], skip: number): number {
  const [a, b] = [offsets[pair[0]]!, offsets[pair[1]]!];
  const [lengthA, lengthB] = [offsets[pair[0] + 1]! - a, offsets[pair[1] + 1]! - b];
  const shorter = Math.min(lengthA, lengthB);
  for (let i = skip; i < shorter; i++) {
    const difference = bytes[a + i]! - bytes[b + i]!;
    if (difference !== 0) return difference;
  }
  return lengthA - lengthB;
}

/**
 * All users in the order of their UTF-8 bytes: radix passes over eight bytes behind what all have in common, then a sort of
 * those that agree in these.
 */
export function canonicalUsers(names: UserNames): Int32Array {
  let order: Int32Array = Int32Array.from({ length: names.length }, (_, user) => user);
  if (names.length < 2) return order;
  const prefix = commonPrefix(names);
  const [high, low] = [wordsAt(names, prefix), wordsAt(names, prefix + radixBytes / 2)];
  for (const words of [low, high]) for (const shift of [0, 16]) order = radixPass(order, words, shift);
  for (let start = 0; start < order.length;) {
    const first = order[start]!;
    let end = start + 1;
    while (end < order.length && high[order[end]!] === high[first] && low[order[end]!] === low[first]) end++;
    if (end - start > 1) order.subarray(start, end).sort((x, y) => compareFrom(names, [x, y], prefix));
    start = end;
  }
  return order;
}
