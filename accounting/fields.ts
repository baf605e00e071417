import { DpError } from './check.ts';

/** A plain object read from outside, whose keys are all known. */
export type Fields<Key extends string> = { readonly [key in Key]: unknown };

/** What is read (for `Cannot <verb>`), where in it, and which keys it may have. */
export interface FieldsContext<Key extends string> {
  readonly verb: string;
  readonly name: string;
  readonly keys: readonly Key[];
}

/**
 * Takes an unknown value as an object with exactly the given keys; a missing key and one too many are errors.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * readFields({ a: 1 }, { verb: 'read the file', name: 'the file', keys: ['a'] }).a; // 1
 * ```
 */
export function readFields<Key extends string>(value: unknown, context: FieldsContext<Key>): Fields<Key> {
  const { verb, name, keys } = context;
  if (!isFields(value, keys)) {
    throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${name} is ${shown(value)}. Give an object.`);
  }
  const known: readonly string[] = keys;
  const stray = Object.keys(value).find(key => !known.includes(key));
  if (stray !== undefined) throw strayKey(stray, context);
  const missing = keys.find(key => !Object.hasOwn(value, key));
  if (missing === undefined) return value;
  throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${name} has no "${missing}". Add it.`);
}

function isFields<Key extends string>(value: unknown, _keys: readonly Key[]): value is Fields<Key> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function strayKey(stray: string, { verb, name, keys }: FieldsContext<string>): DpError {
  return new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: ${name} has an unknown key ${JSON.stringify(stray)}. Remove it; known are ${keys.join(', ')}.`,
  );
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
