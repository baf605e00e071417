/** Edits between two words: letters put in, taken out or changed, and neighbours swapped. */
function distance(one: string, other: string): number {
  let before: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let row = 1; row <= one.length; row++) {
    const line = [row];
    for (let at = 1; at <= other.length; at++) {
      const change = last[at - 1]! + Number(one[row - 1] !== other[at - 1]);
      const swapped = one[row - 1] === other[at - 2] && one[row - 2] === other[at - 1];
      const swap = swapped ? before[at - 2]! + 1 : Infinity;
      line.push(Math.min(change, last[at]! + 1, line[at - 1]! + 1, swap));
    }
    [before, last] = [last, line];
  }
  return last[other.length]!;
}

function simplified(word: string): string {
  return word.toLowerCase().replace(/[-_\s]/g, '');
}

/** The word of a list that was probably meant: at most every third letter differs. */
export function nearest(word: string, choices: readonly string[]): string | undefined {
  const wanted = simplified(word.slice(0, 60));
  const rated = choices.map(choice => ({ choice, edits: distance(wanted, simplified(choice)) }));
  const [best] = rated.toSorted((one, other) => one.edits - other.edits);
  if (best === undefined) return undefined;
  return 3 * best.edits <= Math.max(wanted.length, simplified(best.choice).length) ? best.choice : undefined;
}
