import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { StatedClaim } from '../../accounting/audit/index.ts';
import schema from './claim.schema.json' with { type: 'json' };
import { numberMeant, printedMeant } from './number-meant.ts';
import { nearest } from './suggest.ts';
import { escapePointer } from './yaml-tree.ts';

/** One thing that is wrong with a claim. */
export interface Complaint {
  /** JSON pointer of the field. */
  readonly field: string;
  /** What is wrong and what to change, as it follows the name of the file and the line. */
  readonly text: string;
}

/** The JSON Schema of a claim file, `dp-claim/1`. */
export function claimSchema(): Record<string, unknown> {
  return schema;
}

let compiled: ValidateFunction<StatedClaim> | undefined;

function validator(): ValidateFunction<StatedClaim> {
  const options = { allErrors: true, verbose: true, allowUnionTypes: true, strict: true } as const;
  compiled ??= new Ajv2020(options).compile<StatedClaim>(claimSchema());
  return compiled;
}

/** Names that papers and libraries use for fields of ours. */
const otherNames: ReadonlyMap<string, string> = new Map([
  ['sigma', 'noise.multiplier'],
  ['noise_multiplier', 'noise.multiplier'],
  ['noise_scale', 'noise.multiplier'],
  ['noise_std', 'noise.multiplier'],
  ['std', 'noise.multiplier'],
  ['q', 'sampler.rate'],
  ['sampling_rate', 'sampler.rate'],
  ['sampling_probability', 'sampler.rate'],
  ['sample_rate', 'sampler.rate'],
  ['batch', 'sampler.batch_size'],
  ['batch_size', 'sampler.batch_size'],
  ['lot_size', 'sampler.batch_size'],
  ['expected_batch_size', 'sampler.batch_size'],
  ['max_batch_size', 'sampler.physical_cap'],
  ['max_grad_norm', 'clip.norm'],
  ['l2_norm_clip', 'clip.norm'],
  ['clip_norm', 'clip.norm'],
  ['c', 'clip.norm'],
  ['n', 'mechanisms[].n_units'],
  ['users', 'mechanisms[].n_units'],
  ['records', 'mechanisms[].n_units'],
  ['dataset_size', 'mechanisms[].n_units'],
  ['t', 'mechanisms[].steps'],
  ['iterations', 'mechanisms[].steps'],
  ['updates', 'mechanisms[].steps'],
  ['num_steps', 'mechanisms[].steps'],
  ['accountant', 'accounting.method'],
  ['eps', 'guarantee.epsilon'],
  ['target_epsilon', 'guarantee.epsilon'],
  ['target_delta', 'guarantee.delta'],
  ['neighbours', 'adjacency'],
  ['neighbors', 'adjacency'],
  ['neighboring_relation', 'adjacency'],
  ['privacy_unit', 'unit.kind'],
  ['records_per_user', 'unit.max_records_per_unit'],
  ['max_records', 'unit.max_records_per_unit'],
  ['model', 'subject.name'],
]);

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
}

/** Every field below a schema, as in `mechanisms[].sampler.rate`. */
function pathsBelow(schema: SchemaNode, path = ''): string[] {
  if (schema.items !== undefined) return pathsBelow(schema.items, `${path}[]`);
  return Object.entries(schema.properties ?? {}).flatMap(([name, below]) => {
    const own = path === '' ? name : `${path}.${name}`;
    return [own, ...pathsBelow(below, own)];
  });
}

let places: ReadonlyMap<string, string> | undefined;

/** The first field of a name anywhere in a claim. */
function elsewhere(name: string): string | undefined {
  const last = (path: string): string => path.slice(path.lastIndexOf('.') + 1);
  places ??= new Map(
    pathsBelow(claimSchema())
      .toReversed()
      .map(path => [last(path), path]),
  );
  return places.get(name);
}

/** A value as a message shows it. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 44 ? `${text.slice(0, 40)}…` : text;
}

/** `/mechanisms/0/sampler/rate` as `mechanisms[0].sampler.rate`. */
export function fieldName(pointer: string): string {
  const parts = pointer.split('/').slice(1);
  const names = parts.map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  return names.map((name, at) => (/^\d+$/.test(name) ? `[${name}]` : at === 0 ? name : `.${name}`)).join('');
}

function namesIn({ parentSchema }: ErrorObject): string[] {
  const properties: unknown = parentSchema?.['properties'];
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
}

