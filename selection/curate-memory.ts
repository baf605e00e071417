import type { Table } from 'apache-arrow';
import { countsPerUser } from './cap.ts';
import { addedIdColumn, argument, stage } from './curate-options.ts';
import { keptRows, outputTable, type RowOptions } from './curate-rows.ts';
import { openBuiltin } from './engines/builtin.ts';
import {
  cannotSelect,
  type SelectionCounts,
  type SelectionEngine,
  type SelectionOutput,
  type SelectionRequest,
} from './engines/engine.ts';
import { toolVersion } from './manifest.ts';
import { readRecords, type Records } from './records.ts';
import { contributionsOf } from './statistics.ts';
import { openSink, type TableSource, withTextColumn } from './tables/index.ts';
import { collectTable } from './tables/table-source.ts';

interface Read {
  readonly table: Table;
  readonly records: Records;
}

/** `<file>:<row>` of every row, rows counted within their file. */
async function rowNames(source: TableSource): Promise<string[]> {
  const names: string[] = [];
  const [first] = source.schema.names;
  for await (const { batch, file, rowInFile } of source.batches({ columns: [String(first)] })) {
    const { name } = source.files[file]!;
    for (let row = 1; row <= batch.numRows; row++) names.push(`${name}:${rowInFile + row}`);
  }
  return names;
}

async function readWhole(source: TableSource, request: SelectionRequest): Promise<Read> {
  const { columns, nullUsers, duplicates } = request;
  let table = await collectTable(source);
  let { id } = columns;
  if (id === null) {
    if (source.schema.names.includes(addedIdColumn))
      throw argument(
        `rows are to be numbered but the table has a column "${addedIdColumn}"`,
        'Name it as the id column',
      );
    table = withTextColumn(table, { name: addedIdColumn, texts: await rowNames(source) });
    id = addedIdColumn;
  }
  const file = source.files[0]!.name;
  return { table, records: readRecords(table, { ...columns, id, nullUsers, duplicates, file }) };
}

async function writeTable(table: Table, output: SelectionOutput): Promise<void> {
  const { path, format, isStream } = output;
  const sink = await openSink(path, { schema: table.schema, format, isStream });
  try {
    for (const batch of table.batches) await sink.write(batch);
    await sink.finish();
  } finally {
    await sink.abort();
  }
}

function countsOf(records: Records): SelectionCounts {
  const { rowCount, dropped } = records;
  return { recordsIn: rowCount, dropped, contributions: contributionsOf(countsPerUser(records)) };
}

/**
 * The builtin engine where it has to hold the whole table: random chunks cut blocks across records, and a model scores
 * some records of users above the cap. Faults are found by the narrow columns first, which names file and row.
 */
class MemoryEngine implements SelectionEngine {
  readonly name = 'builtin';
  readonly #options: Pick<RowOptions, 'scorer' | 'onProgress'>;

  constructor(options: Pick<RowOptions, 'scorer' | 'onProgress'>) {
    this.#options = options;
  }

  async version(): Promise<string> {
    return toolVersion();
  }

  async survey(request: SelectionRequest): Promise<SelectionCounts> {
    return openBuiltin().survey({ ...request, rule: { strategy: 'first', seed: '', recordsPerUser: 1 } });
  }

  async select(request: SelectionRequest, output: SelectionOutput): Promise<SelectionCounts> {
    const { source } = request;
    if ('url' in source)
      throw cannotSelect('builtin reads files, not tables of a database', 'Use clickhouse');
    await this.survey(request);
    const { table, records } = await readWhole(source, request);
    const columns = { ...request.columns, id: request.columns.id ?? addedIdColumn };
    const { scorer, onProgress } = this.#options;
    const options = { ...request, columns, scorer, onProgress };
    const kept = await keptRows(options, records);
    stage(options, 'write');
    await writeTable(outputTable(table, kept, options), output);
    return countsOf(records);
  }
}

/** The engine for rules that look at whole texts. */
export function openMemoryEngine(options: Pick<RowOptions, 'scorer' | 'onProgress'>): SelectionEngine {
  return new MemoryEngine(options);
}
