/** Repeatable draws for synthetic text. Nothing that protects anybody may use this. */
export interface Draws {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Whole number in [0, limit). */
  below(limit: number): number;
  /** One entry of a list, uniformly. */
  of<T>(choices: readonly T[]): T;
  /** True with the given probability. */
  chance(probability: number): boolean;
}

function seedWords(text: string): [number, number, number, number] {
  const words: [number, number, number, number] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 1];
  for (let at = 0; at < text.length; at++) {
    const lane = at % 4;
    words[lane] = ((words[lane]! << 5) + words[lane]! + text.charCodeAt(at)) | 0;
  }
  return words;
}

/** Doty-Humphrey's small fast counter generator (PractRand, `sfc32`), seeded by a text. */
export function drawsFrom(seed: string): Draws {
  let [a, b, c, counter] = seedWords(seed);
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let warm = 0; warm < 16; warm++) next();
  const uniform = (): number => next() / 2 ** 32;
  const below = (limit: number): number => Math.floor(uniform() * limit);
  return {
    uniform,
    below,
    of: choices => choices[below(choices.length)]!,
    chance: probability => uniform() < probability,
  };
}
