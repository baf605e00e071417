import { CommanderError } from 'commander';
import {
  checkChoice,
  checkCount,
  checkDelta,
  checkNonNegative,
  checkPositive,
  checkProbability,
  DpError,
} from '../accounting/check.ts';

const verb = 'read the command line';
const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/** The number that a text spells in full, else the text itself, so that the check can show what came. */
function spelled(text: string): number | string {
  return decimal.test(text) ? Number(text) : text;
}

/** Reads the text of one option; throws `INVALID_ARGUMENT` naming the option and what came. */
export type ArgumentParser<T> = (text: string) => T;

/** Parser of a finite number above 0. */
export function positive(name: string): ArgumentParser<number> {
  return text => checkPositive(spelled(text), { verb, name });
}

/** Parser of a finite number of at least 0. */
export function nonNegative(name: string): ArgumentParser<number> {
  return text => checkNonNegative(spelled(text), { verb, name });
}

/** Parser of a whole number of at least 1. */
export function count(name: string): ArgumentParser<number> {
  return text => checkCount(spelled(text), { verb, name });
}

/** Parser of a whole number of at least 0. */
export function countOrNone(name: string): ArgumentParser<number> {
  return text => checkCount(spelled(text), { verb, name, least: 0 });
}

/** Parser of a finite number of either sign. */
export function finite(name: string): ArgumentParser<number> {
  return text => {
    const value = spelled(text);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot ${verb}: ${name} is ${JSON.stringify(text)}. Give a finite number, such as -0.5.`,
    );
  };
}

/** Parser of a probability above 0 and at most 1. */
export function probability(name: string): ArgumentParser<number> {
  return text => checkProbability(spelled(text), { verb, name });
}

/** Parser of a number strictly between 0 and 1. */
export function delta(name: string): ArgumentParser<number> {
  return text => checkDelta(spelled(text), { verb, name });
}

/** Parser of a quantile strictly between 0 and 1. */
export function quantile(name: string): ArgumentParser<number> {
  return text => {
    const value = checkPositive(spelled(text), { verb, name });
    if (value < 1) return value;
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot ${verb}: ${name} is ${text}. Give a share below 1, such as 0.5.`,
    );
  };
}

/** Parser of a share in [0, 1): at least someone is left on the other side. */
export function share(name: string): ArgumentParser<number> {
  return text => {
    const value = checkNonNegative(spelled(text), { verb, name });
    if (value < 1) return value;
    throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${name} is ${text}. Give a share below 1.`);
  };
}

/** Parser of distinct whole numbers of at least 1, separated by commas. */
export function counts(name: string): ArgumentParser<number[]> {
  const one = count(name);
  return text => [...new Set(text.split(',').map(part => one(part.trim())))];
}

/** Parser of distinct numbers strictly between 0 and 1, separated by commas. */
export function rates(name: string): ArgumentParser<number[]> {
  const one = delta(name);
  return text => [...new Set(text.split(',').map(part => one(part.trim())))];
}

/** Parser of one word of a fixed list. */
export function choice<T extends string>(name: string, choices: readonly T[]): ArgumentParser<T> {
  return text => checkChoice(text, { verb, name, choices });
}

/** Parser of distinct finite numbers above 0, separated by commas. */
export function positives(name: string): ArgumentParser<number[]> {
  const one = positive(name);
  return text => [...new Set(text.split(',').map(part => one(part.trim())))];
}

/** Parser of distinct words of a fixed list, separated by commas. */
export function choices<T extends string>(name: string, allowed: readonly T[]): ArgumentParser<T[]> {
  const one = choice(name, allowed);
  return text => [...new Set(text.split(',').map(part => one(part.trim())))];
}

/** The value of an option without which the command can't run; `example` shows how to give it. */
export function required<T>(
  value: T | undefined,
  option: { verb: string; name: string; example: string },
): T {
  if (value !== undefined) return value;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${option.verb}: ${option.name} is missing. Give ${option.name} ${option.example}.`,
  );
}

const suggestion = /\s*\((Did you mean [^)]*\?)\)\s*$/;

/** Commander's complaint in the form of our own errors, with its suggestion where it has one. */
export function usageError(error: CommanderError): DpError {
  const text = error.message.replace(/^error: /, '');
  const hint = suggestion.exec(text)?.[1] ?? 'See --help for what the command takes.';
  return new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${text.replace(suggestion, '').trim()}. ${hint}`, {
    cause: error,
  });
}
