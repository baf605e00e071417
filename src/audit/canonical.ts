function plain(value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value instanceof Map ? Object.fromEntries(value) : value;
}

function member([key, value]: readonly [string, unknown]): string {
  return `${JSON.stringify(key)}:${canonicalJson(value)}`;
}

function canonicalObject(value: object): string {
  const entries = Object.entries(value).filter(([, held]) => held !== undefined);
  const sorted = entries.toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `{${sorted.map(member).join(',')}}`;
}

/**
 * JSON of which there is one spelling: keys sorted by UTF-16 code units, no white space, numbers as ECMAScript
 * prints them (RFC 8785). Infinity, which JSON does not have, becomes the text `"Infinity"`.
 */
export function canonicalJson(value: unknown): string {
  const held = plain(value);
  if (Array.isArray(held)) return `[${held.map(canonicalJson).join(',')}]`;
  if (typeof held === 'object' && held !== null) return canonicalObject(held);
  return JSON.stringify(held ?? null);
}
