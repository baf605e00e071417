import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { writeFailure } from './tables/output.ts';

/** Groups up to this size are sorted by insertion. */
const few = 20;

/** Texts up to this many bytes are copied one by one, which costs less than a view. */
const short = 64;

function copy(from: Uint8Array, to: Uint8Array, at: number): void {
  const { length } = from;
  if (length > short) to.set(from, at);
  else for (let i = 0; i < length; i++) to[at + i] = from[i]!;
}

/** Texts side by side: text i lies from `offsets[i]` to `offsets[i + 1]`. */
interface Texts {
  readonly bytes: Uint8Array;
  readonly offsets: Int32Array;
}

/** Byte `depth` of a text plus 1, or 0 where the text has ended. */
function unitAt({ bytes, offsets }: Texts, text: number, depth: number): number {
  const at = offsets[text]! + depth;
  return at < offsets[text + 1]! ? bytes[at]! + 1 : 0;
}

function isAfter(texts: Texts, left: number, right: number, from: number): boolean {
  for (let depth = from; ; depth++) {
    const x = unitAt(texts, left, depth);
    const y = unitAt(texts, right, depth);
    if (x !== y) return x > y;
    if (x === 0) return false;
  }
}

function insertionSort(texts: Texts, order: Int32Array, group: Group): void {
  const { start, end, depth } = group;
  for (let i = start + 1; i < end; i++) {
    const moved = order[i]!;
    let at = i;
    for (; at > start && isAfter(texts, order[at - 1]!, moved, depth); at--) order[at] = order[at - 1]!;
    order[at] = moved;
  }
}

/** Places from `start` to `end` whose texts share their first `depth` bytes. */
interface Group {
  readonly start: number;
  readonly end: number;
  readonly depth: number;
}

/** Sorts by bytes with memory that is made once. */
class RadixSort {
  readonly #texts: Texts;
  readonly #order: Int32Array;
  readonly #scratch: Int32Array;
  readonly #places: Int32Array = new Int32Array(258);
  readonly #open: Group[] = [];

  constructor(texts: Texts, count: number) {
    this.#texts = texts;
    this.#order = new Int32Array(count);
    for (let text = 0; text < count; text++) this.#order[text] = text;
    this.#scratch = new Int32Array(count);
  }

  /** Places of the texts in order. */
  sorted(): Int32Array {
    let group: Group | undefined = { start: 0, end: this.#order.length, depth: 0 };
    for (; group !== undefined; group = this.#open.pop()) {
      if (group.end - group.start <= few) insertionSort(this.#texts, this.#order, group);
      else this.#part(group);
    }
    return this.#order;
  }

  /** Parts a group by its next byte; texts that have ended are in order. */
  #part(group: Group): void {
    const { start, end, depth } = group;
    const [texts, order, scratch, places] = [this.#texts, this.#order, this.#scratch, this.#places];
    this.#count(group);
    for (let i = start; i < end; i++) {
      const text = order[i]!;
      scratch[places[unitAt(texts, text, depth)]!++] = text;
    }
    for (let i = start; i < end; i++) order[i] = scratch[i - start]!;
  }

  /** Finds where each byte begins, and notes the groups to come. */
  #count({ start, end, depth }: Group): void {
    const [texts, order, places] = [this.#texts, this.#order, this.#places];
    places.fill(0);
    for (let i = start; i < end; i++) places[unitAt(texts, order[i]!, depth) + 1]! += 1;
    for (let unit = 1; unit < 258; unit++) {
      const count = places[unit]!;
      const from = places[unit - 1]!;
      places[unit] = from + count;
      // Counts lie one further on: this is unit - 1, and unit 0 are the texts that have ended.
      if (unit > 1 && count > 1)
        this.#open.push({ start: start + from, end: start + from + count, depth: depth + 1 });
    }
  }
}

const runPiece = 2 ** 20;

/** A sorted run on the disk, each text behind its length. */
class Run {
  readonly #path: string;
  readonly #file: number;
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  /** The text that comes next, undefined at the end. */
  head: Buffer | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, 'r');
    this.advance();
  }

  advance(): void {
    if (!this.#has(4)) {
      this.head = undefined;
      return;
    }
    const length = this.#buffer.readUInt32LE(this.#at);
    this.#has(4 + length);
    this.head = this.#buffer.subarray(this.#at + 4, this.#at + 4 + length);
    this.#at += 4 + length;
  }

  remove(): void {
    closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }

