import type { CheckpointEntry, LedgerEntry, NoisedEntry } from '../../ledger.ts';

/** A step under the key. Places are indexes of entries. */
export interface KeyedLine {
  readonly at: number;
  readonly entry: NoisedEntry;
  /** The step before it on the run's course; undefined where it was the first of its key. */
  readonly before: number | undefined;
}

/** Where the repetition of a step can begin. */
export interface StartingPoint {
  /** The header, or a checkpoint. */
  readonly from: number;
  /** Steps finished there. */
  readonly fromStep: number;
}

/** A straight piece of the run with the picked steps in it. */
export interface Stretch extends StartingPoint {
  /** From the first step after the start to the last that was picked. */
  readonly lines: readonly KeyedLine[];
  readonly picked: ReadonlySet<number>;
}

/** What a ledger offers for repetition under one key; all maps are by the places of noised lines. */
export interface Repeatables {
  readonly lines: ReadonlyMap<number, KeyedLine>;
  /** Of the lines that can be repeated. */
  readonly starts: ReadonlyMap<number, StartingPoint>;
  /** Digests of the checkpoints that were saved after a step. */
  readonly models: ReadonlyMap<number, string>;
  /** The line of the step that followed on the course, in the same attempt. */
  readonly next: ReadonlyMap<number, number>;
}

/**
 * Finds for every step under a key the latest place on its course where a repetition can begin: the start, or a checkpoint that is at
 * hand. From there on the run must have gone straight to the step, in one attempt.
 */
export function repeatableSteps(
  entries: readonly LedgerEntry[],
  options: { commitment: string; isAtHand: (checkpoint: CheckpointEntry) => boolean },
): Repeatables {
  const walk = new Walk(options);
  for (const [index, entry] of entries.entries()) walk.pass(entry, index);
  return walk;
}

class Walk implements Repeatables {
  readonly lines = new Map<number, KeyedLine>();
  readonly starts = new Map<number, StartingPoint>();
  readonly models = new Map<number, string>();
  readonly next = new Map<number, number>();
  readonly #commitment: string;
  readonly #isAtHand: (checkpoint: CheckpointEntry) => boolean;
  #isUnderKey = false;
  /** Lines of steps on the course. */
  #course: (number | undefined)[] = [];
  /** Lines that a repetition can begin at, by finished steps. */
  #starts: (number | undefined)[] = [];
  #attempt = 0;
  /** First step of the course that was made in this attempt. */
  #sameSince = 0;

  constructor(options: { commitment: string; isAtHand: (checkpoint: CheckpointEntry) => boolean }) {
    this.#commitment = options.commitment;
    this.#isAtHand = options.isAtHand;
  }

  pass(entry: LedgerEntry, index: number): void {
    if (entry.kind === 'header' || entry.kind === 'resumed') this.#turnKey(entry, index);
    if (entry.kind === 'checkpoint') this.#save(entry, index);
    if (entry.kind === 'noised') this.#noise(entry, index);
  }

  #turnKey(entry: LedgerEntry & { kind: 'header' | 'resumed' }, index: number): void {
    const isUnder = entry.noiseKeyCommitment === this.#commitment;
    if (isUnder === this.#isUnderKey && entry.kind === 'resumed') return;
    this.#isUnderKey = isUnder;
    this.#course = [];
    // What another key led to is where this one went on from.
    const step = entry.kind === 'resumed' ? entry.step : 0;
    this.#starts = this.#starts.slice(0, step + 1);
    if (entry.kind === 'header') this.#starts = [index];
  }

  #save(entry: CheckpointEntry, index: number): void {
    const made = this.#course[entry.step - 1];
    if (made !== undefined) this.models.set(made, entry.digest);
    if (this.#isAtHand(entry)) this.#starts[entry.step] = index;
  }

  #noise(entry: NoisedEntry, index: number): void {
    const { step, attempt = 0 } = entry;
    const before = this.#course[step - 1];
    if (attempt !== this.#attempt || before === undefined) this.#sameSince = step;
    else if (this.#isUnderKey) this.next.set(before, index);
    this.#attempt = attempt;
    this.#starts.length = Math.min(this.#starts.length, step + 1);
    this.#course.length = Math.min(this.#course.length, step);
    this.#course[step] = index;
    if (this.#isUnderKey) this.#keep({ at: index, entry, before });
  }

  #keep(line: KeyedLine): void {
    this.lines.set(line.at, line);
    for (let fromStep = line.entry.step; fromStep >= this.#sameSince; fromStep -= 1) {
      const from = this.#starts[fromStep];
      if (from === undefined) continue;
      this.starts.set(line.at, { from, fromStep });
      return;
    }
  }
}
