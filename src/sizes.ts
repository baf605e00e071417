import { DpError } from '../accounting/check.ts';
import type { ArgumentParser } from './arguments.ts';

const units: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

function unitOf(spelt: string): number | undefined {
  const name = Object.keys(units).find(unit => unit.toLowerCase() === spelt.toLowerCase());
  return name === undefined ? undefined : units[name];
}

/** Parser of a number of bytes: `268435456`, `256MB`, `1.5 GiB`. */
export function byteSize(name: string): ArgumentParser<number> {
  return text => {
    const [, digits = '', unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
    const bytes = Math.floor(Number(digits) * (unitOf(unit) ?? 0));
    if (bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER) return bytes;
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot read the command line: ${name} is ${JSON.stringify(text)}. Give a size such as 256MB or 1GiB.`,
    );
  };
}

/** `1.5 GiB`, for people. */
export function renderBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let at = 0;
  for (; size >= 1024 && at < names.length - 1; at++) size /= 1024;
  return `${at === 0 ? size : size.toPrecision(3)} ${names[at]}`;
}
