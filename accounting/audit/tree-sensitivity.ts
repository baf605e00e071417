/** Who takes part when in a run with tree aggregation. */
export interface TreeRun {
  readonly steps: number;
  /** How often the tree was begun anew, after even stretches of steps; 0 for one tree. */
  readonly restarts: number;
  readonly maxParticipations: number;
  /** A unit that takes part in step s takes part again in step s + separation at the earliest. */
  readonly separation: number;
}

/** From what is certain to what is possible, in units of the clip norm. */
export interface SensitivityBounds {
  readonly lower: number;
  readonly upper: number;
}

/** A complete subtree: `levels` + 1 nodes lie above each of its leaves, itself included. */
interface Subtree {
  readonly start: number;
  readonly levels: number;
}

/** Participations that end at a step and what they add up to; none is both earlier and more than another one. */
interface Ending {
  readonly last: number;
  readonly value: number;
}

type Endings = readonly Ending[];

/**
 * L2 sensitivity of all nodes of binary trees over the steps, each node having noise of its own: the root of the largest sum of squared
 * participations of one unit over all complete nodes (Kairouz et al., arXiv 2103.00039, Appendix D). Estimators that combine nodes
 * (Honaker) are post-processing, so the upper end holds for them; the lower end holds for prefix sums by any of them.
 *
 * @returns the upper end is exact for all nodes unless a unit takes part more than 64 times, or there are many trees
 * @example
 * ```ts
 * const run = { steps: 2000, restarts: 0, maxParticipations: 6, separation: 314 };
 * treeSensitivity(run).upper ** 2; // ~79
 * ```
 */
export function treeSensitivity(run: TreeRun): SensitivityBounds {
  const trees = Math.ceil(run.steps / Math.ceil(run.steps / (run.restarts + 1)));
  const most = Math.min(run.maxParticipations, Math.floor((run.steps - 1) / run.separation) + 1);
  const isShort = most <= mostExact && most * trees <= mostPlaces;
  const upper = isShort ? exactSum(run, most) : levelSum(run, most);
  return { lower: Math.sqrt(prefixSum(run, most)), upper: Math.sqrt(upper) };
}

const [mostExact, mostPlaces] = [64, 1024];

interface Tree {
  readonly start: number;
  readonly length: number;
}

function treesOf({ steps, restarts }: TreeRun): Tree[] {
  const length = Math.ceil(steps / (restarts + 1));
  return Array.from({ length: Math.ceil(steps / length) }, (_, index) => ({
    start: index * length,
    length: Math.min(length, steps - index * length),
  }));
}

/** Complete subtrees that no other one contains, from left to right. */
function subtreesOf({ start, length }: Tree): Subtree[] {
  const found: Subtree[] = [];
  let at = 0;
  while (at < length) {
    const levels = Math.floor(Math.log2(length - at));
    found.push({ start: start + at, levels });
    at += 2 ** levels;
  }
  return found;
}

function exactSum(run: TreeRun, most: number): number {
  const search = new PatternSearch(run.separation);
  let byCount: (Endings | undefined)[] = [[{ last: -Infinity, value: 0 }]];
  for (const subtree of treesOf(run).flatMap(subtreesOf)) byCount = search.extend(byCount, subtree, most);
  return Math.max(...byCount.flatMap(endings => (endings ?? []).map(({ value }) => value)));
}

/** Patterns of participations by their number, with the earliest possible ends. */
class PatternSearch {
  readonly #separation: number;
  readonly #known = new Map<string, Endings>();

  constructor(separation: number) {
    this.#separation = separation;
  }

