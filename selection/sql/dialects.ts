import { checkChoice } from '../../accounting/check.ts';
import {
  backslashText,
  backtickName,
  postgresText,
  sparkName,
  sparkText,
  standardName,
  standardText,
} from './quote.ts';

/**
 * The languages that the contract is written in. `clickhouse` needs window functions (21.x and later);
 * `clickhouse-limit-by` runs from 18.x on but knows no token cap.
 */
export type SqlDialect =
  'duckdb' | 'clickhouse' | 'clickhouse-limit-by' | 'postgres' | 'spark' | 'trino' | 'bigquery' | 'snowflake';

export const sqlDialects: readonly SqlDialect[] = [
  'duckdb',
  'clickhouse',
  'clickhouse-limit-by',
  'postgres',
  'spark',
  'trino',
  'bigquery',
  'snowflake',
];

/** How one engine spells the parts of a statement; arguments and results are SQL, save for `name` and `text`. */
export interface Dialect {
  /** A quoted identifier. */
  readonly name: (name: string) => string;
  /** A quoted text. */
  readonly text: (text: string) => string;
  /** Text as it is, whole numbers as decimal text. */
  readonly asText: (value: string) => string;
  /** A 64-bit float. */
  readonly asNumber: (value: string) => string;
  readonly byteLength: (text: string) => string;
  readonly codepoints: (text: string) => string;
  /** SHA-256 of a text, in a form whose order is the order of its bytes. */
  readonly sha256: (text: string) => string;
  readonly concat: (parts: readonly string[]) => string;
  readonly isNaN: (number: string) => string;
  /** True where `value` is null or `condition` on it holds; never null itself. */
  readonly isNullOr: (value: string, condition: string) => string;
  /** An expression of the type of `sha256` that stops the statement; `id` is some text, so that nothing can be evaluated ahead. */
  readonly fail?: (message: string, id: string) => string;
  /** A condition that is true, or stops the statement where `condition` holds. */
  readonly failIf?: (condition: string, message: string) => string;
  /** Text that sorts and groups by its UTF-8 bytes. */
  readonly byBytes: (text: string) => string;
  readonly hasLimitBy?: boolean;
}

const cast =
  (type: string) =>
  (value: string): string =>
    `CAST(${value} AS ${type})`;
const call =
  (name: string) =>
  (argument: string): string =>
    `${name}(${argument})`;
const same = (text: string): string => text;
const concatCall = (parts: readonly string[]): string => `CONCAT(${parts.join(', ')})`;
const concatOperator = (parts: readonly string[]): string => `(${parts.join(' || ')})`;
const isNullOr = (value: string, condition: string): string => `(${value} IS NULL OR ${condition})`;
const isNaNText = (number: string): string => `${number} = CAST('NaN' AS DOUBLE PRECISION)`;

const duckdb: Dialect = {
  name: standardName,
  text: standardText,
  asText: cast('VARCHAR'),
  asNumber: cast('DOUBLE'),
  byteLength: call('strlen'),
  codepoints: call('length'),
  sha256: call('sha256'),
  concat: concatOperator,
  isNaN: call('isnan'),
  isNullOr,
  fail: message => `error(${message})`,
  byBytes: same,
};

/** `assumeNotNull` because a hash of a nullable text is nullable; guards have refused or left out nulls by then. */
const clickhouse: Dialect = {
  name: backtickName,
  text: backslashText,
  asText: call('toString'),
  asNumber: call('toFloat64'),
  byteLength: call('length'),
  codepoints: call('lengthUTF8'),
  sha256: text => `SHA256(assumeNotNull(${text}))`,
  concat: parts => `concat(${parts.join(', ')})`,
  isNaN: call('isNaN'),
  // Old versions take `1 OR NULL` for null.
  isNullOr: (_, condition) => `ifNull(${condition}, 1)`,
  failIf: (condition, message) => `throwIf(${condition}, ${message}) = 0`,
  byBytes: same,
};

/** 18.x knows `throwIf` without a message only. */
const clickhouseLimitBy: Dialect = {
  ...clickhouse,
  failIf: condition => `throwIf(${condition}) = 0`,
  hasLimitBy: true,
};

/** A `bytea` sorts by bytes; `decode` refuses text that is no hexadecimal number, which is how this engine is stopped. */
const postgres: Dialect = {
  name: standardName,
  text: postgresText,
  asText: cast('TEXT'),
  asNumber: cast('DOUBLE PRECISION'),
  byteLength: call('octet_length'),
  codepoints: call('char_length'),
  sha256: text => `sha256(convert_to(${text}, 'UTF8'))`,
  concat: concatOperator,
  isNaN: isNaNText,
  isNullOr,
  fail: (message, id) => `decode(${message} || left(coalesce(${id}, ''), 0), 'hex')`,
  byBytes: text => `${text} COLLATE "C"`,
};

const spark: Dialect = {
  name: sparkName,
  text: sparkText,
  asText: cast('STRING'),
  asNumber: cast('DOUBLE'),
  byteLength: call('octet_length'),
  codepoints: call('char_length'),
  sha256: text => `sha2(${text}, 256)`,
  concat: concatCall,
  isNaN: call('isnan'),
  isNullOr,
  fail: message => `raise_error(${message})`,
  byBytes: same,
};

const trino: Dialect = {
  name: standardName,
  text: standardText,
  asText: cast('VARCHAR'),
  asNumber: cast('DOUBLE'),
  byteLength: text => `length(to_utf8(${text}))`,
  codepoints: call('length'),
  sha256: text => `to_hex(sha256(to_utf8(${text})))`,
  concat: concatOperator,
  isNaN: call('is_nan'),
  isNullOr,
  fail: message => `fail(${message})`,
  byBytes: same,
};

const bigquery: Dialect = {
  name: backtickName,
  text: backslashText,
  asText: cast('STRING'),
  asNumber: cast('FLOAT64'),
  byteLength: call('BYTE_LENGTH'),
  codepoints: call('CHAR_LENGTH'),
  sha256: text => `TO_HEX(SHA256(${text}))`,
  concat: concatCall,
  isNaN: call('IS_NAN'),
  isNullOr,
  fail: message => `ERROR(${message})`,
  byBytes: same,
};

/** No function raises an error here; a number that is none does. */
const snowflake: Dialect = {
  name: standardName,
  text: backslashText,
  asText: call('TO_VARCHAR'),
  asNumber: cast('DOUBLE PRECISION'),
  byteLength: call('OCTET_LENGTH'),
  codepoints: call('LENGTH'),
  sha256: text => `SHA2(${text}, 256)`,
  concat: concatCall,
  isNaN: isNaNText,
  isNullOr,
  fail: (message, id) => `TO_VARCHAR(TO_NUMBER(CONCAT(${message}, LEFT(COALESCE(${id}, ''), 0))))`,
  byBytes: same,
};

const dialects: Readonly<Record<SqlDialect, Dialect>> = {
  duckdb,
  clickhouse,
  'clickhouse-limit-by': clickhouseLimitBy,
  postgres,
  spark,
  trino,
  bigquery,
  snowflake,
};

/** The spelling of a dialect; `INVALID_ARGUMENT` for a name that is none. */
export function dialectOf(name: SqlDialect): Dialect {
  return dialects[checkChoice(name, { verb: 'write SQL', name: 'dialect', choices: sqlDialects })];
}
