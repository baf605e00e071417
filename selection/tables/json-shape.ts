import { Bool, type DataType, Field, Float64, Int64, List, Null, Struct, Utf8 } from 'apache-arrow';
import { isRecord } from './build.ts';

/** What the values of one key have been so far; undefined where all were null. */
export type Shape =
  | { readonly kind: 'text' | 'boolean' | 'whole number' | 'number' }
  | { readonly kind: 'list'; readonly item: Shape | undefined }
  | { readonly kind: 'object'; readonly members: ReadonlyMap<string, Shape | undefined> };

const text: Shape = { kind: 'text' };
const boolean: Shape = { kind: 'boolean' };
const wholeNumber: Shape = { kind: 'whole number' };
const number: Shape = { kind: 'number' };

const kindNames: Readonly<Record<Shape['kind'], string>> = {
  text: 'text',
  boolean: 'true or false',
  'whole number': 'a number',
  number: 'a number',
  list: 'a list',
  object: 'an object',
};

/** A value does not fit those before; the message says how, without the value. */
export class ShapeFault extends Error {}

function plainShape(value: unknown): Shape | undefined {
  if (typeof value === 'string') return text;
  if (typeof value === 'boolean') return boolean;
  if (typeof value === 'number') return Number.isInteger(value) ? wholeNumber : number;
  return undefined;
}

function merge(before: Shape, after: Shape): Shape {
  if (before.kind === after.kind) return before;
  const both = [before.kind, after.kind];
  if (both.includes('number') && both.includes('whole number')) return number;
  throw new ShapeFault(`holds ${kindNames[after.kind]} where earlier lines hold ${kindNames[before.kind]}`);
}

function widenList(before: Shape | undefined, values: readonly unknown[]): Shape {
  if (before !== undefined && before.kind !== 'list') merge(before, { kind: 'list', item: undefined });
  const old = before?.kind === 'list' ? before.item : undefined;
  let item = old;
  for (const value of values) item = widen(item, value);
  return before?.kind === 'list' && item === old ? before : { kind: 'list', item };
}

function widenObject(before: Shape | undefined, value: Readonly<Record<string, unknown>>): Shape {
  if (before !== undefined && before.kind !== 'object') merge(before, { kind: 'object', members: new Map() });
  const old: ReadonlyMap<string, Shape | undefined> =
    before?.kind === 'object' ? before.members : new Map<string, Shape | undefined>();
  let members: Map<string, Shape | undefined> | undefined;
  for (const name of Object.keys(value)) {
    const shape = widen(old.get(name), value[name]);
    if (shape === old.get(name) && old.has(name)) continue;
    members ??= new Map(old);
    members.set(name, shape);
  }
  return before?.kind === 'object' && members === undefined
    ? before
    : { kind: 'object', members: members ?? old };
}

/**
 * The shape that also fits one more value; the very same object where nothing changes.
 *
 * @throws ShapeFault where no Arrow type holds both
 */
export function widen(before: Shape | undefined, value: unknown): Shape | undefined {
  if (value === null || value === undefined) return before;
  const plain = plainShape(value);
  if (plain !== undefined) return before === undefined ? plain : merge(before, plain);
  if (Array.isArray(value)) return widenList(before, value);
  return isRecord(value) ? widenObject(before, value) : before;
}

function nestedType(shape: Shape | undefined): DataType {
  // Whole numbers below the top may lie beyond 2^53 unseen, so all numbers there are Float64.
  return shape?.kind === 'whole number' ? new Float64() : typeOf(shape);
}

/** The Arrow type of a key's values. */
export function typeOf(shape: Shape | undefined): DataType {
  if (shape === undefined) return new Null();
  switch (shape.kind) {
    case 'text':
      return new Utf8();
    case 'boolean':
      return new Bool();
    case 'whole number':
      return new Int64();
    case 'number':
      return new Float64();
    case 'list':
      return new List(new Field('item', nestedType(shape.item), true));
    default:
      return new Struct(
        [...shape.members].map(([name, member]) => new Field(name, nestedType(member), true)),
      );
  }
}
