/**
 * The number at a place in rising order, by quickselect (Hoare); moves the numbers about.
 *
 * @param options - count: of `values`, without NaN; place: from 1 to `count`
 */
export function selectNumber(
  values: Float64Array,
  { count, place }: { readonly count: number; readonly place: number },
): number {
  const wanted = place - 1;
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const pivot = middle(values[low]!, values[(low + high) >>> 1]!, values[high]!);
    let left = low;
    let right = high;
    while (left <= right) {
      while (values[left]! < pivot) left++;
      while (values[right]! > pivot) right--;
      if (left > right) break;
      const moved = values[left]!;
      values[left++] = values[right]!;
      values[right--] = moved;
    }
    if (wanted <= right) high = right;
    else if (wanted >= left) low = left;
    else break;
  }
  return values[wanted]!;
}

function middle(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
