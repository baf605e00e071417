import { createHash } from 'node:crypto';

/** SHA-256 of text or bytes, 64 hexadecimal digits. */
export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/**
 * JSON with the keys of every object in code-unit order, so that equal values have equal texts.
 *
 * @example
 * ```ts
 * canonicalJson({ b: 1, a: [2, null] }); // '{"a":[2,null],"b":1}'
 * ```
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([first], [second]) => (first < second ? -1 : 1));
  return `{${entries.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(',')}}`;
}

/** A typed array's bytes, without a copy. */
export function bytesOf(array: Float32Array | Float64Array | Int32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** SHA-256 over names, lengths and values of parameters, in the order of the map. */
export function parametersDigest(parameters: ReadonlyMap<string, Float32Array>): string {
  const hash = createHash('sha256');
  for (const [name, values] of parameters)
    hash.update(`${JSON.stringify(name)}:${values.length}\n`).update(bytesOf(values));
  return hash.digest('hex');
}
