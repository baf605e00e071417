import { noteCut } from '../cap.ts';
import { groupByUser, rowsOfUser, type UserGroups } from '../records.ts';
import { type CapRule, isMergeable } from '../rule.ts';
import { Selector } from '../selector.ts';
import { int32Column } from './narrow-columns.ts';
import type { NarrowIds } from './narrow-ids.ts';
import type { NarrowRecords } from './narrow-store.ts';

/** What a cap leaves of some records. */
export interface Ranked {
  /** Records of a user to number of users with so many, before the cap. */
  readonly contributions: Map<number, number>;
  /** Kept rows in canonical order. */
  readonly rows: Int32Array;
  /** How many of them each user of the order has. */
  readonly counts: Int32Array;
  /** Tokens that stay of rows that are cut. */
  readonly cuts: ReadonlyMap<number, number>;
}

/** Rows of a user that are ranked at once; a user with more is ranked piece by piece (shards of one user merge). */
const mostAtOnce = 2 ** 16;
/** Up to this many records of a user are compared pair by pair. */
const fewRecords = 12;

/** Rows of one user whose id an earlier one has. */
function repeatsOf(rows: Int32Array, ids: NarrowIds): number[] {
  const repeats: number[] = [];
  if (rows.length <= fewRecords) {
    for (let i = 1; i < rows.length; i++)
      for (let j = 0; j < i; j++)
        if (ids.isEqual(rows[i]!, rows[j]!)) {
          repeats.push(rows[i]!);
          break;
        }
    return repeats;
  }
  const mask = 2 ** Math.ceil(Math.log2(2 * rows.length)) - 1;
  const slots = new Int32Array(mask + 1).fill(-1);
  for (const row of rows) {
    let slot = ids.hashAt(row) & mask;
    while (slots[slot]! >= 0 && !ids.isEqual(slots[slot]!, row)) slot = (slot + 1) & mask;
    if (slots[slot]! >= 0) repeats.push(row);
    else slots[slot] = row;
  }
  return repeats;
}

/**
 * Takes rows that repeat an id of their user out of `userOf`.
 *
 * @param onRepeat - told of each; throws where repeats are errors
 */
export function dropRepeats(records: NarrowRecords, onRepeat: (row: number) => void): number {
  if (records.ids.isRising) return 0;
  const groups = groupByUser(records);
  let dropped = 0;
  for (let user = 0; user < records.users.length; user++) {
    const rows = rowsOfUser(groups, user);
    if (rows.length < 2) continue;
    for (const row of repeatsOf(rows, records.ids)) {
      onRepeat(row);
      records.userOf[row] = -1;
      dropped += 1;
    }
  }
  return dropped;
}

/** Records of each user, as a histogram. */
function contributionsIn({ starts }: UserGroups): Map<number, number> {
  const contributions = new Map<number, number>();
  for (let user = 0; user + 1 < starts.length; user++) {
    const count = starts[user + 1]! - starts[user]!;
    if (count > 0) contributions.set(count, (contributions.get(count) ?? 0) + 1);
  }
  return contributions;
}

/**
 * The rows that a rule keeps of each user.
 *
 * @param order - users in canonical order
 */
export function rankRecords(records: NarrowRecords, rule: CapRule, order: Int32Array): Ranked {
  const { users, ids, measures, tokens } = records;
  const groups = groupByUser(records);
  const selector = new Selector({ ids, lengths: measures, scores: measures, tokens }, rule);
  const rows = int32Column();
  const counts = new Int32Array(order.length);
  const cuts = new Map<number, number>();
  for (let place = 0; place < order.length; place++) {
    const user = order[place]!;
    const all = rowsOfUser(groups, user);
    if (all.length === 0) continue;
    const isWhole = selector.keepsAll(all);
    const best = isWhole ? all : keepOf(selector, users.textOf(user), { rows: all, rule });
    if (!isWhole && rule.tokenPolicy === 'truncate' && tokens !== undefined)
      noteCut(best, tokens, { tokensPerUser: rule.tokensPerUser ?? Infinity, cuts });
    rows.append(sortById(best, ids));
    counts[place] = best.length;
  }
  return { rows: rows.take(), counts, cuts, contributions: contributionsIn(groups) };
}

function keepOf(
  selector: Selector,
  user: string,
  { rows, rule }: { readonly rows: Int32Array; readonly rule: CapRule },
): Int32Array {
  if (rows.length <= mostAtOnce || !isMergeable(rule.strategy)) return selector.keep(user, rows);
  let best: Int32Array = new Int32Array(0);
  for (let at = 0; at < rows.length; at += mostAtOnce) {
    const piece = rows.subarray(at, at + mostAtOnce);
    const merged = new Int32Array(best.length + piece.length);
    merged.set(best);
    merged.set(piece, best.length);
    best = selector.keep(user, merged, at + mostAtOnce < rows.length).slice();
  }
  return best;
}

/** In place by insertion where there are few, which spares the calls of a general sort. */
function sortById(rows: Int32Array, ids: NarrowIds): Int32Array {
  if (rows.length === 1) return rows;
  if (rows.length > 32) return rows.sort((a, b) => ids.compare(a, b));
  for (let i = 1; i < rows.length; i++) {
    const row = rows[i]!;
    let at = i;
    for (; at > 0 && ids.compare(rows[at - 1]!, row) > 0; at--) rows[at] = rows[at - 1]!;
    rows[at] = row;
  }
  return rows;
}
