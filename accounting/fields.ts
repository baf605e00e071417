import { checkChoice, checkCount, checkNonNegative, DpError, invalid, type CheckContext } from './check.ts';

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
  if (!isFields(value, keys)) throw invalid(value, 'an object', context);
  const known: readonly string[] = keys;
  const stray = Object.keys(value).find(key => !known.includes(key));
  const missing = keys.find(key => !Object.hasOwn(value, key));
  if (stray === undefined && missing === undefined) return value;
  const finding =
    stray === undefined
      ? `no "${missing}". Add it`
      : `an unknown key ${JSON.stringify(stray)}. Remove it; known are ${keys.join(', ')}`;
  throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${name} has ${finding}.`);
}

function isFields<Key extends string>(value: unknown, _keys: readonly Key[]): value is Fields<Key> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What an unknown value says it is. */
export function kindOf(json: unknown): unknown {
  return typeof json === 'object' && json !== null && 'kind' in json ? json.kind : undefined;
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

/** Reader of a number that has to keep a limit beside what its own reader asks; `expected` says which. */
export function limited(
  reader: Reader<number>,
  keeps: (value: number) => boolean,
  expected: string,
): Reader<number> {
  return (value, context) => {
    const read = reader(value, context);
    if (keeps(read)) return read;
    throw invalid(value, expected, context);
  };
}

/** Reader of a share that leaves something over. */
export const belowOne: Reader<number> = limited(
  checkNonNegative,
  value => value < 1,
  'a number of at least 0 and below 1',
);

/** Reader of the number of records that a group may have. */
export const groupSizeOf: Reader<number> = limited(
  checkCount,
  value => value <= 10_000,
  'at most 10000 records per user',
);

/** Reader of a list, each entry by the same reader. */
export function listOf<T>(reader: Reader<T>): Reader<T[]> {
  return (value, context) => {
    if (!Array.isArray(value)) throw invalid(value, 'a list', context);
    return value.map((entry: unknown, at) => reader(entry, { ...context, name: `${context.name}[${at}]` }));
  };
}

/**
 * Reader of an object with exactly these fields, each by its own reader; the names of inner fields start with its own.
 *
 * @param absent - values of fields that may be missing
 * @example
 * ```ts
 * const read = objectOf({ size: oneOf('small', 'large'), note: orNull(readText) }, { note: null });
 * read({ size: 'small' }, { verb: 'read the file', name: 'box' }); // { size: 'small', note: null }
 * ```
 */
export function objectOf<T extends object>(
  readers: { readonly [K in keyof T]: Reader<T[K]> },
  absent?: Partial<T>,
): Reader<T> {
  const entries: [string, Reader<unknown>][] = Object.entries(readers);
  const keys = Object.keys(readers);
  return (value, { verb, name }) => {
    const given = isFields(value, keys) ? { ...absent, ...value } : value;
    const fields: Fields<string> = readFields(given, { verb, name, keys });
    const prefix = name.includes(' ') ? '' : `${name}.`;
    const read = entries.map(([key, reader]) => [key, reader(fields[key], { verb, name: prefix + key })]);
    // oxlint-disable-next-line no-unsafe-type-assertion -- exactly the fields of T were read, each by its reader
    return Object.fromEntries(read) as T;
  };
}
