import { pathToFileURL } from 'node:url';
import { addGaussianNoise } from '../trainer/noise.ts';
import { digestAt, openPointBits, type RandomBits, type StepPoint } from '../trainer/randomness.ts';
import { inTurn, machine, type Call } from './measure.ts';

/** Processor seconds of adding noise to a sum of so many coordinates, and of the digest before it. */
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

/** Measures the noise of one step, in turn with what it is compared with; medians of processor seconds. */
export async function noiseCost(coordinates: number, { repeats }: { repeats: number }): Promise<NoiseCost> {
  const key = new Uint8Array(32);
  const bits = openPointBits(key);
  const sum = new Float64Array(coordinates);
  const bytes = new Uint8Array(sum.buffer);
  let step = 0;
  const point = (): StepPoint => ({ step: (step += 1), attempt: 0 });
  const calls = {
    exact: (): void => addGaussianNoise(sum, { standardDeviation: 1.1, bits }),
    floatingPoint: (): void => boxMuller(sum, { deviation: 1.1, bits }),
    digest: (): void => void digestAt(point(), { key, bytes }),
  };
  const timed = Object.entries(calls).map(([name, call]): [string, Call] => [
    name,
    (): Promise<void> => {
      bits.seek(point(), name);
      call();
      return Promise.resolve();
    },
  ]);
  const seconds = await inTurn(new Map(timed), { repeats });
  const of = (name: keyof typeof calls): number => seconds.get(name)!.cpu;
  return { coordinates, exact: of('exact'), floatingPoint: of('floatingPoint'), digest: of('digest') };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  console.log(machine());
  for (const coordinates of [16_384, 1_000_000]) {
    const cost = await noiseCost(coordinates, { repeats: 25 });
    const each = (seconds: number): string => `${((seconds / coordinates) * 1e9).toFixed(1)} ns`;
    console.log(
      `${coordinates} coordinates: exact noise ${each(cost.exact)} each, Box-Muller ${each(cost.floatingPoint)}, digest ${each(cost.digest)}`,
    );
  }
}
