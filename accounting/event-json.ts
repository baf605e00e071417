import {
  checkChoice,
  checkCount,
  checkNonNegative,
  checkPositive,
  checkProbability,
  DpError,
  invalid,
  type CheckContext,
} from './check.ts';
import type { BasicEvent, DpEvent } from './event.ts';
import { belowOne, groupSizeOf, kindOf, limited, oneOf, readFields, type Reader } from './fields.ts';

const verb = 'read the event';

const buckets: Reader<number> = (value, context) => checkCount(value, { ...context, least: 2 });

const meanRuns = limited(checkPositive, value => value >= 1, 'a mean of at least 1');

const scale = limited(
  limited(checkPositive, value => value <= 1e4, 'at most 10000'),
  value => value >= 1e-100,
  'at least 1e-100',
);

const randomProbability = limited(checkProbability, value => value >= 1e-300, 'at least 1e-300');

const manyRecords = limited(checkCount, value => value <= 1e12, 'at most 1e12');

const shape: Reader<number | 'poisson'> = (value, context) => {
  if (value === 'poisson') return value;
  if (typeof value === 'number' && Number.isFinite(value) && value > -1) return value;
  throw invalid(value, 'a number above -1, or "poisson"', context);
};

const inner: Reader<DpEvent> = value => parseEvent(value);

const innerList: Reader<DpEvent[]> = (value, context) => {
  if (!Array.isArray(value) || value.length === 0) throw invalid(value, 'a list of events', context);
  return value.map(parseEvent);
};

const sensitivities: Reader<number[]> = (value, context) => readNumbers(value, context, isAscending);
const probabilities: Reader<number[]> = (value, context) => readNumbers(value, context, isDistribution);

const noise = { noiseMultiplier: checkPositive };
const sampled = { ...noise, samplingProbability: checkProbability };

type Kind = DpEvent['kind'];

/** Fields of every kind of event beside `kind`. */
const readers: Readonly<Record<Kind, Readonly<Record<string, Reader<unknown>>>>> = {
  gaussian: noise,
  'poisson-subsampled-gaussian': sampled,
  'mixture-of-gaussians': { ...noise, sensitivities, probabilities },
  laplace: noise,
  'poisson-subsampled-laplace': sampled,
  'discrete-gaussian': { scale, sensitivity: checkCount },
  'randomised-response': { randomProbability, buckets },
  guarantee: { epsilon: checkNonNegative, delta: belowOne },
  'fixed-size-gaussian': { ...noise, datasetSize: checkCount, batchSize: checkCount, groupSize: groupSizeOf },
  'truncated-poisson-gaussian': { ...sampled, datasetSize: manyRecords, maximumBatchSize: checkCount },
  'balls-in-bins-gaussian': { ...noise, stepsPerEpoch: checkCount },
  'shuffled-gaussian': {
    ...noise,
    stepsPerEpoch: checkCount,
    epochs: checkCount,
    order: oneOf('persistent', 'reshuffled'),
  },
  'repeat-and-select': { event: inner, meanRuns, shape },
  repeated: { event: inner, count: checkCount },
  sequence: { events: innerList },
};

/** Every kind of event, in the order in which messages list them. */
// oxlint-disable-next-line no-unsafe-type-assertion -- the keys of our own object
export const eventKinds: readonly Kind[] = Object.keys(readers) as Kind[];

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
  const kind = checkChoice(kindOf(json), { verb, name: 'kind', choices: eventKinds });
  const fields = readers[kind];
  const values: Readonly<Record<string, unknown>> = readFields(json, {
    verb,
    name: kind,
    keys: ['kind', ...Object.keys(fields)],
  });
  const read = Object.entries(fields).map(
    ([name, reader]) => [name, reader(values[name], { verb, name })] as const,
  );
  // oxlint-disable-next-line no-unsafe-type-assertion -- exactly the fields of this kind were read, each by its reader
  const event = { kind, ...Object.fromEntries(read) } as DpEvent;
  const finding = contradiction(event);
  if (finding === undefined) return event;
  throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${finding}.`);
}

/** What can't be true of fields together: the reason and what to change. */
function contradiction(event: DpEvent): string | undefined {
  if (event.kind === 'mixture-of-gaussians') return mixtureContradiction(event);
  return event.kind === 'fixed-size-gaussian' ? fixedSizeContradiction(event) : undefined;
}

type EventOf<K extends BasicEvent['kind']> = Extract<BasicEvent, { kind: K }>;

function mixtureContradiction(event: EventOf<'mixture-of-gaussians'>): string | undefined {
  const [expected, given] = [event.sensitivities.length, event.probabilities.length];
  if (expected === given) return undefined;
  return `sensitivities has ${expected} values but probabilities has ${given}. Give one probability for each`;
}

function fixedSizeContradiction(event: EventOf<'fixed-size-gaussian'>): string | undefined {
  const { datasetSize, batchSize, groupSize } = event;
  if (batchSize > datasetSize) return `batchSize ${batchSize} exceeds datasetSize ${datasetSize}. Lower it`;
  return groupSize > datasetSize
    ? `groupSize ${groupSize} exceeds datasetSize ${datasetSize}. Lower it`
    : undefined;
}

/** What is wrong with a list, or undefined. */
type ListCheck = (values: readonly number[]) => string | undefined;

const isAscending: ListCheck = values =>
  values.every((value, index) => index === 0 || value > values[index - 1]!) ? undefined : 'ascending numbers';

const isDistribution: ListCheck = values =>
  Math.abs(values.reduce((a, b) => a + b, 0) - 1) <= 1e-9 ? undefined : 'numbers that sum to 1';

function readNumbers(value: unknown, context: CheckContext, check: ListCheck): number[] {
  if (!Array.isArray(value) || value.length === 0) throw invalid(value, 'a list of numbers', context);
  const values = value.map((entry: unknown) =>
    checkNonNegative(entry, { ...context, name: `a value of ${context.name}` }),
  );
  const expected = check(values);
  if (expected !== undefined) throw invalid(value, expected, context);
  return values;
}
