import { DpError } from '../../accounting/check.ts';
import { isWellFormed } from '../rule.ts';

function refused(what: string, reason: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot write SQL: ${what} ${reason}. Choose another.`);
}

/** Refuses what no engine takes inside quotes. */
function checkQuotable(text: string, what: string): void {
  if (!isWellFormed(text)) throw refused(what, 'holds a lone surrogate');
  if (text.includes('\0')) throw refused(what, 'holds a NUL character');
}

/** Refuses a name that no quoting can carry. */
function checkName(name: string): void {
  if (name === '') throw refused('a name', 'is empty');
  checkQuotable(name, `the name ${JSON.stringify(name)}`);
}

function doubled(text: string, quote: string): string {
  return quote + text.replaceAll(quote, quote + quote) + quote;
}

const controlNames: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Backslash escapes for the quote, the backslash and the line ends: ClickHouse, BigQuery, Snowflake. */
function backslashed(text: string, quote: string): string {
  const special = new RegExp(`[\\\\${quote}]`, 'g');
  const escaped = text.replace(special, found => `\\${found}`);
  return quote + escaped.replace(/[\n\r\t]/g, found => controlNames[found]!) + quote;
}

/** `"name"`, quotes doubled, as the SQL standard has it. */
export function standardName(name: string): string {
  checkName(name);
  return doubled(name, '"');
}

/** `` `name` `` with backslash escapes. */
export function backtickName(name: string): string {
  checkName(name);
  return backslashed(name, '`');
}

/** `` `name` `` with backticks doubled; refuses `${`, which Spark's shell replaces even inside quotes. */
export function sparkName(name: string): string {
  checkName(name);
  if (name.includes('${'))
    throw refused(`the name ${JSON.stringify(name)}`, 'holds "${", which Spark replaces');
  return doubled(name, '`');
}

/** `'text'`, quotes doubled; a backslash stands for itself. */
export function standardText(text: string): string {
  checkQuotable(text, 'a text');
  return doubled(text, "'");
}

/** As `standardText`; a text with backslashes in PostgreSQL's E form, which no server setting changes. */
export function postgresText(text: string): string {
  if (!text.includes('\\')) return standardText(text);
  return ` E${standardText(text.replaceAll('\\', '\\\\'))}`;
}

/** `'text'` with backslash escapes. */
export function backslashText(text: string): string {
  checkQuotable(text, 'a text');
  return backslashed(text, "'");
}

const plain = /^[A-Za-z0-9 _:/.,+-]*$/;

/** A plain text in quotes, any other by its bytes: how Spark reads quotes, backslashes and `${` depends on settings. */
export function sparkText(text: string): string {
  checkQuotable(text, 'a text');
  if (plain.test(text)) return `'${text}'`;
  return `CAST(X'${Buffer.from(text, 'utf8').toString('hex').toUpperCase()}' AS STRING)`;
}
