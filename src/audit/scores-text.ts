import { parse } from 'yaml';
import { DpError } from '../../accounting/check.ts';

/** `INVALID_DATA` about a score file; never with a cell's content. */
export function badScores(reason: string, advice: string): DpError {
  return new DpError('INVALID_DATA', `Cannot read the scores: ${reason}. ${advice}.`);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Header lines as an object; YAML, of which JSON is a part. */
export function headerOf(text: string): Readonly<Record<string, unknown>> {
  if (text.trim() === '') return {};
  const advice = 'Write lines such as "# inclusion: bernoulli(1/2)"';
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    throw badScores('its header is no YAML', advice);
  }
  if (isObject(value)) return value;
  throw badScores('its header has no keys', advice);
}
