import {
  checkChoice,
  checkCount,
  checkNonNegative,
  checkPositive,
  checkProbability,
  DpError,
} from './check.ts';
import type { DpEvent } from './event.ts';
import { readFields } from './fields.ts';

const verb = 'read the event';
const kinds = [
  'gaussian',
  'poisson-subsampled-gaussian',
  'mixture-of-gaussians',
  'repeated',
  'sequence',
] as const;

/**
 * Takes a value from outside as an event; `parseEvent(JSON.parse(JSON.stringify(event)))` equals `event`.
 *
 * @param json - parsed JSON
 * @throws DpError `INVALID_ARGUMENT` for a missing or unknown key or a value out of range
 * @example
 * ```ts
 * parseEvent({ kind: 'gaussian', noiseMultiplier: 2 }).noiseMultiplier; // 2
 * ```
 */
export function parseEvent(json: unknown): DpEvent {
  const kind = checkChoice(kindOf(json), { verb, name: 'kind', choices: kinds });
  return readers[kind](json);
}

function kindOf(json: unknown): unknown {
  return typeof json === 'object' && json !== null && 'kind' in json ? json.kind : undefined;
}

const readers: Record<(typeof kinds)[number], (json: unknown) => DpEvent> = {
  gaussian: json => {
    const fields = readFields(json, { verb, name: 'gaussian', keys: ['kind', 'noiseMultiplier'] });
    return { kind: 'gaussian', noiseMultiplier: readNoise(fields) };
  },
  'poisson-subsampled-gaussian': json => {
    const keys = ['kind', 'noiseMultiplier', 'samplingProbability'] as const;
    const fields = readFields(json, { verb, name: 'poisson-subsampled-gaussian', keys });
    const samplingProbability = checkProbability(fields.samplingProbability, {
      verb,
      name: 'samplingProbability',
    });
    return { kind: 'poisson-subsampled-gaussian', noiseMultiplier: readNoise(fields), samplingProbability };
  },
  'mixture-of-gaussians': json => {
    const keys = ['kind', 'noiseMultiplier', 'sensitivities', 'probabilities'] as const;
    const fields = readFields(json, { verb, name: 'mixture-of-gaussians', keys });
    const sensitivities = readNumbers(fields.sensitivities, 'sensitivities', isAscending);
    const probabilities = readNumbers(fields.probabilities, 'probabilities', isDistribution);
    if (sensitivities.length !== probabilities.length)
      throw wrong('probabilities', probabilities, `${sensitivities.length} numbers, one a sensitivity`);
    return { kind: 'mixture-of-gaussians', noiseMultiplier: readNoise(fields), sensitivities, probabilities };
  },
  repeated: json => {
    const fields = readFields(json, { verb, name: 'repeated', keys: ['kind', 'event', 'count'] });
    const count = checkCount(fields.count, { verb, name: 'count' });
    return { kind: 'repeated', event: parseEvent(fields.event), count };
  },
  sequence: json => {
    const { events } = readFields(json, { verb, name: 'sequence', keys: ['kind', 'events'] });
    if (!Array.isArray(events) || events.length === 0) throw wrong('events', events, 'a list of events');
    return { kind: 'sequence', events: events.map(parseEvent) };
  },
};

function readNoise({ noiseMultiplier }: { readonly noiseMultiplier: unknown }): number {
  return checkPositive(noiseMultiplier, { verb, name: 'noiseMultiplier' });
}

/** What is wrong with a list, or undefined. */
type ListCheck = (values: readonly number[]) => string | undefined;

const isAscending: ListCheck = values =>
  values.every((value, index) => index === 0 || value > values[index - 1]!) ? undefined : 'ascending numbers';

const isDistribution: ListCheck = values =>
  Math.abs(values.reduce((a, b) => a + b, 0) - 1) <= 1e-9 ? undefined : 'numbers that sum to 1';

function readNumbers(value: unknown, name: string, check: ListCheck): number[] {
  if (!Array.isArray(value) || value.length === 0) throw wrong(name, value, 'a list of numbers');
  const values = value.map((entry: unknown) => checkNonNegative(entry, { verb, name: `a value of ${name}` }));
  const expected = check(values);
  if (expected !== undefined) throw wrong(name, value, expected);
  return values;
}

function wrong(name: string, value: unknown, expected: string): DpError {
  const shown = JSON.stringify(value) ?? 'undefined';
  return new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${name} is ${shown}. Give ${expected}.`);
}
