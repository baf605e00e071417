import type { CanaryScore, ScoreUnit } from '../../accounting/audit/index.ts';
import { DpError } from '../../accounting/check.ts';
import { fileDigest, formatOf, readTable, type TableFormat } from '../../selection/index.ts';
import { delimiterOf } from '../../selection/tables/formats.ts';
import type { AuditedFile } from './report.ts';
import { agreed, scoreHeader, type ScoreHeader, tableHeader } from './scores-header.ts';
import { badScores, readCsvScores, readJsonlScores } from './scores-text.ts';
import { nearest } from './suggest.ts';

/** Scores with what their file says of them. */
export interface ReadScores {
  readonly rows: readonly CanaryScore[];
  readonly header: ScoreHeader;
  readonly file: AuditedFile;
}

const roles = ['canary', 'included', 'score', 'unit', 'repeats', 'run'] as const;
type Role = (typeof roles)[number];

/** Every name that a column may have. */
const roleOf: Readonly<Record<string, Role>> = {
  canary: 'canary',
  canary_id: 'canary',
  included: 'included',
  score: 'score',
  unit: 'unit',
  unit_id: 'unit',
  repeats: 'repeats',
  run: 'run',
  run_id: 'run',
};

type Columns = ReadonlyMap<string, readonly unknown[]>;

function byRole(columns: Columns): Partial<Record<Role, readonly unknown[]>> {
  const found: Partial<Record<Role, readonly unknown[]>> = {};
  for (const [name, values] of columns) {
    const role = Object.hasOwn(roleOf, name) ? roleOf[name] : undefined;
    if (role === undefined) throw unknownColumn(name);
    if (found[role] !== undefined) throw badScores(`two columns hold the ${role}`, 'Leave one out');
    found[role] = values;
  }
  return found;
}

function unknownColumn(name: string): DpError {
  const known = Object.keys(roleOf);
  const meant = nearest(name, known);
  const advice = meant === undefined ? `Use ${known.join(', ')}` : `Did you mean ${meant}`;
  return badScores(`there is an unknown column ${JSON.stringify(name.slice(0, 40))}`, advice);
}

function required(found: Partial<Record<Role, readonly unknown[]>>, role: Role): readonly unknown[] {
  const values = found[role];
  if (values !== undefined) return values;
  throw new DpError(
    'MISSING_COLUMN',
    `Cannot read the scores: there is no column ${role}. Give canary, included and score.`,
  );
}

const yes: ReadonlySet<unknown> = new Set([1, true, '1', 'true', 1n]);
const no: ReadonlySet<unknown> = new Set([0, false, '0', 'false', 0n]);

function flag(value: unknown, row: number): boolean {
  const plain = typeof value === 'string' ? value.trim().toLowerCase() : value;
  if (yes.has(plain)) return true;
  if (no.has(plain)) return false;
  throw badScores(`included of row ${row + 1} is neither 0 nor 1`, 'Mend the row');
}

/** A number, NaN where there is none, which is refused with its row later. */
function numeric(value: unknown): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
}

function word(value: unknown, { role, row }: { readonly role: Role; readonly row: number }): string {
  if (typeof value === 'string' && value !== '') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  throw badScores(`row ${row + 1} has no ${role}`, 'Mend the row');
}

const kinds: Readonly<Record<string, ScoreUnit>> = { user: 'user', record: 'record', example: 'record' };

/** The kind of unit that every row names in a column `unit`, which then holds no names of units; undefined where it does. */
function kindIn(columns: Columns): ScoreUnit | undefined {
  const found = new Set(
    (columns.get('unit') ?? []).map(value =>
      typeof value === 'string' && Object.hasOwn(kinds, value) ? kinds[value] : undefined,
    ),
  );
  if (found.has(undefined)) return undefined;
  if (found.size > 1)
    throw badScores('its units are users in some rows and records in others', 'Audit them apart');
  return [...found][0];
}

/** @param hasUnits - whether a column `unit` holds names of units */
function rowsOf(columns: Columns, { hasUnits }: { readonly hasUnits: boolean }): CanaryScore[] {
  const found = byRole(columns);
  const [canaries, included, scores] = (['canary', 'included', 'score'] as const).map(role =>
    required(found, role),
  );
  const { repeats, run } = found;
  const unit = hasUnits ? found.unit : undefined;
  return canaries!.map((canary, row) => ({
    canary: word(canary, { role: 'canary', row }),
    included: flag(included![row], row),
    score: numeric(scores![row]),
    unit: unit && word(unit[row], { role: 'unit', row }),
    repeats: repeats && numeric(repeats[row]),
    run: run && word(run[row], { role: 'run', row }),
  }));
}

async function readColumns(
  path: string,
  format: TableFormat,
): Promise<{ readonly columns: Columns; readonly header: ScoreHeader }> {
  if (format === 'csv' || format === 'jsonl') {
    const read = await (format === 'csv' ? readCsvScores(path, delimiterOf(path)) : readJsonlScores(path));
    return { columns: read.columns, header: scoreHeader(read.header) };
  }
  const table = await readTable(path, { format });
  const columns = table.schema.fields.map(({ name }): [string, readonly unknown[]] => [
    name,
    table.getChild(name)?.toJSON() ?? [],
  ]);
  return { columns: new Map(columns), header: tableHeader(table.schema.metadata) };
}

/**
 * Reads a file of canary scores, where `unit` is the name of a unit or, the same in all rows, `user` or `record`: CSV with `# key: value` lines above, JSON lines with a header object, Arrow or Parquet with metadata.
 *
 * @throws DpError `MISSING_FILE`; `MISSING_COLUMN`; `INVALID_DATA` with the row
 */
export async function readScores(path: string, format: TableFormat = formatOf(path)): Promise<ReadScores> {
  const { columns, header } = await readColumns(path, format);
  const { sha256 } = await fileDigest(path);
  const kind = kindIn(columns);
  return {
    rows: rowsOf(columns, { hasUnits: kind === undefined }),
    header: { ...header, unit: agreed('unit', [header.unit, kind]) },
    file: { path, sha256 },
  };
}
