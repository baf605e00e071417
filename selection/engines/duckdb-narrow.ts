import { DataType, type Field, Precision } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';
import { addedIdColumn } from '../curate-options.ts';
import { usesLengths, usesScores } from '../rule.ts';
import { standardName, standardText } from '../sql/quote.ts';
import { isIntegerType, isTextType } from '../tables/cells.ts';
import { invalidFile } from '../tables/source.ts';
import type { TableSource } from '../tables/table-source.ts';
import { cannotSelect, type SelectionRequest } from './engine.ts';

/** What is wrong with a row, by the number that the narrow table notes; lower ones are told first. */
export const defects = {
  userText: 1,
  nullUser: 2,
  idText: 3,
  nullId: 4,
  text: 5,
  nullText: 6,
  score: 7,
} as const;

/** The narrow table: `file`, `place` (row in its file, from 0), `u`, `i`, `m` (what the rule orders by), `defect`. */
export interface NarrowColumns {
  readonly user: string;
  readonly id: string;
  readonly measure: string;
  readonly defect: string;
}

function fieldOf(source: TableSource, name: string, role: string): Field {
  const field = source.schema.fields.find(found => found.name === name);
  if (field !== undefined) return field;
  const available = source.schema.fields.map(found => JSON.stringify(found.name)).join(', ');
  throw new DpError(
    'MISSING_COLUMN',
    `Cannot read ${source.files[0]!.name}: there is no ${role} column ${JSON.stringify(name)}. Choose from ${available}.`,
  );
}

function wrongType(source: TableSource, what: string, advice: string): DpError {
  return invalidFile(source.files[0]!.path, what, advice);
}

/** User or id as text, and what makes it refused. */
function keyExpression(
  source: TableSource,
  name: string,
  role: 'user' | 'id',
): { text: string; bad: string } {
  const { type } = fieldOf(source, name, role);
  if (!isTextType(type) && !isIntegerType(type)) {
    const what = `${role} column ${JSON.stringify(name)} is of type ${String(type)}, whose text form is not fixed`;
    throw wrongType(source, what, 'Name a column of text or whole numbers');
  }
  const text = `CAST(${standardName(name)} AS VARCHAR)`;
  return { text, bad: isTextType(type) ? `contains(${text}, chr(0))` : 'false' };
}

/** Rows of a file are numbered from 1 in ids, as everywhere. */
function numberedIds(source: TableSource): { text: string; bad: string } {
  if (source.schema.fields.some(({ name }) => name === addedIdColumn))
    throw cannotSelect(
      `rows are to be numbered but the table has a column "${addedIdColumn}"`,
      'Name it as the id column',
    );
  const names = source.files.map(({ name }) => standardText(name)).join(', ');
  return { text: `[${names}][CAST(file_index AS BIGINT) + 1] || ':' || (file_row_number + 1)`, bad: 'false' };
}

function textExpression(source: TableSource, name: string): string {
  const { type } = fieldOf(source, name, 'text');
  if (!isTextType(type))
    throw wrongType(
      source,
      `text column ${JSON.stringify(name)} is of type ${String(type)}`,
      'Name a column of text',
    );
  return standardName(name);
}

const numberPattern = String.raw`\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*`;

function scoreExpression(source: TableSource, name: string): string {
  const { type } = fieldOf(source, name, 'score');
  const column = standardName(name);
  if (isTextType(type))
    return `CASE WHEN regexp_full_match(${column}, '${numberPattern}') THEN TRY_CAST(trim(${column}, e' \\t\\r\\n') AS DOUBLE) END`;
  const isHalf = DataType.isFloat(type) && type.precision === Precision.HALF;
  if (DataType.isInt(type) || (DataType.isFloat(type) && !isHalf)) return `CAST(${column} AS DOUBLE)`;
  throw wrongType(
    source,
    `score column ${JSON.stringify(name)} is of type ${String(type)}`,
    'Name a column of numbers',
  );
}

/** The first 64 bits of K; `owner` are expressions. */
export function leadingBits(seed: string, { user, id }: { user: string; id: string }): string {
  const key = `${standardText(`${seed}:`)} || strlen(${user}) || ':' || ${user} || ':' || ${id}`;
  return `CAST('0x' || left(sha256(${key}), 16) AS UBIGINT)`;
}

function measureOf(
  { rule, lengthUnit }: SelectionRequest,
  parts: { user: string; id: string; text?: string; score?: string },
): string {
  if (usesLengths(rule.strategy)) {
    if (parts.text === undefined)
      throw cannotSelect('the rule looks at the text but the text column is undefined', 'Name it');
    return `${lengthUnit === 'bytes' ? 'strlen' : 'length'}(${parts.text})`;
  }
  if (usesScores(rule.strategy)) {
    if (parts.score === undefined)
      throw cannotSelect('the rule looks at scores but the score column is undefined', 'Name it');
    return parts.score;
  }
  // Place in the table: 2^40 rows a file.
  if (rule.strategy === 'first') return 'file_index * 1099511627776 + file_row_number';
  return leadingBits(rule.seed, parts);
}

/** The expressions of the narrow table, over a source with `file_index` and `file_row_number`. */
export function narrowColumns(source: TableSource, request: SelectionRequest): NarrowColumns {
  const { columns, nullUsers } = request;
  const user = keyExpression(source, columns.user, 'user');
  const id = columns.id === null ? numberedIds(source) : keyExpression(source, columns.id, 'id');
  const text = columns.text === undefined ? undefined : textExpression(source, columns.text);
  const score = columns.score === undefined ? undefined : scoreExpression(source, columns.score);
  const noUser = `(${user.text} IS NULL OR ${user.text} = '')`;
  const cases: [string, number][] = [
    [user.bad, defects.userText],
    [noUser, nullUsers === 'error' ? defects.nullUser : 0],
    [id.bad, defects.idText],
    [`${id.text} IS NULL OR ${id.text} = ''`, defects.nullId],
  ];
  if (text !== undefined)
    cases.push([`contains(${text}, chr(0))`, defects.text], [`${text} IS NULL`, defects.nullText]);
  if (score !== undefined) cases.push([`${score} IS NULL OR isnan(${score})`, defects.score]);
  const whens = cases.map(([condition, code]) => `WHEN ${condition} THEN ${code}`);
  return {
    user: `CASE WHEN ${noUser} THEN NULL ELSE ${user.text} END`,
    id: id.text,
    measure: measureOf(request, {
      user: user.text,
      id: id.text,
      ...(text && { text }),
      ...(score && { score }),
    }),
    defect: `CAST(CASE ${whens.join(' ')} ELSE 0 END AS TINYINT)`,
  };
}
