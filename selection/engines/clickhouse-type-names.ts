/** A ClickHouse type taken apart: `Decimal(5, 2)` has the arguments `5` and `2`. */
export interface TypeName {
  readonly name: string;
  readonly parts: readonly string[];
}

const quotes = new Set(["'", '`', '"']);

/** Where the quoted piece that starts at `from` ends; backslashes escape. */
function endOfQuoted(text: string, from: number): number {
  const quote = text[from];
  let at = from + 1;
  while (at < text.length && text[at] !== quote) at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** Cuts at the commas that stand in no brackets and no quotes. */
export function splitArguments(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const found = text[at]!;
    if (quotes.has(found)) at = endOfQuoted(text, at) - 1;
    else if (found === '(') depth += 1;
    else if (found === ')') depth -= 1;
    else if (found === ',' && depth === 0) {
      parts.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  return [...parts, text.slice(start).trim()];
}

/** Takes a type apart; one without brackets has no arguments. */
export function typeNameOf(text: string): TypeName {
  const [, name = text, inside] = /^(\w+)\((.*)\)$/s.exec(text) ?? [];
  return { name, parts: inside === undefined ? [] : splitArguments(inside) };
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  v: '\v',
  a: '\u0007',
  '0': '\0',
};

/** A quoted text or name as it was before quoting. */
export function unquoted(text: string): string {
  return text.slice(1, -1).replaceAll(/\\(.)/gs, (_, found: string) => escapes[found] ?? found);
}

/** The member of an enumeration, `'name' = 1`; undefined where it is none. */
export function memberOf(part: string): { name: string; value: number } | undefined {
  const [, quoted, value] = /^('(?:[^'\\]|\\.)*') = (-?\d+)$/s.exec(part) ?? [];
  return quoted === undefined ? undefined : { name: unquoted(quoted), value: Number(value) };
}

/** The element of a tuple, with its name where it has one. */
export function elementOf(part: string): { name: string | undefined; type: string } {
  const [, name, type] = /^(`(?:[^`\\]|\\.)*`|[A-Za-z_]\w*) (.+)$/s.exec(part) ?? [];
  if (name === undefined || type === undefined) return { name: undefined, type: part };
  return { name: name.startsWith('`') ? unquoted(name) : name, type };
}
