import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { StatedClaim } from '../../accounting/audit/index.ts';
import schema from './claim.schema.json' with { type: 'json' };
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
  ['neighbours', 'adjacency'],
  ['neighbors', 'adjacency'],
  ['neighboring_relation', 'adjacency'],
  ['privacy_unit', 'unit.kind'],
  ['records_per_user', 'unit.max_records_per_unit'],
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

function elsewhere(name: string): string | undefined {
  const last = (path: string): string => path.slice(path.lastIndexOf('.') + 1);
  return pathsBelow(claimSchema()).find(path => last(path) === name);
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
  const { params, instancePath } = error;
  const name = String(params['additionalProperty']);
  const names = namesIn(error);
  const meant = nearest(name, names) ?? otherNames.get(name.toLowerCase()) ?? elsewhere(name);
  const where = instancePath === '' ? 'the claim' : fieldName(instancePath);
  const advice = meant === undefined ? `It has ${names.join(', ')}` : `Did you mean ${meant}?`;
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
  const types: unknown = params['type'];
  const wanted = (Array.isArray(types) ? types : [types]).map(type => typeNames[String(type)]!).join(' or ');
  const name = instancePath === '' ? 'the claim' : fieldName(instancePath);
  return `${name} is ${shown(data)}. Give ${wanted}`;
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
  pattern: ({ data, instancePath }) => {
    const limit = /^\s*(?:<=?|≤)\s*([\d.]+)$/.exec(String(data))?.[1];
    const advice = limit === undefined ? 'a positive number, such as 3.0' : `${limit}, and relation: "<="`;
    return `${fieldName(instancePath)} is ${shown(data)}. Give ${advice}`;
  },
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