  /** Sees to it that so many bytes are at hand, if the file has them. */
  #has(bytes: number): boolean {
    if (this.#at + bytes <= this.#buffer.length) return true;
    const more = Buffer.alloc(Math.max(runPiece, bytes));
    const rest = this.#buffer.subarray(this.#at);
    const read = readSync(this.#file, more);
    this.#buffer = Buffer.concat([rest, more.subarray(0, read)]);
    this.#at = 0;
    return bytes <= this.#buffer.length;
  }
}

/** The run whose head comes first. */
function firstOf(runs: readonly Run[]): Run | undefined {
  let first: Run | undefined;
  for (const run of runs) {
    if (run.head === undefined) continue;
    if (first === undefined || Buffer.compare(run.head, first.head!) < 0) first = run;
  }
  return first;
}

/** SHA-256 of texts joined by line feeds, fed in pieces. */
class JoinedHash {
  readonly #hash: Hash = createHash('sha256');
  readonly #buffer: Buffer = Buffer.allocUnsafe(2 ** 16);
  #used = 0;
  #isFirst = true;

  add(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    const separator = this.#isFirst ? 0 : 1;
    this.#isFirst = false;
    if (this.#used + separator + end - start > this.#buffer.length) this.#flush();
    if (separator === 1) this.#buffer[this.#used++] = 10;
    if (end - start > this.#buffer.length - 1) {
      this.#flush();
      this.#hash.update(bytes.subarray(start, end));
      return;
    }
    if (end - start > short) this.#buffer.set(bytes.subarray(start, end), this.#used);
    else for (let at = start, to = this.#used; at < end; at++, to++) this.#buffer[to] = bytes[at]!;
    this.#used += end - start;
  }

  digest(): string {
    this.#flush();
    return this.#hash.digest('hex').slice(0, 16);
  }

  #flush(): void {
    this.#hash.update(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
}

/**
 * `keptIdsDigest` of ids that come one by one, in bounded memory: past the limit they are sorted into runs on the disk,
 * which are merged at the end.
 */
export class KeptIds {
  readonly #folder: string;
  readonly #limit: number;
  readonly #runs: string[] = [];
  #bytes: Uint8Array = new Uint8Array(1 << 16);
  #offsets: Int32Array = new Int32Array(1 << 12);
  #count = 0;

  /** @param options - `folder`: an existing one for runs; `memoryLimit`: bytes */
  constructor(options: { folder: string; memoryLimit: number }) {
    this.#folder = options.folder;
    // Besides the ids and their offsets, sorting takes two places for each; arrays grow by doubling.
    this.#limit = Math.min(2 ** 30, Math.max(2 ** 16, options.memoryLimit / 2));
  }

  /** Adds an id; its bytes are copied. */
  add(id: Uint8Array): void {
    const used = this.#offsets[this.#count]!;
    if (this.#count > 0 && used + id.length + 12 * this.#count > this.#limit) {
      this.#spill();
      this.add(id);
      return;
    }
    this.#reserve(used + id.length);
    copy(id, this.#bytes, used);
    this.#offsets[++this.#count] = used + id.length;
  }

  /** The digest; the object is used up. */
  digest(): string {
    const hash = new JoinedHash();
    if (this.#runs.length === 0) this.#eachSorted((start, end) => hash.add(this.#bytes, start, end));
    else this.#merge(hash);
    return hash.digest();
  }

  #merge(hash: JoinedHash): void {
    this.#spill();
    const runs = this.#runs.map(path => new Run(path));
    for (let run = firstOf(runs); run !== undefined; run = firstOf(runs)) {
      hash.add(run.head!);
      run.advance();
    }
    for (const run of runs) run.remove();
  }

  #eachSorted(visit: (start: number, end: number) => void): void {
    const texts = { bytes: this.#bytes, offsets: this.#offsets };
    const order = new RadixSort(texts, this.#count).sorted();
    for (let i = 0; i < order.length; i++) visit(texts.offsets[order[i]!]!, texts.offsets[order[i]! + 1]!);
  }

  #spill(): void {
    const path = join(this.#folder, `ids-${this.#runs.length}`);
    try {
      this.#writeRun(path);
    } catch (error) {
      throw writeFailure(path, error);
    }
    this.#runs.push(path);
    this.#count = 0;
  }

  #writeRun(path: string): void {
    const file = openSync(path, 'wx', 0o600);
    const buffer = Buffer.allocUnsafe(runPiece);
    let used = 0;
    const flush = (): void => {
      for (let done = 0; done < used;) done += writeSync(file, buffer, done, used - done);
      used = 0;
    };
    try {
      this.#eachSorted((start, end) => {
        if (used + 4 > buffer.length) flush();
        used = buffer.writeUInt32LE(end - start, used);
        for (let at = start; at < end;) {
          if (used === buffer.length) flush();
          const piece = Math.min(end - at, buffer.length - used);
          buffer.set(this.#bytes.subarray(at, at + piece), used);
          used += piece;
          at += piece;
        }
      });
      flush();
    } finally {
      closeSync(file);
    }
  }

  #reserve(bytes: number): void {
    if (bytes > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(bytes, Math.min(2 * this.#bytes.length, 2 ** 31 - 1)));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    if (this.#count + 2 <= this.#offsets.length) return;
    const offsets = new Int32Array(2 * this.#offsets.length);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
  }
}
