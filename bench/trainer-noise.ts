import { pathToFileURL } from 'node:url';
import { addGaussianNoise } from '../trainer/noise.ts';
import { digestAt, openPointBits, type RandomBits } from '../trainer/randomness.ts';
import { machine, median, secondsOf } from './measure.ts';

/** Seconds of adding noise to a sum of so many coordinates, and of what surrounds it. */
export interface NoiseCost {
  readonly coordinates: number;
  /** The library's noise: exact on a grid, from AES-256 in counter mode. */
  readonly exact: number;
  /** Box and Muller in float64 from the same generator: no protection of the low bits. */
  readonly floatingPoint: number;
  /** The keyed digest of the sum that the ledger takes before the noise. */
  readonly digest: number;
}

function boxMuller(sum: Float64Array, { deviation, bits }: { deviation: number; bits: RandomBits }): void {
  for (let index = 0; index + 1 < sum.length; index += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log((bits.next53() + 1) * 2 ** -53));
    const angle = 2 * Math.PI * (bits.next53() * 2 ** -53);
    sum[index]! += radius * Math.cos(angle);
    sum[index + 1]! += radius * Math.sin(angle);
  }
}

/** Measures the noise of one step, interleaved with what it is compared with; medians. */
export async function noiseCost(coordinates: number, { repeats }: { repeats: number }): Promise<NoiseCost> {
  const key = new Uint8Array(32);
  const bits = openPointBits(key);
  const sum = new Float64Array(coordinates);
  const bytes = new Uint8Array(sum.buffer);
  const times = { exact: [] as number[], floatingPoint: [] as number[], digest: [] as number[] };
  for (let step = 0; step < repeats + 2; step += 1) {
    const point = { step, attempt: 0 };
    bits.seek(point, 'exact');
    const exact = await secondsOf(() => addGaussianNoise(sum, { standardDeviation: 1.1, bits }));
    bits.seek(point, 'floating point');
    const floatingPoint = await secondsOf(() => boxMuller(sum, { deviation: 1.1, bits }));
    const digest = await secondsOf(() => digestAt(point, { key, bytes }));
    if (step < 2) continue;
    times.exact.push(exact);
    times.floatingPoint.push(floatingPoint);
    times.digest.push(digest);
  }
  const { exact, floatingPoint, digest } = times;
  return {
    coordinates,
    exact: median(exact),
    floatingPoint: median(floatingPoint),
    digest: median(digest),
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  console.log(machine());
  for (const coordinates of [16_384, 1_000_000]) {
    const cost = await noiseCost(coordinates, { repeats: 15 });
    const each = (seconds: number): string => `${((seconds / coordinates) * 1e9).toFixed(1)} ns`;
    console.log(
      `${coordinates} coordinates: exact noise ${each(cost.exact)} each, Box-Muller ${each(cost.floatingPoint)}, digest ${each(cost.digest)}`,
    );
  }
}
