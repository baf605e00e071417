/** The value of one in the last of four digits. */
function lastPlace(value: number): number {
  return 10 ** (Math.floor(Math.log10(value)) - 3);
}

/**
 * Four digits, rounded up: what an upper bound may be printed as.
 *
 * @param value - above 0
 * @example
 * ```ts
 * upwardDigits(0.86442); // 0.8645
 * ```
 */
export function upwardDigits(value: number): number {
  const nearest = Number(value.toPrecision(4));
  return nearest >= value ? nearest : Number((nearest + lastPlace(value)).toPrecision(4));
}

/**
 * Four digits, rounded down: what a lower bound may be printed as.
 *
 * @param value - above 0
 * @example
 * ```ts
 * downwardDigits(3.24677); // 3.246
 * ```
 */
export function downwardDigits(value: number): number {
  const nearest = Number(value.toPrecision(4));
  return nearest <= value ? nearest : Number((nearest - lastPlace(value)).toPrecision(4));
}
