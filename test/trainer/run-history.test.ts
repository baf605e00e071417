import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../trainer/digest.ts';
import { countNoised, openLedger, type Ledger, type LedgerEntry } from '../../trainer/ledger.ts';
import { historyOf, openStepBook, type StepTerms } from '../../trainer/step-book.ts';

const terms: StepTerms = {
  noiseMultiplier: 1,
  soFar: steps => ({ steps, epsilonUpper: null }),
};

/** One stretch of a run: what it found, and where it ends. */
interface Life {
  /** Sums come out in a way of their own on each machine. */
  readonly machine: number;
  readonly isKeyLost: boolean;
  readonly isCheckpointLost: boolean;
  /** Steps made before the end, and whether the next one is still written down. */
  readonly steps: number;
  readonly endsAfterLine: boolean;
}

/** A run whose sums are texts: it stands for every run that is cut off and gone on with. */
class ModelRun {
  readonly ledger: Ledger = openLedger(null);
  /** The sums that each noise has met, by key, step and attempt. */
  readonly noised = new Map<string, Set<string>>();
  #key = 'key 0';
  #keys = 1;
  #checkpoint = { step: 0, parameters: 'start' };

  live(life: Life, { last }: { last: number }): string {
    if (life.isKeyLost) this.#key = `key ${this.#keys++}`;
    if (life.isCheckpointLost) this.#checkpoint = { step: 0, parameters: 'start' };
    let { step, parameters } = this.#checkpoint;
    const history = historyOf(this.ledger.entries, { step, commitment: this.#key });
    this.#open(step);
    const book = openStepBook(this.ledger, { history, terms });
    for (let made = 0; step < last; made += 1) {
      if (made === life.steps && !life.endsAfterLine) return parameters;
      let record = this.#record(parameters, { step, attempt: book.attemptAt(step), machine: life.machine });
      if (!book.enter(record)) {
        record = this.#record(parameters, { step, attempt: book.attemptAt(step), machine: life.machine });
        if (!book.enter(record)) throw new Error('a step was refused twice');
      }
      if (made === life.steps) return parameters;
      parameters = sha256(`${parameters} ${this.#noise(record)}`);
      step += 1;
      if (step % 3 === 0) this.#checkpoint = { step, parameters };
    }
    return parameters;
  }

  #open(step: number): void {
    const common = { noiseKeyCommitment: this.#key };
    const digests = { planHash: '', tableDigest: '', modelDigest: '', codeVersion: '' };
    if (this.ledger.entries.length > 0)
      this.ledger.append({ kind: 'resumed', step, stepsCounted: this.ledger.stepsCounted, ...common });
    else
      this.ledger.append({
        kind: 'header',
        format: 'privacy-unit/ledger',
        version: 3,
        ...digests,
        ...common,
      });
  }

  #record(
    parameters: string,
    point: { step: number; attempt: number; machine: number },
  ): {
    step: number;
    attempt: number;
    drawSize: number;
    clipNorm: number;
    participationDigest: string;
    clippedSumDigest: string;
  } {
    const { step, attempt, machine } = point;
    const participationDigest = `${this.#key} ${step} ${attempt}`;
    const clippedSumDigest = sha256(`${parameters} ${participationDigest} ${machine}`);
    return { step, attempt, drawSize: 1, clipNorm: 1, participationDigest, clippedSumDigest };
  }

  #noise({
    step,
    attempt,
    clippedSumDigest,
  }: {
    step: number;
    attempt: number;
    clippedSumDigest: string;
  }): string {
    const name = `${this.#key} ${step} ${attempt}`;
    this.noised.set(name, (this.noised.get(name) ?? new Set()).add(clippedSumDigest));
    return `${clippedSumDigest} ${name}`;
  }
}

const someLife = (machines: number, loses: boolean): fc.Arbitrary<Life> =>
  fc.record({
    machine: fc.integer({ min: 0, max: machines - 1 }),
    isKeyLost: loses ? fc.boolean() : fc.constant(false),
    isCheckpointLost: fc.boolean(),
    steps: fc.integer({ min: 0, max: 7 }),
    endsAfterLine: fc.boolean(),
  });
const lastLife: Life = {
  machine: 0,
  isKeyLost: false,
  isCheckpointLost: false,
  steps: 99,
  endsAfterLine: false,
};

