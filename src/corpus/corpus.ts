import { drawsFrom, type Draws } from './random.ts';
import { drawRecord, drawSecret } from './sentences.ts';
import { drawStyle } from './style.ts';
import { privateTopics, publicTopics, type Topic } from './words.ts';

/** One text of one invented person. */
export interface SampleRecord {
  readonly user: string;
  readonly recordId: string;
  readonly text: string;
}

/** A planted text that only one user has. */
export interface PlantedSecret {
  readonly user: string;
  readonly recordId: string;
  readonly text: string;
}

/** Two halves with different people: what anyone may read, and what has to be protected. */
export interface SampleCorpus {
  readonly publicRecords: readonly SampleRecord[];
  readonly privateRecords: readonly SampleRecord[];
  readonly secrets: readonly PlantedSecret[];
}

/** What may be chosen about the built-in corpus. */
export interface SampleCorpusOptions {
  /** Any text; the same seed gives the same corpus, byte for byte. */
  readonly seed?: string;
  /** People in each half. */
  readonly users?: number;
  /** Users of the private half with a planted secret. */
  readonly secrets?: number;
}

const mostRecords = 150;

/** Pareto with exponent 1, shifted so that a quarter have one record; median 4, cut at {@link mostRecords}. */
function drawCount(draws: Draws): number {
  return Math.min(mostRecords, Math.floor(3 / (1 - draws.uniform())) - 2);
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

function drawHalf(
  draws: Draws,
  half: { name: string; users: number; topics: readonly Topic[] },
): SampleRecord[] {
  const records: SampleRecord[] = [];
  for (let person = 1; person <= half.users; person++) {
    const style = drawStyle(draws, half.topics);
    const user = `${half.name}-${digits(person, 4)}`;
    for (let left = drawCount(draws); left > 0; left--) {
      const recordId = `${half.name}-record-${digits(records.length + 1, 6)}`;
      records.push({ user, recordId, text: drawRecord(draws, style) });
    }
  }
  return records;
}

function plantSecrets(draws: Draws, records: SampleRecord[], wanted: number): PlantedSecret[] {
  const planted = new Map<string, PlantedSecret>();
  const users = new Set(records.map(record => record.user)).size;
  while (planted.size < Math.min(wanted, users)) {
    const at = draws.below(records.length);
    const { user, recordId } = records[at]!;
    if (planted.has(user)) continue;
    const text = drawSecret(draws);
    records[at] = { user, recordId, text };
    planted.set(user, { user, recordId, text });
  }
  return [...planted.values()];
}

/**
 * The built-in sample corpus: invented people of two message boards, some with a planted secret.
 *
 * Counts of records are heavy-tailed, from 1 to 150; texts are 30 to 200 bytes of ASCII. The halves share
 * grammar and everyday words, but the interests of the private half occur nowhere in the public one, so that
 * there is something to be learnt from the private half.
 *
 * @example
 * ```ts
 * sampleCorpus({ seed: 'a', users: 3 }).privateRecords[0]?.user; // 'private-0001'
 * ```
 */
export function sampleCorpus({
  seed = 'privacy-unit',
  users = 600,
  secrets = 5,
}: SampleCorpusOptions = {}): SampleCorpus {
  const publicRecords = drawHalf(drawsFrom(`${seed}/public`), {
    name: 'public',
    users,
    topics: publicTopics,
  });
  const privateRecords = drawHalf(drawsFrom(`${seed}/private`), {
    name: 'private',
    users,
    topics: privateTopics,
  });
  return {
    publicRecords,
    privateRecords,
    secrets: plantSecrets(drawsFrom(`${seed}/secrets`), privateRecords, secrets),
  };
}
