/** Without the last bits that a division of decimals leaves. */
function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

/** Ways to write a number that are no decimal number. */
const spellings: readonly (readonly [pattern: RegExp, read: (parts: readonly string[]) => number])[] = [
  [/^([\d.]+) ?%$/, ([share]) => tidy(Number(share) / 100)],
  [/^([\d.]+) ?[/÷] ?([\d.]+)$/, ([over, under]) => tidy(Number(over) / Number(under))],
  [/^10 ?(?:\^|\*\*) ?(-?\d+)$/, ([power]) => Number(`1e${power}`)],
  [/^([\d.]+) ?[*x×·] ?10 ?(?:\^|\*\*) ?(-?\d+)$/, ([times, power]) => Number(`${times}e${power}`)],
  [/^(\d{1,3}(?:[,_ '’]\d{3})+)$/, ([text = '']) => Number(text.replaceAll(/\D/g, ''))],
  [/^(.+)$/, ([text]) => Number(text)],
];

/** What to write for something that is no number, as the end of "Give ..."; undefined where it stands for none. */
export function numberMeant(data: unknown): string | undefined {
  if (typeof data === 'number' && !Number.isFinite(data))
    return 'a finite number, or null where it is not stated';
  if (typeof data !== 'string') return undefined;
  for (const [pattern, read] of spellings) {
    const parts = pattern.exec(data.trim())?.slice(1);
    const value = parts === undefined ? NaN : read(parts);
    if (Number.isFinite(value)) return `the number ${value}, without quotes or signs`;
  }
  return undefined;
}

/** What to write for a printed number that has more than its digits, as the end of "Give ...". */
export function printedMeant(text: string): string {
  const limit = /^\s*(?:<=?|≤)\s*([\d.]+)$/.exec(text)?.[1];
  if (limit !== undefined) return `${limit}, and relation: "<="`;
  const about = /^\s*(?:~|≈|=|about|approx\.?|ca\.?|epsilon|ε)\s*=?\s*([\d.]+)$/i.exec(text)?.[1];
  if (about !== undefined) return `${about} with the digits that were printed, and nothing else`;
  return text.includes(',')
    ? 'a number with a decimal point and no other separator, such as 3.0 or 1000'
    : 'a positive number, such as 3.0';
}
