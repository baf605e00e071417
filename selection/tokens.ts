import type { Data } from 'apache-arrow';
import { rankTable } from './engines/builtin.ts';
import { enterStage, type SelectionCounts, type SelectionRequest } from './engines/engine.ts';
import type { SelectionTokenizer } from './lengths.ts';
import { usesLengths, usesScores } from './rule.ts';
import { capEffects, type RuleEffect } from './statistics.ts';
import { textCells } from './tables/cells.ts';
import type { TableSource } from './tables/index.ts';

/** More than any user has. */
const everyRecord = 2 ** 31 - 1;

/** Tokens of every row of a table, 0 where there is no user or no text; 4 bytes a row. */
class RowTokens {
  #counts: Int32Array = new Int32Array(1 << 16);
  #rows = 0;

  /** Adds the rows of a batch. */
  add(users: Data, texts: Data, tokenizer: SelectionTokenizer): void {
    const userCells = textCells(users);
    const cells = textCells(texts);
    this.#reserve(cells.length);
    for (let row = 0; row < cells.length; row++) {
      const hasUser = !userCells.isNull(row) && userCells.byteLength(row) > 0;
      const count = hasUser && !cells.isNull(row) ? tokenizer.encode(cells.text(row)).length : 0;
      this.#counts[this.#rows++] = count;
    }
  }

  /** Of all rows, or of some. */
  total(rows?: ArrayLike<number>): number {
    let sum = 0;
    const count = rows?.length ?? this.#rows;
    for (let i = 0; i < count; i++) sum += this.#counts[rows === undefined ? i : rows[i]!]!;
    return sum;
  }

  #reserve(rows: number): void {
    if (this.#rows + rows <= this.#counts.length) return;
    const grown = new Int32Array(Math.max(2 * this.#counts.length, this.#rows + rows));
    grown.set(this.#counts);
    this.#counts = grown;
  }
}

/** A request for files, with a tokenizer and a text column. */
interface TokenRequest extends SelectionRequest {
  readonly source: TableSource;
  readonly tokenizer: SelectionTokenizer;
  readonly columns: SelectionRequest['columns'] & { readonly text: string };
}

/** The same request, where tokens can be counted: of files whose text column is known. */
function tokenRequest(request: SelectionRequest): TokenRequest | undefined {
  const { source, tokenizer, columns } = request;
  const { text } = columns;
  if ('url' in source || tokenizer === undefined || text === undefined) return undefined;
  return { ...request, source, tokenizer, columns: { ...columns, text } };
}

/** Counts the tokens of every row, in one pass over users and texts. */
async function rowTokens(request: TokenRequest): Promise<RowTokens> {
  const { source, columns, tokenizer } = request;
  const tokens = new RowTokens();
  for await (const { batch } of source.batches({ columns: [columns.user, columns.text], reuse: true })) {
    enterStage(request, 'read');
    const [users, texts] = batch.data.children;
    tokens.add(users!, texts!, tokenizer);
  }
  return tokens;
}

/** The rows that a rule keeps; texts are read only where the rule goes by their length. */
async function keptRows(
  request: SelectionRequest,
  rule: SelectionRequest['rule'],
): Promise<ArrayLike<number>> {
  const { text, ...columns } = request.columns;
  const readsText = usesLengths(rule.strategy);
  const { kept } = await rankTable({ ...request, rule, columns: readsText ? { ...columns, text } : columns });
  return kept.rows;
}

/** Tokens of all records that may be selected; those that repeat an id and are dropped take another pass to find. */
async function totalOf(tokens: RowTokens, request: TokenRequest, counts: SelectionCounts): Promise<number> {
  if (counts.dropped.duplicates === 0) return tokens.total();
  return tokens.total(
    await keptRows(request, {
      strategy: 'first',
      seed: '',
      recordsPerUser: everyRecord,
      tokensPerUser: null,
    }),
  );
}

/**
 * Tokens of all records that may be selected, in a pass over users and texts of its own.
 *
 * @returns null for a database, and without a tokenizer or a text column
 */
export async function countTokens(
  request: SelectionRequest,
  counts: SelectionCounts,
): Promise<number | null> {
  const asked = tokenRequest(request);
  if (counts.tokens !== undefined) return counts.tokens;
  return asked === undefined ? null : totalOf(await rowTokens(asked), asked, counts);
}

/** True where running a rule for another cap says what that cap keeps. */
function isRunnable({ rule, columns }: SelectionRequest): boolean {
  return rule.strategy !== 'random-chunk' && (!usesScores(rule.strategy) || columns.score !== undefined);
}

/**
 * Tokens before, and what each of several caps in records would keep of them under the strategy of the request. Texts are
 * read once; each cap takes one more pass over users and ids (and lengths or scores where the strategy goes by them).
 *
 * @returns null where tokens cannot be counted; no effects for blocks, and for scores that are not in a column
 */
export async function tokenEffects(
  request: SelectionRequest,
  counts: SelectionCounts,
  caps: readonly number[],
): Promise<{ before: number; effects: readonly RuleEffect[] } | null> {
  const asked = tokenRequest(request);
  if (asked === undefined) return null;
  const tokens = await rowTokens(asked);
  const before = await totalOf(tokens, asked, counts);
  const effects: RuleEffect[] = [];
  for (const effect of isRunnable(asked) ? capEffects(counts.contributions, caps) : []) {
    const { recordsPerUser } = effect;
    const rows = await keptRows(asked, { ...asked.rule, recordsPerUser, tokensPerUser: null });
    effects.push({ ...effect, tokens: tokens.total(rows) });
  }
  return { before, effects };
}
