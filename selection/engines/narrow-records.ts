import type { UserGroups } from '../records.ts';
import { needsTokens } from '../curate-options.ts';
import { usesLengths, usesScores } from '../rule.ts';
import type { TableSource } from '../tables/table-source.ts';
import type { SelectionRequest } from './engine.ts';
import { idsKind, integerWords, type NarrowIds, narrowIds, textRun } from './narrow-ids.ts';
import { type NarrowColumns, type NarrowShape, wordColumns } from './narrow-page.ts';
import type { RowsByUser } from './rows-by-user.ts';
import type { Scratch } from './scratch.ts';
import type { NarrowBatch } from './narrow-reader.ts';

/** What ranking looks at, by row of a partition. */
export interface NarrowRecords {
  /** Users of the partition, by their number there. */
  readonly users: { readonly length: number; textOf(user: number): string };
  /** Whose rows are whose. */
  readonly groups: UserGroups;
  /** Row to row of the source. */
  readonly rowOf: Int32Array;
  readonly ids: NarrowIds;
  readonly measures: Float64Array | Int32Array | undefined;
  readonly tokens: Int32Array | undefined;
}

/** Which narrow columns a request needs of a source. */
export function shapeOf(source: TableSource, { columns, rule }: SelectionRequest): NarrowShape {
  const id = source.schema.fields.find(({ name }) => name === columns.id);
  return {
    ids: id === undefined ? 'places' : idsKind(id.type),
    measures: usesScores(rule.strategy) ? 'scores' : usesLengths(rule.strategy) ? 'lengths' : 'none',
    hasTokens: needsTokens(rule),
  };
}

const noWords = new Int32Array(0);

/**
 * A checked batch as columns of a shape.
 *
 * @param options - codes: the user of each row; memory: where the columns lie until the next batch
 */
export function narrowColumns(
  batch: NarrowBatch,
  shape: NarrowShape,
  { codes, memory }: { readonly codes: Int32Array; readonly memory: Scratch },
): NarrowColumns {
  const { rows } = batch;
  const words: Int32Array[] = [codes, noWords];
  if (shape.ids === 'numbers') {
    const { low, high } = integerWords(batch.ids!, {
      low: memory.words(2, rows),
      high: memory.words(3, rows),
    });
    words.push(low, high);
  }
  if (shape.measures === 'lengths') words.push(wholeNumbers(batch.measures!, memory.words(4, rows)));
  if (shape.hasTokens) words.push(wholeNumbers(batch.tokens!, memory.words(5, rows)));
  return {
    firstRow: batch.firstRow,
    words,
    scores: shape.measures === 'scores' ? batch.measures : undefined,
    texts: shape.ids === 'texts' ? textRun(batch.ids!, memory) : undefined,
  };
}

function wholeNumbers(values: Float64Array, out: Int32Array): Int32Array {
  out.set(values);
  return out;
}

/**
 * The rows of a partition as records.
 *
 * @param context - users: of the partition; nameOf: of a row of the source that has no id
 */
export function narrowRecords(
  { groups, words, scores, texts }: RowsByUser,
  context: {
    readonly shape: NarrowShape;
    readonly users: NarrowRecords['users'];
    readonly nameOf: (row: number) => string;
  },
): NarrowRecords {
  const { shape, users, nameOf } = context;
  const names = wordColumns(shape);
  const column = (name: string): Int32Array | undefined => words[names.indexOf(name)];
  const rowOf = column('place')!;
  const [low, high] = [column('low'), column('high')];
  const integers = low === undefined || high === undefined ? undefined : { low, high };
  return {
    users,
    groups,
    rowOf,
    ids: narrowIds({ integers, texts, groups }, row => nameOf(rowOf[row]!)),
    measures: scores ?? column('length'),
    tokens: column('tokens'),
  };
}
