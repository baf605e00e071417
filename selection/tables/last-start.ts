/**
 * Which of several parts, one after the other, holds a place: the last that starts at or before it, found by halving.
 *
 * @param starts - where each part starts, rising, the first at or before `place`
 * @param count - how many of `starts` count; all where left out
 */
export function lastStart(starts: ArrayLike<number>, place: number, count: number = starts.length): number {
  let [low, high] = [0, count - 1];
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (starts[middle]! <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}
