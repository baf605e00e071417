import { readFile } from 'node:fs/promises';
import { DpError } from '../../accounting/check.ts';

/** A JSON object as it was parsed, nothing known about its values. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** True for an object that is neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True for an object whose values are all strings. */
export function isTextRecord(value: unknown): value is Readonly<Record<string, string>> {
  return isObject(value) && Object.values(value).every(text => typeof text === 'string');
}

/** The value of a JSON text, undefined where it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const keysAndBraces = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]/gs;

/**
 * The first key that one object of a JSON text holds twice; `JSON.parse` would keep the last in silence.
 *
 * @example
 * ```ts
 * repeatedKey('{"a": 1, "b": {"a": 2}}'); // undefined
 * repeatedKey('{"a": 1, "\\u0061": 2}'); // 'a'
 * ```
 */
export function repeatedKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (const [match, spelled, colon] of text.matchAll(keysAndBraces)) {
    if (match === '{') open.push(new Set());
    else if (match === '}') open.pop();
    else if (colon !== undefined) {
      const key = String(parseJson(spelled!));
      if (open.at(-1)?.has(key) === true) return key;
      open.at(-1)?.add(key);
    }
  }
  return undefined;
}

/**
 * Reads a file that describes a model.
 *
 * @throws DpError `MISSING_FILE`, or `INVALID_DATA` where it holds no JSON object, or one with a repeated key
 */
export async function readJsonObject(path: string): Promise<JsonObject> {
  const text = await readText(path);
  const value = parseJson(text);
  if (!isObject(value)) throw broken(path, 'holds no JSON object');
  const repeated = repeatedKey(text);
  if (repeated !== undefined) throw broken(path, `has the key ${JSON.stringify(repeated)} twice`);
  return value;
}

/** The text of a file of a model; `MISSING_FILE` where there is none. */
export async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    const message = `Cannot load the model: ${path} cannot be read. Check the folder.`;
    throw new DpError('MISSING_FILE', message, { cause });
  });
}

function broken(path: string, reason: string): DpError {
  return new DpError('INVALID_DATA', `Cannot load the model: ${path} ${reason}. Restore the file.`);
}