describe('a run that is cut off any number of times', () => {
  const last = 8;
  const uninterrupted = new ModelRun().live(lastLife, { last });

  it('ends as if it had not been, and counts its steps once, on one machine with its key', () => {
    fc.assert(
      fc.property(fc.array(someLife(1, false), { maxLength: 6 }), lives => {
        const run = new ModelRun();
        for (const life of lives) run.live(life, { last });
        expect(run.live(lastLife, { last })).toBe(uninterrupted);
        expect(countNoised(run.ledger.entries)).toBe(last);
      }),
    );
  });

  it('never lets one noise meet two sums, and counts every noise drawn, whatever is lost', () => {
    fc.assert(
      fc.property(fc.array(someLife(3, true), { maxLength: 8 }), lives => {
        const run = new ModelRun();
        for (const life of [...lives, lastLife]) run.live(life, { last });
        for (const [noise, sums] of run.noised) expect(sums.size, noise).toBe(1);
        expect(run.noised.size).toBeLessThanOrEqual(countNoised(run.ledger.entries));
        const written = run.ledger.entries.flatMap(entry =>
          entry.kind === 'noised' ? [entry.clippedSumDigest] : [],
        );
        for (const sums of run.noised.values()) expect(written).toContain([...sums][0]);
      }),
      { numRuns: 400 },
    );
  });
});

describe('historyOf()', () => {
  const header = (noiseKeyCommitment: string, version: 2 | 3 = 3): LedgerEntry => ({
    kind: 'header',
    format: 'privacy-unit/ledger',
    version,
    planHash: '',
    tableDigest: '',
    modelDigest: '',
    codeVersion: '',
    noiseKeyCommitment,
  });
  const noised = (step: number, attempt: number | undefined): LedgerEntry => ({
    kind: 'noised',
    step,
    drawSize: 1,
    noiseMultiplier: 1,
    clipNorm: 1,
    ...(attempt === undefined ? {} : { attempt, participationDigest: 'p', clippedSumDigest: 's' }),
  });
  const of = (entries: LedgerEntry[], options: { step?: number; commitment?: string } = {}): unknown => {
    const { step = 0, commitment = 'k' } = options;
    const { recorded, attempt } = historyOf(entries, { step, commitment });
    return { recorded: recorded.map(entry => [entry.step, entry.attempt]), attempt };
  };

  it('is what was noised after the checkpoint, under the key that is known', () => {
    const entries = [header('k'), noised(0, 0), noised(1, 0), noised(2, 0)];
    expect(of(entries, { step: 1 })).toEqual({ recorded: [[1, 0], [2, 0]], attempt: 0 }); // prettier-ignore
    expect(of(entries, { step: 3 })).toEqual({ recorded: [], attempt: 0 });
    expect(of(entries, { commitment: 'other' })).toEqual({ recorded: [], attempt: 1 });
    expect(of([header('k')])).toEqual({ recorded: [], attempt: 0 });
  });

  it('leaves out what the run departed from, and numbers attempts on', () => {
    const entries = [header('k'), noised(0, 0), noised(1, 0), noised(2, 0), noised(1, 1)];
    expect(of(entries)).toEqual({ recorded: [[0, 0], [1, 1]], attempt: 1 }); // prettier-ignore
    expect(of([...entries, noised(0, 2)])).toEqual({ recorded: [[0, 2]], attempt: 2 });
  });

  it('starts a new attempt where steps of the newest lie beyond what can be repeated', () => {
    expect(of([header('k'), noised(3, 0)])).toEqual({ recorded: [], attempt: 1 });
  });

  it('repeats nothing of an earlier release, whose key gave other noise: what follows is noised and counted anew', () => {
    const entries = [header('k', 2), noised(0, 0), noised(1, 0)];
    expect(of(entries)).toEqual({ recorded: [], attempt: 1 });
    expect(of([...entries, noised(0, 1)], { step: 1 })).toEqual({ recorded: [], attempt: 2 });
    expect(of([header('k', 2)])).toEqual({ recorded: [], attempt: 0 });
  });

  it('repeats nothing of an earlier release, whose lines have no digests', () => {
    expect(of([header('k'), noised(0, undefined), noised(1, undefined)])).toEqual({
      recorded: [],
      attempt: 1,
    });
  });
});
