import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesOf } from '../trainer/digest.ts';
import { openLedger } from '../trainer/ledger.ts';
import { addGaussianNoise } from '../trainer/noise.ts';
import { deriveKey, digestAt, freshKey, openPointBits } from '../trainer/randomness.ts';
import type { Seconds } from './measure.ts';

/** What a logical step of private training does once it has its clipped sum, and a plain step does not. */
export interface Release {
  /** Digests the sum, writes a line of a ledger through to the disk, and adds the noise. */
  run(): Promise<void>;
  /** Removes the ledger. */
  close(): void;
}

/** Opens a release of so many coordinates. */
export function openRelease(coordinates: number): Release {
  const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-bench-'));
  const ledger = openLedger(join(folder, 'ledger.jsonl'));
  const key = freshKey();
  const digestKey = deriveKey(key, 'digest');
  const bits = openPointBits(deriveKey(key, 'noise'));
  const sum = new Float64Array(coordinates);
  let step = 0;
  return {
    run(): Promise<void> {
      const point = { step, attempt: 0 };
      const clippedSumDigest = digestAt(point, { key: digestKey, bytes: bytesOf(sum) });
      ledger.append({
        kind: 'noised',
        ...point,
        drawSize: 64,
        noiseMultiplier: 1.1,
        clipNorm: 0.5,
        clippedSumDigest,
      });
      bits.seek(point, clippedSumDigest);
      addGaussianNoise(sum, { standardDeviation: 0.55, bits });
      step += 1;
      return Promise.resolve();
    },
    close(): void {
      ledger.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Micro-batches of a logical step that the ratios are given for. */
const batchCounts = [1, 8] as const;

/**
 * DP ÷ non-private of a whole logical step, by how many micro-batches it has: each is clipped, the sum is released once.
 *
 * @param steps - processor seconds of one micro-batch of each kind
 */
export function ratiosWithRelease(
  steps: Readonly<Record<'plain' | 'record' | 'user', Seconds>>,
  release: Seconds,
): Record<string, { record: number; user: number }> {
  const ratio = (kind: 'record' | 'user', count: number): number =>
    Number(((steps[kind].cpu * count + release.cpu) / (steps.plain.cpu * count)).toFixed(3));
  return Object.fromEntries(
    batchCounts.map(count => [
      count === 1 ? '1 micro-batch' : `${count} micro-batches`,
      { record: ratio('record', count), user: ratio('user', count) },
    ]),
  );
}
