import type { Interval } from '../accountant.ts';
import { DpError } from '../check.ts';
import type { ClaimGuarantee, Printed } from './claim.ts';

/** A printed number with what its digits stand for. */
export interface PrintedNumber {
  readonly text: string;
  readonly value: number;
  /** One unit in the last printed digit. */
  readonly unit: number;
  /** Every value that the print may stand for. */
  readonly stands: Interval;
}

const numeral = /^\s*\+?(?:\d+(?:\.(\d*))?|\.(\d+))(?:e([+-]?\d+))?\s*$/i;

/**
 * A number as printed: `"3.0"` stands for [2.95, 3.05), and for (0, 3] where it is a limit.
 *
 * @param printed - text keeps its digits; a number counts as printed in its shortest form
 * @throws DpError `INVALID_ARGUMENT` for anything that is no number of at least 0
 * @example
 * ```ts
 * readPrinted('3.0', '=').stands; // { lower: 2.95, upper: 3.05 }
 * readPrinted(3, '<=').stands; // { lower: 0, upper: 3 }
 * ```
 */
export function readPrinted(printed: Printed, relation: ClaimGuarantee['relation']): PrintedNumber {
  const text = String(printed).trim();
  const [, after, alone, exponent = '0'] = numeral.exec(text) ?? refuse(text);
  const decimals = after ?? alone ?? '';
  const value = Number(text);
  const unit = Number(`1e${Number(exponent) - decimals.length}`);
  const half = Number(`5e${Number(exponent) - decimals.length - 1}`);
  const stands =
    relation === '<='
      ? { lower: 0, upper: value }
      : { lower: Math.max(0, tidy(value - half)), upper: tidy(value + half) };
  return { text, value, unit, stands };
}

function refuse(text: string): never {
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot read the claim: a printed number is ${JSON.stringify(text)}. Give a number of at least 0, such as "3.0".`,
  );
}

/** Without the last bits that a subtraction of decimals leaves. */
function tidy(value: number): number {
  return Number(value.toPrecision(15));
}

/**
 * Whether a text says with its digits what the number alone doesn't.
 *
 * @example
 * ```ts
 * hasOwnDigits('1.10'); // true
 * hasOwnDigits('1e-5'); // false
 * ```
 */
export function hasOwnDigits(text: string): boolean {
  const { unit, value } = readPrinted(text, '=');
  return unit !== readPrinted(value, '=').unit;
}

/** Beyond the rounding, numbers this close count as the same: settings are printed in few digits, too. */
const settingsTolerance = 2e-3;
/**
 * Whether a recomputed number gives the printed one: rounded either way, or up, as is common for limits.
 *
 * @param options - within: however coarse the print is, a number farther off than this share of it explains nothing
 * @example
 * ```ts
 * givesPrint(1.1921, readPrinted('1.19', '=')); // true
 * givesPrint(0.954, readPrinted('1.19', '=')); // false
 * ```
 */
export function givesPrint(
  epsilon: number,
  { value, unit }: PrintedNumber,
  { within }: { readonly within: number } = { within: 0.02 },
): boolean {
  if (Math.abs(epsilon - value) > Math.max(within * value, 1e-12)) return false;
  const slack = settingsTolerance * value;
  return epsilon >= value - unit - slack && epsilon <= value + unit / 2 + slack;
}
