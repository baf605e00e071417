import { SimilarUsers } from './similar-users.ts';
import { TextInterner } from './tables/interner.ts';

function compareLists(left: readonly Uint8Array[], right: readonly Uint8Array[]): number {
  const shorter = Math.min(left.length, right.length);
  for (let i = 0; i < shorter; i++) {
    const difference = Buffer.compare(left[i]!, right[i]!);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** The owners of a row by UTF-8 bytes, each once; copies, since batches go. */
function sortedOwners(owners: readonly Uint8Array[]): Uint8Array[] {
  const sorted = owners.map(owner => owner.slice()).sort((a, b) => Buffer.compare(a, b));
  return sorted.filter((owner, at) => at === 0 || Buffer.compare(owner, sorted[at - 1]!) !== 0);
}

/** Counts what every owner has of rows that come in order of their lists of owners; holds a few numbers an owner. */
export class OwnerCounts {
  readonly #owners: TextInterner = new TextInterner();
  readonly #similar: SimilarUsers;
  readonly #records: number[] = [];
  readonly #tokens: number[] = [];
  #last: readonly Uint8Array[] = [];
  #lastId: Uint8Array = new Uint8Array(0);
  #lists = 0;
  #isCanonical = true;

  /** @param memoryLimit - bytes for finding ids that are alike */
  constructor(memoryLimit: number) {
    this.#similar = new SimilarUsers(memoryLimit);
  }

  /** How many different lists of owners came one after the other. */
  get lists(): number {
    return this.#lists;
  }

  /** Rows go up by (owners, id), none twice. */
  get isCanonical(): boolean {
    return this.#isCanonical;
  }

  get users(): number {
    return this.#owners.size;
  }

  get similarUsers(): number {
    return this.#similar.result();
  }

  /** Records of every user, by number. */
  get records(): readonly number[] {
    return this.#records;
  }

  get mostTokens(): number {
    return this.#tokens.reduce((most, tokens) => Math.max(most, tokens), 0);
  }

  /** Counts a row for each of its owners. */
  add(owners: readonly Uint8Array[], id: Uint8Array, tokens: number): void {
    const sorted = sortedOwners(owners);
    this.#follow(sorted, id);
    for (const owner of sorted) {
      const before = this.#owners.size;
      const user = this.#owners.intern(owner);
      if (user === before) this.#similar.add(owner);
      this.#records[user] = (this.#records[user] ?? 0) + 1;
      this.#tokens[user] = (this.#tokens[user] ?? 0) + tokens;
    }
  }

  #follow(sorted: readonly Uint8Array[], id: Uint8Array): void {
    const order = this.#lists === 0 ? -1 : compareLists(this.#last, sorted);
    if (order > 0 || (order === 0 && Buffer.compare(this.#lastId, id) >= 0)) this.#isCanonical = false;
    if (order !== 0) this.#lists += 1;
    this.#last = sorted;
    this.#lastId = id.slice();
  }
}
