import type { Draws } from './random.ts';
import { colourings, givenNames, openers, signOffs, type Topic } from './words.ts';

/** The habits by which one author can be told from another. */
export interface AuthorStyle {
  readonly topics: readonly [Topic, Topic];
  readonly opener: string;
  readonly colouring: string;
  readonly signature: string;
  readonly ending: '.' | '!' | '...';
  readonly lowerCase: boolean;
  readonly dashes: boolean;
  /** How often the favourite word is used rather than any other. */
  readonly loyalty: number;
}

/** Draws the habits of one author; the first topic is the favourite. */
export function drawStyle(draws: Draws, topics: readonly Topic[]): AuthorStyle {
  const favourite = draws.below(topics.length);
  const second = (favourite + 1 + draws.below(topics.length - 1)) % topics.length;
  return {
    topics: [topics[favourite]!, topics[second]!],
    opener: draws.of(openers),
    colouring: draws.of(colourings),
    signature: `${draws.of(signOffs)}, ${draws.of(givenNames)}`,
    ending: draws.of(['.', '.', '.', '!', '...'] as const),
    lowerCase: draws.chance(0.12),
    dashes: draws.chance(0.25),
    loyalty: 0.5 + 0.4 * draws.uniform(),
  };
}
