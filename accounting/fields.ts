import { checkChoice, DpError, invalid, type CheckContext } from './check.ts';

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
    throw invalid(value, 'an object', context);
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

/** Takes an unknown value as a T or throws; `name` says where it stands. */
export type Reader<T> = (value: unknown, context: CheckContext) => T;

/** Reader of one of a few words. */
export function oneOf<const T extends string>(...choices: readonly T[]): Reader<T> {
  return (value, context) => checkChoice(value, { ...context, choices });
}

/** Reader that lets null pass. */
export function orNull<T>(reader: Reader<T>): Reader<T | null> {
  return (value, context) => (value === null ? null : reader(value, context));
}

/** Reader of a text of any length. */
export function readText(value: unknown, context: CheckContext): string {
  if (typeof value === 'string') return value;
  throw invalid(value, 'a text', context);
}

/**
 * Reader of an object with exactly these fields, each by its own reader; the names of inner fields start with its own.
 *
 * @example
 * ```ts
 * const read = objectOf({ size: oneOf('small', 'large'), note: orNull(readText) });
 * read({ size: 'small', note: null }, { verb: 'read the file', name: 'box' }); // { size: 'small', note: null }
 * ```
 */
export function objectOf<T extends object>(readers: { readonly [K in keyof T]: Reader<T[K]> }): Reader<T> {
  const entries: [string, Reader<unknown>][] = Object.entries(readers);
  return (value, { verb, name }) => {
    const fields: Fields<string> = readFields(value, { verb, name, keys: entries.map(([key]) => key) });
    const prefix = name.includes(' ') ? '' : `${name}.`;
    const read = entries.map(([key, reader]) => [key, reader(fields[key], { verb, name: prefix + key })]);
    // oxlint-disable-next-line no-unsafe-type-assertion -- exactly the fields of T were read, each by its reader
    return Object.fromEntries(read) as T;
  };
}
