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

/** One stable counting pass by the byte at `place` of each user; users that end before come first. */
function radixPass(names: UserNames, order: Int32Array, place: number): Int32Array {
  const { bytes, offsets } = names;
  const keyOf = (user: number): number => {
    const at = offsets[user]! + place;
    return at < offsets[user + 1]! ? bytes[at]! + 1 : 0;
  };
  const starts = new Int32Array(258);
  for (const user of order) starts[keyOf(user) + 1]! += 1;
  for (let key = 1; key < starts.length; key++) starts[key]! += starts[key - 1]!;
  const out = new Int32Array(order.length);
  for (const user of order) out[starts[keyOf(user)]!++] = user;
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
  for (let place = prefix + radixBytes - 1; place >= prefix; place--) order = radixPass(names, order, place);
  const known = prefix + radixBytes;
  const isTied = (at: number): boolean => {
    const pair = [order[at - 1]!, order[at]!] as const;
    const ends = pair.map(user => names.offsets[user + 1]! - names.offsets[user]!);
    if (ends.every(end => end <= prefix)) return true;
    for (let i = prefix; i < known; i++) {
      const [x, y] = pair.map((user, side) =>
        i < ends[side]! ? names.bytes[names.offsets[user]! + i]! : -1,
      );
      if (x !== y) return false;
    }
    return true;
  };
  for (let start = 0; start < order.length;) {
    let end = start + 1;
    while (end < order.length && isTied(end)) end++;
    if (end - start > 1) order.subarray(start, end).sort((x, y) => compareFrom(names, [x, y], prefix));
    start = end;
  }
  return order;
}
