import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Node,
  type Pair,
  type YAMLError,
} from 'yaml';

/** A text of YAML or JSON as plain values, with what plain values lose. */
export interface Tree {
  readonly value: unknown;
  /** Lines from 1, by JSON pointer: of the name of a member, of an item of a list. */
  readonly lines: ReadonlyMap<string, number>;
  /** The digits of every number as they stand in the text, by JSON pointer. */
  readonly digits: ReadonlyMap<string, string>;
}

/** What is wrong with a text, and where. */
export class TreeFault extends Error {
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

class Reader {
  readonly lines = new Map<string, number>();
  readonly digits = new Map<string, string>();
  readonly #counter: LineCounter;

  constructor(counter: LineCounter) {
    this.#counter = counter;
  }

  #lineOf(node: Node): number {
    return this.#counter.linePos(node.range?.[0] ?? 0).line;
  }

  read(node: unknown, pointer: string): unknown {
    if (isAlias(node))
      throw new TreeFault('it refers to another place; write the value out', this.#lineOf(node));
    if (isMap(node)) return Object.fromEntries(this.#members(node.items, pointer));
    if (isSeq(node)) return node.items.map((item, at) => this.#item(item, `${pointer}/${at}`));
    if (!isScalar(node)) return null;
    if (typeof node.value === 'number') this.digits.set(pointer, node.source ?? String(node.value));
    return node.value;
  }

  #members(pairs: readonly Pair[], pointer: string): [string, unknown][] {
    const known = new Set<string>();
    return pairs.map(pair => {
      const member = this.#member(pair, pointer);
      const [name] = member;
      if (known.has(name))
        throw new TreeFault(`${JSON.stringify(name)} is given twice`, this.#lineOfKey(pair));
      known.add(name);
      return member;
    });
  }

  #lineOfKey({ key }: Pair): number {
    return isScalar(key) || isMap(key) || isSeq(key) ? this.#lineOf(key) : 1;
  }

  #member(pair: Pair, pointer: string): [string, unknown] {
    const { key, value } = pair;
    if (!isScalar(key) || typeof key.value !== 'string') {
      throw new TreeFault('the name of a field is no text', this.#lineOfKey(pair));
    }
    const below = `${pointer}/${escapePointer(key.value)}`;
    this.lines.set(below, this.#lineOf(key));
    return [key.value, this.read(value, below)];
  }

  #item(item: unknown, pointer: string): unknown {
    if (isScalar(item) || isMap(item) || isSeq(item)) this.lines.set(pointer, this.#lineOf(item));
    return this.read(item, pointer);
  }
}

/** A name as a part of a JSON pointer (RFC 6901). */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Deeper nesting than any file of ours has, long before the parser runs out of stack. */
const deepest = 64;

function tooDeep(line: number): never {
  throw new TreeFault(`it is nested more than ${deepest} deep`, line);
}

function checkBrackets(text: string): void {
  let [depth, line] = [0, 1];
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (sign === '\n') line++;
    if (sign === '[' || sign === '{') depth++;
    if (sign === ']' || sign === '}') depth--;
    if (depth > deepest) tooDeep(line);
  }
}

const deepList = new RegExp(`^(?:[ \\t]*[-?](?=[ \\t])){${deepest + 1}}`);

/** Nesting by indentation: every line that begins farther right than those that hold it, and every list within a list. */
function checkIndents(text: string): void {
  const indents: number[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    const indent = line.search(/[^ ]/);
    if (indent < 0) continue;
    while (indents.length > 0 && indents.at(-1)! >= indent) indents.pop();
    indents.push(indent);
    if (indents.length > deepest || deepList.test(line)) tooDeep(at + 1);
  }
}

function faultWords({ code, message }: YAMLError): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here';
  return message.split('\n')[0]!;
}

/**
 * Reads YAML 1.2 or JSON. References, names given twice, several documents and unknown tags are faults.
 *
 * @throws {@link TreeFault}
 */
export function parseTree(source: string): Tree {
  const text = source.replaceAll(/\r\n?/g, '\n');
  checkBrackets(text);
  checkIndents(text);
  const counter = new LineCounter();
  // Names given twice are looked for by the reader: the parser compares each with each.
  const options = { lineCounter: counter, prettyErrors: false, schema: 'core', uniqueKeys: false } as const;
  const document = parseDocument(text, options);
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) throw new TreeFault(faultWords(fault), counter.linePos(fault.pos[0]).line);
  const reader = new Reader(counter);
  const value = reader.read(document.contents, '');
  return { value, lines: reader.lines, digits: reader.digits };
}
