import type { CanaryColumns, NameColumn, ScoreUnit } from '../../accounting/audit/index.ts';
import { grown, TextInterner } from '../../selection/tables/interner.ts';
import {
  type CellFault,
  countOf,
  faults,
  flagIn,
  flagOf,
  nameOf,
  numberIn,
  numberOf,
} from './scores-cells.ts';
import { type Role, roles } from './scores-roles.ts';
import { badScores } from './scores-text.ts';

/** Collects the cells of one column; gives what is wrong with a cell, if anything is. */
export interface CellSink {
  /** A cell of a text file. */
  addText(bytes: Buffer, start: number, end: number): CellFault | undefined;
  /** A cell of any type. */
  addValue(cell: unknown): CellFault | undefined;
}

/** Names, each text held once. */
class NameSink implements CellSink {
  readonly #interner = new TextInterner();
  #codes = new Int32Array(1 << 10);
  #rows = 0;

  addText(bytes: Uint8Array, start: number, end: number): CellFault | undefined {
    if (start === end) return faults.noName;
    if (this.#rows === this.#codes.length) this.#codes = grown(this.#codes, length => new Int32Array(length));
    this.#codes[this.#rows++] = this.#interner.intern(bytes, start, end);
    return undefined;
  }

  addValue(cell: unknown): CellFault | undefined {
    if (cell instanceof Uint8Array) return this.addText(cell, 0, cell.length);
    const name = nameOf(cell);
    if (typeof name !== 'string') return name;
    const bytes = Buffer.from(name);
    return this.addText(bytes, 0, bytes.length);
  }

  /** How many names there are. */
  get distinct(): number {
    return this.#interner.size;
  }

  finish(): NameColumn {
    const { bytes, offsets } = this.#interner.texts;
    const texts = offsets.subarray(0, this.#interner.size + 1);
    return { codes: this.#codes.subarray(0, this.#rows), bytes, offsets: texts };
  }
}

/** Numbers by what reads them from text and from other cells. */
class NumberSink implements CellSink {
  readonly #fromText: (text: string) => number | CellFault;
  readonly #fromCell: (cell: unknown) => number | CellFault;
  #values = new Float64Array(1 << 10);
  #rows = 0;

  constructor(
    fromText: (text: string) => number | CellFault,
    fromCell: (cell: unknown) => number | CellFault,
  ) {
    this.#fromText = fromText;
    this.#fromCell = fromCell;
  }

  addText(bytes: Buffer, start: number, end: number): CellFault | undefined {
    return this.#add(this.#fromText(bytes.toString('latin1', start, end)));
  }

  addValue(cell: unknown): CellFault | undefined {
    return this.#add(this.#fromCell(cell));
  }

  finish(): Float64Array {
    return this.#values.subarray(0, this.#rows);
  }

  #add(value: number | CellFault): CellFault | undefined {
    if (typeof value !== 'number') return value;
    if (this.#rows === this.#values.length)
      this.#values = grown(this.#values, length => new Float64Array(length));
    this.#values[this.#rows++] = value;
    return undefined;
  }
}

const [zero, one] = [48, 49];

/** Ones and zeros, which most files write as such. */
class FlagSink implements CellSink {
  #values = new Uint8Array(1 << 10);
  #rows = 0;

  addText(bytes: Buffer, start: number, end: number): CellFault | undefined {
    const digit = end - start === 1 ? bytes[start] : undefined;
    if (digit === zero || digit === one) return this.#add(digit === one ? 1 : 0);
    return this.#add(flagIn(bytes.toString('latin1', start, end)));
  }

  addValue(cell: unknown): CellFault | undefined {
    return this.#add(flagOf(cell));
  }

  finish(): Uint8Array {
    return this.#values.subarray(0, this.#rows);
  }

  #add(value: 0 | 1 | CellFault): CellFault | undefined {
    if (typeof value !== 'number') return value;
    if (this.#rows === this.#values.length)
      this.#values = grown(this.#values, length => new Uint8Array(length));
    this.#values[this.#rows++] = value;
    return undefined;
  }
}

/** The kind of unit that every row of a column `unit` names, which then holds no names of units. */
function kindIn({ bytes, offsets }: NameColumn): ScoreUnit | undefined {
  const texts = Array.from(offsets.subarray(1), (end, text) =>
    Buffer.from(bytes.subarray(offsets[text], end)).toString('utf8'),
  );
  const found = texts.map(text => (Object.hasOwn(kinds, text) ? kinds[text] : undefined));
  if (found.includes(undefined)) return undefined;
  if (new Set(found).size > 1)
    throw badScores('its units are users in some rows and records in others', 'Audit them apart');
  return found[0];
}

const kinds: Readonly<Record<string, ScoreUnit>> = { user: 'user', record: 'record', example: 'record' };

/** The columns of a file of scores, whatever its format, while they are read. */
export class ScoreSinks {
  readonly #names: { readonly [name in 'canary' | 'unit' | 'run']: NameSink };
  readonly #included = new FlagSink();
  readonly #score = new NumberSink(numberIn, numberOf);
  readonly #repeats = new NumberSink(countOf, countOf);
  readonly #columns: ReadonlyMap<Role, string>;
  /** One for each column of the file, in its order. */
  readonly sinks: readonly CellSink[];

  /**
   * @param columns - names of the columns of the file
   * @throws DpError `MISSING_COLUMN`; `INVALID_DATA` for unknown ones
   */
  constructor(columns: readonly string[]) {
    this.#names = { canary: new NameSink(), unit: new NameSink(), run: new NameSink() };
    const found = roles(columns);
    this.#columns = new Map(found.map((role, index) => [role, columns[index]!]));
    this.sinks = found.map(role => this.#sinkOf(role));
  }

  /** The kind of unit that all rows name, if they do. */
  finish(): { readonly scores: CanaryColumns; readonly kind: ScoreUnit | undefined } {
    const { canary, unit, run } = this.#names;
    const hasFewUnits = this.#columns.get('unit') === 'unit' && unit.distinct <= Object.keys(kinds).length;
    const kind = hasFewUnits ? kindIn(unit.finish()) : undefined;
    const hasUnits = this.#columns.has('unit') && kind === undefined;
    const scores = {
      canary: canary.finish(),
      included: this.#included.finish(),
      score: this.#score.finish(),
      unit: hasUnits ? unit.finish() : undefined,
      repeats: this.#columns.has('repeats') ? this.#repeats.finish() : undefined,
      run: this.#columns.has('run') ? run.finish() : undefined,
    };
    return { scores, kind };
  }

  #sinkOf(role: Role): CellSink {
    if (role === 'included') return this.#included;
    if (role === 'score') return this.#score;
    return role === 'repeats' ? this.#repeats : this.#names[role];
  }
}
