import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import {
  type Cut,
  type Inclusion,
  type ScoreMethod,
  scoreMethods,
  type ScoreUnit,
} from '../../accounting/audit/index.ts';
import { DpError } from '../../accounting/check.ts';
import type { AuditedFile } from './report.ts';
import { badScores, headerOf, isObject } from './scores-text.ts';
import { nearest } from './suggest.ts';
import { readFailure } from '../../selection/tables/source.ts';

/** What a score file, or a registration, says about how the scores came to be. */
export interface ScoreHeader {
  readonly cut?: Cut | undefined;
  readonly delta?: number | undefined;
  readonly significance?: number | undefined;
  readonly inclusion?: Inclusion | undefined;
  readonly unit?: ScoreUnit | undefined;
  readonly method?: ScoreMethod | undefined;
  readonly dimension?: number | undefined;
}

type Facts = Readonly<Record<string, unknown>>;

const keys = ['preregistered', 'delta', 'alpha', 'inclusion', 'unit', 'method', 'dimension'];
const cutKeys = ['k_plus', 'k_minus', 'threshold'];
const settingKeys = keys.filter(key => key !== 'preregistered');

function checkKeys(facts: Facts, known: readonly string[]): void {
  const stray = Object.keys(facts).find(key => !known.includes(key));
  if (stray === undefined) return;
  const meant = nearest(stray, known);
  const advice = meant === undefined ? `Use ${known.join(', ')}` : `Did you mean ${meant}`;
  throw badScores(`the header has an unknown key ${JSON.stringify(stray.slice(0, 40))}`, advice);
}

function numberOf(facts: Facts, key: string): number | undefined {
  const value = facts[key];
  if (value === undefined || value === null) return undefined;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  throw badScores(`the header's ${key} is no number`, 'Give a finite number');
}

function wordOf<T extends string>(
  facts: Facts,
  key: string,
  words: Readonly<Record<string, T>>,
): T | undefined {
  const value = facts[key];
  if (value === undefined || value === null) return undefined;
  const found = typeof value === 'string' && Object.hasOwn(words, value) ? words[value] : undefined;
  if (found !== undefined) return found;
  throw badScores(`the header's ${key} is no known word`, `Use one of ${Object.keys(words).join(', ')}`);
}

function cutOf(facts: Facts): Cut {
  const [highest, lowest, threshold] = cutKeys.map(key => numberOf(facts, key));
  if (threshold !== undefined && highest === undefined && lowest === undefined) return { threshold };
  if (threshold === undefined && (highest !== undefined || lowest !== undefined))
    return { highest: highest ?? 0, lowest: lowest ?? 0 };
  throw badScores('the registration has no cut, or two', 'Register k_plus and k_minus, or a threshold');
}

const inclusions: Readonly<Record<string, Inclusion>> = {
  'bernoulli(1/2)': 'fair-coins',
  'bernoulli(0.5)': 'fair-coins',
  coins: 'fair-coins',
  fixed: 'fixed',
};

function headerFrom(facts: Facts, cut: Facts | undefined): ScoreHeader {
  const methods = Object.fromEntries(scoreMethods.map(method => [method, method]));
  return {
    cut: cut && cutOf(cut),
    delta: numberOf(facts, 'delta'),
    significance: numberOf(facts, 'alpha'),
    inclusion: wordOf(facts, 'inclusion', inclusions),
    unit: wordOf(facts, 'unit', { user: 'user', record: 'record' } as const),
    method: wordOf(facts, 'method', methods),
    dimension: numberOf(facts, 'dimension'),
  };
}

/** The header of a score file. */
export function scoreHeader(facts: Facts): ScoreHeader {
  checkKeys(facts, keys);
  const { preregistered } = facts;
  if (preregistered === undefined || preregistered === null) return headerFrom(facts, undefined);
  if (!isObject(preregistered)) throw badScores('preregistered has no keys', `Give ${cutKeys.join(', ')}`);
  checkKeys(preregistered, cutKeys);
  return headerFrom(facts, preregistered);
}

/** The header out of a table's own metadata, where others may have written too. */
export function tableHeader(metadata: ReadonlyMap<string, string>): ScoreHeader {
  const known = [...metadata].filter(([key]) => keys.includes(key));
  const facts = Object.fromEntries(known.map(([key, text]) => [key, headerOf(`value: ${text}`)['value']]));
  return scoreHeader(facts);
}

/** A registration of its own: the keys of a header, and those of the cut beside them. */
export function readRegistration(path: string): { readonly header: ScoreHeader; readonly file: AuditedFile } {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw readFailure(path, error);
  }
  const facts = headerOf(bytes.toString('utf8'));
  checkKeys(facts, [...settingKeys, ...cutKeys, 'preregistered']);
  const cut = isObject(facts['preregistered']) ? facts['preregistered'] : facts;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { header: headerFrom(facts, cut), file: { path, sha256 } };
}

const names: Readonly<Record<keyof ScoreHeader, string>> = {
  cut: 'the cut',
  delta: 'delta',
  significance: 'the significance',
  inclusion: 'the inclusion',
  unit: 'the unit',
  method: 'the method',
  dimension: 'the dimension',
};

/** One value from several places that have to agree. */
export function agreed<T extends string | number>(
  key: keyof ScoreHeader,
  values: readonly (T | undefined)[],
): T | undefined {
  const given = [...new Set(values.filter(value => value !== undefined))];
  if (given.length <= 1) return given[0];
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot audit the scores: ${names[key]} is ${given.join(' in one place and ')} in another of options, claim and what was registered. Keep to what was registered.`,
  );
}
