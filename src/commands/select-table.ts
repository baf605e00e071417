import type { CurateStage, RecordColumns, InputOptions } from '../../selection/index.ts';
import { DpError } from '../../accounting/check.ts';
import type { Surroundings } from '../command.ts';
import type { Progress } from '../progress.ts';
import { columnsAmong } from '../table.ts';
import type { SelectCommandOptions } from './select-options.ts';
import { ownersOf } from './select-rule.ts';

/** The tables to read: files, or one of a cluster. */
function tablesOf(tables: readonly string[], { cluster }: SelectCommandOptions): readonly string[] {
  if (cluster !== undefined) {
    const parts = tables.map(table => table.replaceAll('.', '/'));
    return [[cluster.replace(/\/$/, ''), ...parts].join('/')];
  }
  if (tables.length > 0) return tables;
  throw new DpError(
    'INVALID_ARGUMENT',
    'Cannot select: there is no TABLE. Name files, or - for standard input.',
  );
}

/** Columns of a database cannot be asked for beforehand, so the usual names stand in. */
function columnsIn(names: readonly string[], options: SelectCommandOptions): RecordColumns {
  const { owners } = options;
  if (owners !== undefined) return columnsAmong(names, { ...options, user: owners });
  if (names.length > 0) return columnsAmong(names, options);
  const isByText = options.strategy === 'longest' || options.strategy === 'shortest';
  return columnsAmong(isByText ? ['record_id', 'text'] : ['record_id'], options);
}

const stageNames: Readonly<Record<CurateStage, string>> = {
  hash: 'hashing the input',
  read: 'reading',
  validate: 'validating',
  score: 'scoring',
  select: 'selecting',
  write: 'writing',
  check: 'reading the output back',
  compare: 'comparing users and texts',
};

function shown(progress: Progress): InputOptions['onProgress'] {
  let current: CurateStage | undefined;
  return (stage, done, total) => {
    if (done !== undefined && total !== undefined)
      progress.update({ label: stageNames[stage], done, total, unit: 'records' });
    else if (stage !== current) progress.stage(stageNames[stage]);
    current = stage;
  };
}

/** What reading the tables needs, for a selection and for a survey alike. */
export function tableOptionsOf(
  tables: readonly string[],
  options: SelectCommandOptions,
  { signal, progress, stdin }: Surroundings,
): InputOptions {
  const { format, nullUsers, duplicates, onError, longestRow, userNormalize } = options;
  const { engine, memory, tmpDir, threads } = options;
  return {
    table: tablesOf(tables, options),
    format,
    stdin,
    columns: names => columnsIn(names, options),
    owners: ownersOf(options),
    nullUsers,
    duplicates,
    onError,
    longestRow,
    userNormalize,
    engine,
    memory,
    temporaryFolder: tmpDir,
    threads,
    signal,
    onProgress: shown(progress),
  };
}
