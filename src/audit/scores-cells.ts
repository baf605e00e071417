/** What is wrong with a cell, in words that end "column score: …", and what to do. */
export interface CellFault {
  readonly reason: string;
  readonly advice: string;
}

const anew =
  'Score every canary: leaving out the ones that cannot be scored may tell which of them were trained on';

type FaultName = 'noScore' | 'notANumber' | 'infinite' | 'word' | 'neither' | 'noName' | 'noCount';

export const faults: Readonly<Record<FaultName, CellFault>> = {
  noScore: { reason: 'there is no score', advice: anew },
  notANumber: { reason: 'the score is NaN, not a number', advice: anew },
  infinite: {
    reason: 'the score is infinite',
    advice: 'Give finite scores, such as losses that are cut off before they overflow',
  },
  word: {
    reason: 'a word stands where a number should',
    advice: 'Write numbers such as -1.25 or 3e-4, with a point and with no sign such as ~ or % beside them',
  },
  neither: {
    reason: 'included is neither 0 nor 1',
    advice:
      'Write 1, true or yes for canaries that were trained on and 0, false or no for the others; how many copies went in belongs in a column repeats',
  },
  noName: { reason: 'there is no name', advice: 'Give every row one' },
  noCount: {
    reason: 'there is no whole number of at least 1',
    advice: 'Write how many copies of the canary went in',
  },
};

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const notANumber = /^[+-]?(?:nan|n\/?a|null|none)$/i;
const infinite = /^[+-]?(?:inf|infinity|∞)$/i;

/** The number that a text is, or what is wrong with it. */
export function numberIn(text: string): number | CellFault {
  const [first, second] = [text.charCodeAt(0), text.charCodeAt(1)];
  // A digit or minus, then no letter: no white space and no number of another base.
  const isPlain = ((first > 47 && first < 58) || first === 45) && !(second > 57);
  const value = isPlain ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : rareNumber(text.trim());
}

function rareNumber(text: string): number | CellFault {
  if (text === '') return faults.noScore;
  if (decimal.test(text)) return finite(Number(text));
  if (infinite.test(text)) return faults.infinite;
  return notANumber.test(text) ? faults.notANumber : faults.word;
}

function finite(value: number): number | CellFault {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? faults.notANumber : faults.infinite;
}

/** The number that a cell of any type holds. */
export function numberOf(cell: unknown): number | CellFault {
  if (typeof cell === 'number') return finite(cell);
  if (typeof cell === 'bigint') return Number(cell);
  if (typeof cell === 'string') return numberIn(cell);
  return cell === null || cell === undefined ? faults.noScore : faults.word;
}

const flags: Readonly<Record<string, 0 | 1>> = { true: 1, yes: 1, t: 1, y: 1, false: 0, no: 0, f: 0, n: 0 };

/** 1 or 0 for what a text says about having been trained on. */
export function flagIn(text: string): 0 | 1 | CellFault {
  const plain = text.trim().toLowerCase();
  if (Object.hasOwn(flags, plain)) return flags[plain]!;
  const value = numberIn(plain);
  return value === 0 || value === 1 ? value : faults.neither;
}

/** The same for a cell of any type. */
export function flagOf(cell: unknown): 0 | 1 | CellFault {
  if (cell === true || cell === 1 || cell === 1n) return 1;
  if (cell === false || cell === 0 || cell === 0n) return 0;
  return typeof cell === 'string' ? flagIn(cell) : faults.neither;
}

/** A count of copies. */
export function countOf(cell: unknown): number | CellFault {
  const value = numberOf(cell);
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 ? value : faults.noCount;
}

/** A name as text; numbers are names too. */
export function nameOf(cell: unknown): string | CellFault {
  if (typeof cell === 'string' && cell !== '') return cell;
  return typeof cell === 'number' || typeof cell === 'bigint' ? String(cell) : faults.noName;
}