function unknownField(error: ErrorObject): Complaint {
  const { params, instancePath, data } = error;
  const name = String(params['additionalProperty']);
  const names = namesIn(error);
  const meant = nearest(name, names) ?? otherNames.get(name.toLowerCase()) ?? elsewhere(name);
  const where = instancePath === '' ? 'the claim' : fieldName(instancePath);
  const [before, after] = name.split(':');
  const listed = `It has ${names.join(', ')}`;
  const spaced =
    after !== undefined && names.includes(before!)
      ? `Put a space after the colon: ${before}: ${after}`
      : listed;
  const isCut =
    typeof data === 'object' &&
    data !== null &&
    Object.entries(data).some(([key, held]) => key === name && held === null);
  const quoted =
    isCut && name.includes(' ')
      ? `A text with a comma in it needs quotes: name: "one, two". ${listed}`
      : spaced;
  const advice = meant === undefined ? quoted : `Did you mean ${meant}?`;
  return {
    field: `${instancePath}/${escapePointer(name)}`,
    text: `${where} has no field ${shown(name)}. ${advice}`,
  };
}

const typeNames: Readonly<Record<string, string>> = {
  object: 'an object with named fields',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  null: 'null',
};

function wrongType({ params, data, instancePath }: ErrorObject): string {
  if (instancePath === '' && data === null)
    return 'the claim is empty. Begin the file with schema: dp-claim/1';
  const types: unknown = params['type'];
  const names = (Array.isArray(types) ? types : [types]).map(String);
  const wanted = names.map(type => typeNames[type]!).join(' or ');
  const name = instancePath === '' ? 'the claim' : fieldName(instancePath);
  const isNumber = names.includes('number') || names.includes('integer');
  const meant = isNumber ? numberMeant(data) : undefined;
  return `${name} is ${shown(data)}. Give ${meant ?? wanted}`;
}

function wrongChoice({ params, data, instancePath }: ErrorObject): string {
  const allowed: unknown = params['allowedValues'];
  const values: unknown[] = Array.isArray(allowed) ? allowed : [];
  const words = values.filter(value => typeof value === 'string');
  const near = typeof data === 'string' ? nearest(data, words) : undefined;
  const advice =
    near === undefined
      ? `Give one of ${words.join(', ')}${values.includes(null) ? ', or null' : ''}`
      : `Did you mean ${near}?`;
  return `${fieldName(instancePath)} is ${shown(data)}. ${advice}`;
}

const comparisons: Readonly<Record<string, string>> = {
  '>': 'above',
  '>=': 'at least',
  '<': 'below',
  '<=': 'at most',
};

function wrongSize({ params, data, instancePath }: ErrorObject): string {
  const comparison = comparisons[String(params['comparison'])]!;
  return `${fieldName(instancePath)} is ${shown(data)}. Give a number ${comparison} ${String(params['limit'])}, or null where it is not stated`;
}

function missing({ params, instancePath }: ErrorObject): string {
  const name = String(params['missingProperty']);
  if (name === 'schema') return 'schema is missing. Begin the file with schema: dp-claim/1';
  return `${fieldName(instancePath)} has no ${name}. Add it`;
}

const wordings: Readonly<Record<string, (error: ErrorObject) => string>> = {
  type: wrongType,
  enum: wrongChoice,
  required: missing,
  const: ({ data, instancePath }) => `${fieldName(instancePath)} is ${shown(data)}. Give dp-claim/1`,
  pattern: ({ data, instancePath }) =>
    `${fieldName(instancePath)} is ${shown(data)}. Give ${printedMeant(String(data))}`,
  maxItems: ({ data, params, instancePath }) =>
    `${fieldName(instancePath)} has ${Array.isArray(data) ? data.length : 'too many'} items. Give at most ${String(params['limit'])}`,
  maxLength: ({ params, instancePath }) =>
    `${fieldName(instancePath)} is longer than ${String(params['limit'])} characters. Shorten it`,
  minimum: wrongSize,
  maximum: wrongSize,
  exclusiveMinimum: wrongSize,
  exclusiveMaximum: wrongSize,
};

function complaintOf(error: ErrorObject): Complaint {
  if (error.keyword === 'additionalProperties') return unknownField(error);
  const word = wordings[error.keyword];
  const text = word?.(error) ?? `${fieldName(error.instancePath)} ${error.message ?? 'is wrong'}. Mend it`;
  return { field: error.instancePath, text };
}

/** Everything in which a value differs from the schema; empty where it is a claim. */
export function schemaComplaints(value: unknown): Complaint[] {
  const validate = validator();
  return validate(value) ? [] : (validate.errors ?? []).map(complaintOf);
}

/** Whether a value, without its nulls, states a claim. */
export function isStatedClaim(value: unknown): value is StatedClaim {
  return validator()(value);
}
