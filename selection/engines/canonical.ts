/** Distinct users as UTF-8: user u lies from `offsets[u]` to `offsets[u + 1]`. */
export interface UserNames {
  readonly length: number;
  readonly bytes: Uint8Array;
  readonly offsets: Int32Array;
}

/** Bytes behind the common beginning that sort keys may take in. */
const mostPlaces = 16;
/** Sort keys are whole numbers below this. */
const keySpan = 2 ** 32;
const radixBits = 12;

/** Bytes that all users begin with. */
function commonPrefix({ bytes, offsets, length }: UserNames): number {
  let common = offsets[1]! - offsets[0]!;
  for (let user = 1; user < length && common > 0; user++) {
    const start = offsets[user]!;
    const most = Math.min(common, offsets[user + 1]! - start);
    let same = 0;
    while (same < most && bytes[start + same] === bytes[offsets[0]! + same]) same++;
    common = same;
  }
  return common;
}

/** How bytes at one place behind the common beginning are ranked; the end of a user comes before every byte. */
interface Place {
  readonly at: number;
  /** By byte + 1; 0 stands for the end. */
  readonly ranks: Int32Array;
  /** How many different ones there are. */
  readonly count: number;
}

/** Which bytes occur at a place; from the place at which all have ended on there is one rank. */
function placeOf({ bytes, offsets, length }: UserNames, at: number): Place {
  const ranks = new Int32Array(257);
  for (let user = 0; user < length; user++) {
    const from = offsets[user]! + at;
    ranks[from < offsets[user + 1]! ? bytes[from]! + 1 : 0] = 1;
  }
  let count = 0;
  for (let byte = 0; byte < ranks.length; byte++) if (ranks[byte] === 1) ranks[byte] = count++;
  return { at, ranks, count };
}

/** A number for every user that sorts as some of its bytes do. */
interface SortKey {
  readonly keys: Uint32Array;
  readonly span: number;
}

function sortKey({ bytes, offsets, length }: UserNames, places: readonly Place[]): SortKey {
  const keys = new Uint32Array(length);
  for (const { at, ranks, count } of places) {
    for (let user = 0; user < length; user++) {
      const from = offsets[user]! + at;
      keys[user] = keys[user]! * count + ranks[from < offsets[user + 1]! ? bytes[from]! + 1 : 0]!;
    }
  }
  return { keys, span: places.reduce((product, { count }) => product * count, 1) };
}

/** Two sort keys, the second behind the first, with as many places as they can hold. */
function sortKeys(names: UserNames, prefix: number): [SortKey, SortKey] {
  const groups: [Place[], Place[]] = [[], []];
  let [group, span] = [0, 1];
  const end = prefix + Math.min(mostPlaces, longestTail(names, prefix));
  for (let at = prefix; at < end; at++) {
    const place = placeOf(names, at);
    if (place.count < 2) continue;
    if (span * place.count > keySpan) [group, span] = [group + 1, 1];
    if (group === groups.length) break;
    groups[group]!.push(place);
    span *= place.count;
  }
  return [sortKey(names, groups[0]), sortKey(names, groups[1])];
}

/** Bytes of the longest user behind the common beginning. */
function longestTail({ offsets, length }: UserNames, prefix: number): number {
  let longest = 0;
  for (let user = 0; user < length; user++) longest = Math.max(longest, offsets[user + 1]! - offsets[user]!);
  return longest - prefix;
}

/** Users in some order, each with its key beside it, so that a pass reads memory from front to back. */
interface Keyed {
  readonly order: Int32Array;
  readonly keys: Uint32Array;
}

/** One stable counting pass by some bits of the keys. */
function radixPass({ order, keys }: Keyed, shift: number): Keyed {
  const mask = 2 ** radixBits - 1;
  const starts = new Int32Array(mask + 2);
  for (let i = 0; i < keys.length; i++) starts[((keys[i]! >>> shift) & mask) + 1]! += 1;
  for (let key = 1; key < starts.length; key++) starts[key]! += starts[key - 1]!;
  const sorted = { order: new Int32Array(order.length), keys: new Uint32Array(order.length) };
  for (let i = 0; i < order.length; i++) {
    const to = starts[(keys[i]! >>> shift) & mask]!++;
    sorted.order[to] = order[i]!;
    sorted.keys[to] = keys[i]!;
  }
  return sorted;
}

/** Sorts users by a key, keeping the order of those with equal keys. */
function sortByKey(order: Int32Array, { keys, span }: SortKey): Keyed {
  const own = new Uint32Array(order.length);
  for (let i = 0; i < order.length; i++) own[i] = keys[order[i]!]!;
  let sorted: Keyed = { order, keys: own };
  for (let shift = 0; 2 ** shift < span; shift += radixBits) sorted = radixPass(sorted, shift);
  return sorted;
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

/** Sorts users with equal keys by their bytes, in place; whether any two of them are the same. */
function settleTies(
  { order, keys: high }: Keyed,
  names: UserNames,
  { low, prefix }: { low: Uint32Array; prefix: number },
): boolean {
  let hasRepeats = false;
  for (let start = 0; start < order.length;) {
    const first = order[start]!;
    let end = start + 1;
    while (end < order.length && high[end] === high[start] && low[order[end]!] === low[first]) end++;
    if (end - start > 1) {
      const ties = order.subarray(start, end).sort((x, y) => compareFrom(names, [x, y], prefix));
      for (let i = 1; i < ties.length; i++)
        if (compareFrom(names, [ties[i - 1]!, ties[i]!], prefix) === 0) hasRepeats = true;
    }
    start = end;
  }
  return hasRepeats;
}

/**
 * All users in the order of their UTF-8 bytes, and whether any text comes twice: radix passes by keys of two words that take in the
 * first differing bytes, then a sort of those that agree in these.
 */
export function canonicalOrder(names: UserNames): { order: Int32Array; hasRepeats: boolean } {
  const order = new Int32Array(names.length);
  for (let user = 0; user < order.length; user++) order[user] = user;
  if (names.length < 2) return { order, hasRepeats: false };
  const prefix = commonPrefix(names);
  const [high, low] = sortKeys(names, prefix);
  const sorted = sortByKey(sortByKey(order, low).order, high);
  return { order: sorted.order, hasRepeats: settleTies(sorted, names, { low: low.keys, prefix }) };
}