  extend(byCount: readonly (Endings | undefined)[], subtree: Subtree, most: number): (Endings | undefined)[] {
    const fits = Math.min(most, this.#capacity(subtree.levels));
    const longest = Math.min(most, byCount.length - 1 + fits);
    return Array.from({ length: longest + 1 }, (_, total) => {
      const found: Ending[] = [];
      for (let inside = Math.max(0, total - byCount.length + 1); inside <= Math.min(total, fits); inside += 1)
        for (const before of byCount[total - inside] ?? []) this.#append(found, before, subtree, inside);
      return found.length === 0 ? undefined : leading(found);
    });
  }

  #append(found: Ending[], before: Ending, { start, levels }: Subtree, inside: number): void {
    if (inside === 0) {
      found.push(before);
      return;
    }
    const from = Math.max(0, before.last + this.#separation - start);
    for (const { last, value } of this.#within(levels, inside, from))
      found.push({ last: start + last, value: before.value + value });
  }

  #capacity(levels: number): number {
    return Math.floor((2 ** levels - 1) / this.#separation) + 1;
  }

  /** Patterns of `count` participations in a subtree, none before `from`, both as seen from its first step. */
  #within(levels: number, count: number, from: number): Endings {
    const size = 2 ** levels;
    if (from + (count - 1) * this.#separation >= size) return [];
    // Further left all places are alike: each has the whole subtree's levels above it.
    if (count === 1) return [{ last: from, value: levels + 1 }];
    const key = `${levels} ${count} ${from}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const found = this.#split(levels, count, from);
    this.#known.set(key, found);
    return found;
  }

  #split(levels: number, count: number, from: number): Endings {
    const half = 2 ** (levels - 1);
    const found: Ending[] = [];
    for (let left = 0; left <= count; left += 1) {
      const firsts = left === 0 ? [undefined] : this.#within(levels - 1, left, from);
      for (const first of firsts) this.#finish(found, first, { levels, count, left, from, half });
    }
    return leading(found.map(({ last, value }) => ({ last, value: value + count ** 2 })));
  }

  #finish(
    found: Ending[],
    first: Ending | undefined,
    at: { levels: number; count: number; left: number; from: number; half: number },
  ): void {
    const { levels, count, left, from, half } = at;
    if (left === count) {
      found.push(first!);
      return;
    }
    const earliest = first === undefined ? from : first.last + this.#separation;
    for (const { last, value } of this.#within(levels - 1, count - left, Math.max(0, earliest - half)))
      found.push({ last: half + last, value: value + (first?.value ?? 0) });
  }
}

/** Endings that no other one beats in both. */
function leading(endings: readonly Ending[]): Endings {
  const kept: Ending[] = [];
  for (const ending of endings.toSorted((a, b) => a.last - b.last || b.value - a.value))
    if (kept.length === 0 || ending.value > kept.at(-1)!.value) kept.push(ending);
  return kept;
}

/** Each level of nodes at its own worst: not below the largest sum. */
function levelSum(run: TreeRun, most: number): number {
  const { steps, restarts, separation } = run;
  const length = Math.ceil(steps / (restarts + 1));
  const trees = Math.ceil(steps / length);
  let total = 0;
  for (let size = 1; size <= length; size *= 2) {
    const each = Math.min(most, Math.floor((size - 1) / separation) + 1);
    const nodes = trees * Math.floor(length / size);
    const full = Math.min(nodes, Math.floor(most / each));
    const rest = full < nodes ? most - full * each : 0;
    total += full * each ** 2 + rest ** 2;
  }
  return total;
}

/**
 * What prefix sums reveal of a unit that takes part as early and as often as it may: in each tree the one whose square over the number of
 * its nodes is the largest. No estimator has more noise than the sum of its nodes; different trees have different noise.
 */
function prefixSum({ steps, restarts, separation }: TreeRun, most: number): number {
  const length = Math.ceil(steps / (restarts + 1));
  const best = new Map<number, number>();
  for (let index = 0; index < Math.min(most, mostPrefixes); index += 1) {
    const tree = Math.floor((index * separation) / length);
    const first = Math.ceil((tree * length) / separation);
    const known = best.get(tree) ?? 0;
    best.set(
      tree,
      Math.max(
        known,
        revealed({ separation, length: treeLength(tree, length, steps), index, first, start: tree * length }),
      ),
    );
  }
  return [...best.values()].reduce((sum, value) => sum + value, 0);
}

const mostPrefixes = 1e4;

function treeLength(tree: number, length: number, steps: number): number {
  return Math.min(length, steps - tree * length);
}

/** Over prefixes that hold the participations up to `index`: the fewest nodes are those of a round end. */
function revealed(at: {
  readonly separation: number;
  readonly length: number;
  readonly index: number;
  readonly first: number;
  readonly start: number;
}): number {
  const needed = at.index * at.separation - at.start + 1;
  return (at.index - at.first + 1) ** 2 / fewestNodes(needed, at.length);
}

/** The least number of ones in the binary digits of a whole number from `from` to `to`. */
function fewestNodes(from: number, to: number): number {
  let least = Infinity;
  for (let unit = 1; unit <= 2 * to; unit *= 2) {
    const end = Math.ceil(from / unit) * unit;
    if (end <= to) least = Math.min(least, onesOf(end));
  }
  return least;
}

function onesOf(value: number): number {
  let [left, ones] = [value, 0];
  while (left > 0) {
    ones += left % 2;
    left = Math.floor(left / 2);
  }
  return ones;
}
