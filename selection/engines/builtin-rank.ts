import { noteCut } from '../cap.ts';
import { rowsOfUser, type UserGroups } from '../records.ts';
import { type CapRule, isMergeable } from '../rule.ts';
import { Selector } from '../selector.ts';
import type { NarrowIds } from './narrow-ids.ts';
import type { NarrowBatch } from './narrow-reader.ts';
import type { NarrowRecords } from './narrow-records.ts';

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

/** Decides what each user keeps, one partition after the other. */
export interface PartRanking {
  /** Is told of every batch of the first pass, before anything is ranked. */
  see?(batch: NarrowBatch): void;
  /**
   * What is kept of the records of a partition.
   *
   * @param order - its users in canonical order
   * @returns rows and cuts by rows of the source
   */
  rank(records: NarrowRecords, order: Int32Array): Ranked;
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
 * The rows of each user without those that repeat an id of theirs.
 *
 * @param onRepeat - told of each
 */
export function withoutRepeats(
  { groups, ids }: Pick<NarrowRecords, 'groups' | 'ids'>,
  onRepeat: (row: number) => void,
): UserGroups {
  if (ids.isRising) return groups;
  const users = groups.starts.length - 1;
  const starts = new Int32Array(users + 1);
  const { rows } = groups;
  let kept = 0;
  for (let user = 0; user < users; user++) {
    const own = rowsOfUser(groups, user);
    const repeats = new Set(own.length < 2 ? [] : repeatsOf(own, ids));
    repeats.forEach(onRepeat);
    for (let i = 0; i < own.length; i++)
      if (repeats.size === 0 || !repeats.has(own[i]!)) rows[kept++] = own[i]!;
    starts[user + 1] = kept;
  }
  return { starts, rows: rows.subarray(0, kept) };
}

/** Records of a user up to this many are counted in an array, which spares most look-ups in a map. */
const commonCounts = 1024;

/** Records of each user, as a histogram. */
export function contributionsIn({ starts }: UserGroups): Map<number, number> {
  const few = new Int32Array(commonCounts);
  const contributions = new Map<number, number>();
  for (let user = 0; user + 1 < starts.length; user++) {
    const count = starts[user + 1]! - starts[user]!;
    if (count < commonCounts) few[count]! += 1;
    else contributions.set(count, (contributions.get(count) ?? 0) + 1);
  }
  for (let count = 1; count < commonCounts; count++)
    if (few[count]! > 0) contributions.set(count, few[count]!);
  return contributions;
}

/** Rows that can stay at most. */
function mostKept({ starts }: UserGroups, limit: number): number {
  let total = 0;
  for (let user = 0; user + 1 < starts.length; user++)
    total += Math.min(limit, starts[user + 1]! - starts[user]!);
  return total;
}

/** Applies a rule to one user after the other. */
class Ranking {
  readonly #records: NarrowRecords;
  readonly #rule: CapRule;
  readonly #groups: UserGroups;
  readonly #selector: Selector;
  /** Kept rows of users one after the other. */
  readonly #out: Int32Array;
  #used = 0;
  readonly cuts = new Map<number, number>();

  constructor(records: NarrowRecords, rule: CapRule, selector: Selector) {
    const { groups, ids, measures, tokens } = records;
    this.#records = records;
    this.#rule = rule;
    this.#groups = groups;
    this.#selector = selector;
    selector.use({ ids, lengths: measures, scores: measures, tokens });
    this.#out = new Int32Array(mostKept(this.#groups, rule.recordsPerUser ?? Infinity));
  }

  get rows(): Int32Array {
    return this.#out.subarray(0, this.#used);
  }

  get contributions(): Map<number, number> {
    return contributionsIn(this.#groups);
  }

  /** Notes the kept rows of a user, by record id, and says how many there are. */
  keep(user: number): number {
    const start = this.#groups.starts[user]!;
    const end = this.#groups.starts[user + 1]!;
    if (start === end) return 0;
    const kept = this.#selector.keepsAll(this.#groups.rows, start, end)
      ? this.#keepAll(start, end)
      : this.#keepSome(user, start, end);
    if (kept > 1) this.#records.ids.sort(this.#out, this.#used, this.#used + kept);
    this.#used += kept;
    return kept;
  }

  #keepAll(start: number, end: number): number {
    const { rows } = this.#groups;
    for (let i = start, at = this.#used; i < end; i++, at++) this.#out[at] = rows[i]!;
    return end - start;
  }

  #keepSome(user: number, start: number, end: number): number {
    const isCounted = (this.#rule.tokensPerUser ?? null) === null;
    if (!isCounted || end - start > mostAtOnce) return this.#keepBest(user);
    const textOf = (): string => this.#records.users.textOf(user);
    const target = { out: this.#out, at: this.#used };
    return this.#selector.keepInto(textOf, { rows: this.#groups.rows, start, end }, target);
  }

  /** Where the order counts, or rows are too many to rank at once. */
  #keepBest(user: number): number {
    const { users, tokens } = this.#records;
    const { tokenPolicy, tokensPerUser } = this.#rule;
    const best = this.#best(users.textOf(user), rowsOfUser(this.#groups, user));
    if (tokenPolicy === 'truncate' && tokens !== undefined)
      noteCut(best, tokens, { tokensPerUser: tokensPerUser ?? Infinity, cuts: this.cuts });
    this.#out.set(best, this.#used);
    return best.length;
  }

  #best(user: string, rows: Int32Array): Int32Array {
    const selector = this.#selector;
    if (rows.length <= mostAtOnce || !isMergeable(this.#rule.strategy)) return selector.keep(user, rows);
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
}

/** Ranks by a rule, one partition after the other. */
export class RuleRanking implements PartRanking {
  readonly #rule: CapRule;
  readonly #selector: Selector;

  constructor(rule: CapRule) {
    this.#rule = rule;
    this.#selector = new Selector({ ids: [] }, rule);
  }

  rank(records: NarrowRecords, order: Int32Array): Ranked {
    const { rowOf } = records;
    const ranked = rankRecords(records, this.#rule, { order, selector: this.#selector });
    const cuts = Array.from(ranked.cuts, ([row, tokens]): [number, number] => [rowOf[row]!, tokens]);
    return { ...ranked, rows: toSource(ranked.rows, rowOf), cuts: new Map(cuts) };
  }
}

/** Rows of a partition turned into rows of the source, in place. */
function toSource(rows: Int32Array, rowOf: Int32Array): Int32Array {
  for (let i = 0; i < rows.length; i++) rows[i] = rowOf[rows[i]!]!;
  return rows;
}

/**
 * The rows that a rule keeps of each user.
 *
 * @param options - order: users in canonical order; selector: of the rule, for one partition after the other
 */
function rankRecords(
  records: NarrowRecords,
  rule: CapRule,
  { order, selector }: { readonly order: Int32Array; readonly selector: Selector },
): Ranked {
  const ranking = new Ranking(records, rule, selector);
  const counts = new Int32Array(order.length);
  for (let place = 0; place < order.length; place++) counts[place] = ranking.keep(order[place]!);
  const { rows, cuts, contributions } = ranking;
  return { rows, counts, cuts, contributions };
}
