import { noiseOfWords } from './noise.ts';
import { deriveKey, openPointBits, wordPairsAt, type PointStream, type StepPoint } from './randomness.ts';

/** Places of a sum at which a sample tells the noise. */
const places = 16;
/** Numbers of a sample to one standard deviation. */
const perDeviation = 2048;
const farthest = 32767;

/** A step whose noise is sampled. */
export interface SampledStep extends StepPoint {
  readonly clippedSumDigest: string;
  /** Of the noise that the step should add. */
  readonly standardDeviation: number;
}

/** Where a sample looks, and what hides it. */
interface Cover {
  readonly at: Int32Array;
  readonly pad: Uint16Array;
}

/**
 * Samples of noise as a run saw itself add it: the differences between a sum after noise and before it, at sixteen places, in
 * 2048ths of the standard deviation, 64 hexadecimal digits. Key, digest of the sum and standard deviation choose the places and hide the numbers:
 * without the key a sample is a random text. With it the noise can be made again, and differs where a run drew it too small, not at all, or twice.
 *
 * @param key - `deriveKey(key, 'sample')`
 */
export function openNoiseSamples(key: Uint8Array): {
  /** Looks at the sum; what is given looks at it again, after noise. */
  watch(sum: Float64Array, step: SampledStep): () => string;
} {
  const bits = openPointBits(key);
  return {
    watch(sum, step) {
      const { at, pad } = coverOf(bits, { step, coordinates: sum.length });
      const before = valuesAt(sum, at);
      return () => {
        const added = valuesAt(sum, at).map((value, index) => value - before[index]!);
        return sealed(added, { pad, standardDeviation: step.standardDeviation });
      };
    },
  };
}

function coverOf(
  bits: PointStream,
  { step, coordinates }: { step: SampledStep; coordinates: number },
): Cover {
  const words = new Uint32Array(places);
  const hidden = new Uint32Array(places / 2);
  // Other noise than the ledger states must not look the same in units of itself.
  bits.seek(step, `${step.clippedSumDigest}\0${step.standardDeviation}`);
  bits.fillWords(words);
  bits.fillWords(hidden);
  const at = Int32Array.from(words, word => Math.floor(word * 2 ** -32 * coordinates));
  return { at, pad: new Uint16Array(hidden.buffer) };
}

function valuesAt(sum: Float64Array, at: Int32Array): Float64Array {
  return Float64Array.from(at, place => sum[place]!);
}

function inSteps(noise: number, standardDeviation: number): number {
  const rounded = Math.round((noise / standardDeviation) * perDeviation);
  return Math.min(farthest, Math.max(-farthest, rounded));
}

function sealed(
  added: Float64Array,
  { pad, standardDeviation }: { pad: Uint16Array; standardDeviation: number },
): string {
  const bytes = Buffer.alloc(2 * places);
  added.forEach((noise, index) => {
    bytes.writeUInt16LE((inSteps(noise, standardDeviation) & 0xffff) ^ pad[index]!, 2 * index);
  });
  return bytes.toString('hex');
}

/** What the noise of a step was, beside what its key says. */
export interface NoiseComparison {
  readonly isSame: boolean;
  /** How large it was, as a multiple of what it should have been, where it is the same but for its size. */
  readonly factor: number | undefined;
}

/** Opens samples with a run's secret key and makes the noise that they should tell; undefined where none of the places tells it. */
export function openSampleReader(
  key: Uint8Array,
  { coordinates }: { coordinates: number },
): (sample: string, step: SampledStep) => NoiseComparison | undefined {
  const bits = openPointBits(deriveKey(key, 'sample'));
  const noiseKey = deriveKey(key, 'noise');
  return (sample, step) => {
    const { clippedSumDigest, standardDeviation } = step;
    const { at, pad } = coverOf(bits, { step, coordinates });
    const words = wordPairsAt(noiseKey, { point: step, context: clippedSumDigest, places: at });
    const bytes = Buffer.from(sample, 'hex');
    const pairs: [seen: number, due: number][] = [];
    at.forEach((_, index) => {
      const due = noiseOfWords(
        { word: words[2 * index]!, fraction: words[2 * index + 1]! },
        standardDeviation,
      );
      if (due === undefined) return;
      const seen = ((bytes.readUInt16LE(2 * index) ^ pad[index]!) << 16) >> 16;
      pairs.push([seen, inSteps(due, standardDeviation)]);
    });
    return pairs.length === 0 ? undefined : compared(pairs);
  };
}

/** Rounding to the grid may move a number to the next one. */
function compared(pairs: readonly (readonly [seen: number, due: number])[]): NoiseComparison {
  const agree = (factor: number): boolean => pairs.every(([seen, due]) => Math.abs(seen - factor * due) <= 2);
  if (pairs.every(([seen, due]) => Math.abs(seen - due) <= 1)) return { isSame: true, factor: 1 };
  const size = pairs.reduce((sum, [, due]) => sum + due * due, 0);
  const factor = pairs.reduce((sum, [seen, due]) => sum + seen * due, 0) / size;
  return { isSame: false, factor: agree(factor) ? factor : undefined };
}
