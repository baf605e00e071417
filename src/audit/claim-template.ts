import { claimSchema } from './claim-schema.ts';

/** What a template reads of one field of the schema. */
interface Field {
  readonly description?: string;
  readonly const?: string;
  readonly enum?: readonly (string | null)[];
  readonly properties?: Readonly<Record<string, Field>>;
  readonly items?: Field;
}

const head = [
  '# What was stated, and nothing else: a field that is null, or taken out, counts as "not stated".',
  '# Numbers with the digits in which they were printed: 3.0 is not 3.',
];

/** Longest line of a comment that stands on its own. */
const widest = 100;

/** One of the values, where only some are allowed. */
function choicesOf({ enum: values = [] }: Field): string {
  const named = values.filter(value => value !== null);
  return named.length === 0 ? '' : ` One of ${named.join(', ')}.`;
}

function comment(field: Field, indent: string): string[] {
  const words = `${field.description ?? ''}${choicesOf(field)}`.split(' ');
  const lines = [`${indent}#`];
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`;
    if (longer.length > widest) lines.push(`${indent}# ${word}`);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

function block([name, field]: readonly [string, Field], indent: string): string[] {
  const { properties, items } = field;
  const told = comment(field, indent);
  if (properties !== undefined) return [...told, `${indent}${name}:`, ...blocks(properties, `${indent}  `)];
  // A list of mechanisms; nobody fills in the list of points by hand.
  if (items?.properties?.['kind'] !== undefined)
    return [...told, `${indent}${name}:`, ...firstEntry(items.properties, indent)];
  return [...told, `${indent}${name}: ${field.const ?? null}`];
}

/** The lines of a list's first entry: a dash before the first line that is no comment. */
function firstEntry(properties: Readonly<Record<string, Field>>, indent: string): string[] {
  const lines = blocks(properties, `${indent}    `);
  const first = lines.findIndex(line => !line.trimStart().startsWith('#'));
  return lines.map((line, index) => {
    if (index > first) return line;
    return `${indent}  ${index === first ? '- ' : ''}${line.trimStart()}`;
  });
}

function blocks(properties: Readonly<Record<string, Field>>, indent: string): string[] {
  return Object.entries(properties).flatMap(entry => block(entry, indent));
}

/** A claim file in which nothing is stated yet, with what each field means, from the schema itself. */
export function claimTemplate(): string {
  const { properties = {} }: Field = claimSchema();
  return [...head, ...blocks(properties, '')].join('\n');
}
