import type { OwnerLists } from './owners-order.ts';

/** Places of records whose id occurs more than once, by id. */
function sharedIds(ids: readonly string[]): number[][] {
  const first = new Map<string, number>();
  const groups = new Map<number, number[]>();
  for (let place = 0; place < ids.length; place++) {
    const before = first.get(ids[place]!);
    if (before === undefined) first.set(ids[place]!, place);
    else if (groups.has(before)) groups.get(before)!.push(place);
    else groups.set(before, [before, place]);
  }
  return [...groups.values()];
}

/**
 * Records whose id an earlier record of one of their owners has; a record that is left out so keeps no other out.
 *
 * @param users - how many there are
 * @returns places, ascending
 */
export function repeatedRecords(
  { ids, owners }: { readonly ids: readonly string[]; readonly owners: OwnerLists },
  users: number,
): number[] {
  const { starts, indices } = owners;
  const repeated: number[] = [];
  const seen = new Int32Array(users).fill(-1);
  for (const group of sharedIds(ids)) {
    for (const place of group) {
      const own = indices.subarray(starts[place], starts[place + 1]);
      if (own.some(owner => seen[owner] === group[0])) repeated.push(place);
      else for (const owner of own) seen[owner] = group[0]!;
    }
  }
  return repeated.sort((a, b) => a - b);
}
