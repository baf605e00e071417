import { writeKept } from './engines/builtin-gather.ts';
import {
  cannotSelect,
  enterStage,
  type SelectionCounts,
  type SelectionEngine,
  type SelectionOutput,
  type SelectionRequest,
} from './engines/engine.ts';
import { checkNumbering, cutText } from './engines/kept-rows.ts';
import { toolVersion } from './manifest.ts';
import { type OwnedSelection, selectOwned } from './owners.ts';
import type { OwnerForm } from './owners-column.ts';
import { type OwnedTable, readOwned } from './owners-table.ts';
import type { CapRule } from './rule.ts';
import type { RuleEffect } from './statistics.ts';
import type { TableSource } from './tables/index.ts';

function filesOf(request: SelectionRequest): TableSource {
  const { source } = request;
  if ('url' in source) throw cannotSelect('builtin reads files, not tables of a database', 'Use files');
  checkNumbering(source, request);
  return source;
}

/**
 * The builtin engine where a record may have several owners: owners, ids and numbers are read and ordered in memory, then
 * the rows that are kept are read whole.
 */
class OwnersEngine implements SelectionEngine {
  readonly name = 'builtin';
  readonly #form: OwnerForm;

  constructor(form: OwnerForm) {
    this.#form = form;
  }

  async version(): Promise<string> {
    return toolVersion();
  }

  async survey(request: SelectionRequest): Promise<SelectionCounts> {
    return (await readOwned(filesOf(request), request, this.#form)).counts;
  }

  async select(request: SelectionRequest, output: SelectionOutput): Promise<SelectionCounts> {
    const source = filesOf(request);
    const table = await readOwned(source, request, this.#form);
    enterStage(request, 'select');
    const selection = selectOwned(table.records, request.rule);
    const rows = selection.rows.map(place => table.rows[place]!);
    const cuts = new Map(Array.from(selection.cuts, ([place, tokens]) => [table.rows[place]!, tokens]));
    const { recordsIn: total } = table.counts;
    const idOf = request.columns.id === null ? (row: number) => table.places.nameOf(row) : undefined;
    const kept = { rows, total, cuts, idOf, text: cutText(request) };
    await writeKept(source, request, { kept, output });
    return { ...table.counts, recordsKept: rows.length };
  }
}

/** The engine for records that may have several owners. */
export function openOwnersEngine(form: OwnerForm): SelectionEngine {
  return new OwnersEngine(form);
}

/** Users of whom at least one record is not kept. */
function usersCut({ owners, users }: OwnedTable['records'], { recordsOf }: OwnedSelection): number {
  const counts = new Int32Array(users.length);
  for (let i = 0; i < owners.indices.length; i++) counts[owners.indices[i]!]! += 1;
  let cut = 0;
  for (let user = 0; user < counts.length; user++) if (recordsOf[user]! < counts[user]!) cut += 1;
  return cut;
}

function tokensIn(tokens: ArrayLike<number>, rows: Int32Array): number {
  let sum = 0;
  for (let i = 0; i < rows.length; i++) sum += tokens[rows[i]!]!;
  return sum;
}

function effectOf({ records }: OwnedTable, rule: CapRule, recordsPerUser: number): RuleEffect {
  const found = selectOwned(records, { ...rule, recordsPerUser, tokensPerUser: null });
  return {
    recordsPerUser,
    records: found.rows.length,
    share: found.rows.length / records.ids.length,
    usersCut: usersCut(records, found),
    tokens: records.tokens === undefined ? null : tokensIn(records.tokens, found.rows),
  };
}

/** Counts, and what each of several caps would keep. The table is read once and selected from once a cap. */
export async function ownedEffects(
  request: SelectionRequest,
  form: OwnerForm,
  caps: readonly number[],
): Promise<{ counts: SelectionCounts; effects: readonly RuleEffect[] }> {
  const table = await readOwned(filesOf(request), request, form);
  return { counts: table.counts, effects: caps.map(cap => effectOf(table, request.rule, cap)) };
}
