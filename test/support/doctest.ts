import { readFileSync } from 'node:fs';
import { transformSync } from 'esbuild';

/** A fenced `ts` example with the place it was found at. */
export interface Example {
  readonly file: string;
  readonly line: number;
  readonly code: string;
}

const fence = /```ts\n([\s\S]*?)```/g;
const claim = /^(?<expression>.+?);?\s*\/\/ (?<approximately>~)?(?<value>\S.*)$/;

/** Every fenced `ts` block of a Markdown file, or of the doc comments of a TypeScript file. */
export function examplesIn(file: string): Example[] {
  const text = readFileSync(file, 'utf8');
  const inComments = file.endsWith('.md') ? text : text.replace(/^[ \t]*\* ?/gm, '');
  return [...inComments.matchAll(fence)].map(match => ({
    file,
    line: inComments.slice(0, match.index).split('\n').length,
    code: match[1]!,
  }));
}

/** Digits after the point in `1.23e-4`, read as a unit in the last place: 1e-6. */
function lastPlace(text: string): number {
  const [, fraction = '', exponent = '0'] = /^-?\d+(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(text) ?? [];
  return 10 ** (Number(exponent) - fraction.length);
}

function assertion(line: string): string {
  const { expression, approximately, value } = claim.exec(line)?.groups ?? {};
  if (expression === undefined || value === undefined || /^\s*(import|\/\/)/.test(line)) return line;
  const declared = /^\s*(?:const|let)\s+(\w+)\s*=/.exec(expression)?.[1];
  const subject = declared ?? `(${expression})`;
  const before = declared === undefined ? '' : `${expression};\n`;
  if (approximately !== undefined)
    return `${before}expectAbout(await ${subject}, ${value}, ${lastPlace(value)});`;
  return `${before}expect(await ${subject}).toEqual(${value});`;
}

const importLine = /^\s*import\s*\{([^}]*)\}\s*from\s*'([^']+)';\s*$/gm;

/** Turns `expression; // value` lines into assertions and imports into look-ups; the body of an async function. */
export function exampleBody(example: Example): string {
  const statements = example.code
    .replace(importLine, (_, names: string, from: string) => `const {${names}} = await load('${from}');`)
    .split('\n')
    .map(assertion)
    .join('\n');
  return transformSync(`async function example() {${statements}\n}`, { loader: 'ts', target: 'es2023' }).code;
}
