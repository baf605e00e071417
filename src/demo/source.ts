import { basename, join } from 'node:path';
import { tableFromArrays, type Table } from 'apache-arrow';
import { writeTable, type CurateOptions, type RecordColumns, type Records } from '../../selection/index.ts';
import { sampleCorpus, type SampleRecord } from '../corpus/corpus.ts';
import { columnsOf, readUserTable, type TableOptions } from '../table.ts';

/** The private table of a demo and the public text that its starting model learns from. */
export interface DemoSource {
  readonly label: string;
  readonly path: string;
  readonly columns: RecordColumns;
  /** How faults of the table are treated, and its format. */
  readonly policies: Pick<CurateOptions, 'format' | 'nullUsers' | 'duplicates'>;
  readonly records: Records;
  readonly publicTexts: readonly string[];
}

function tableOf(records: readonly SampleRecord[]): Table {
  return tableFromArrays({
    user: records.map(record => record.user),
    record_id: records.map(record => record.recordId),
    text: records.map(record => record.text),
  });
}

/** Writes the built-in corpus into the folder and reads its private half back like anybody's table. */
async function builtIn(folder: string, users: number): Promise<DemoSource> {
  const { publicRecords, privateRecords } = sampleCorpus({ users });
  const path = join(folder, 'corpus-private.arrow');
  await writeTable(tableOf(publicRecords), join(folder, 'corpus-public.arrow'), { force: false });
  await writeTable(tableOf(privateRecords), path, { force: false });
  const columns = { user: 'user', id: 'record_id', text: 'text' };
  const { records } = await readUserTable(path, { ...columns, needsText: true });
  const label = 'Built-in sample corpus, private half (invented people)';
  return {
    label,
    path,
    columns,
    policies: {},
    records,
    publicTexts: publicRecords.map(record => record.text),
  };
}

/** The table of a demo: a real one, or the built-in corpus. */
export async function openSource(
  folder: string,
  { data, columns, users }: { data: string | undefined; columns: TableOptions; users: number },
): Promise<DemoSource> {
  if (data === undefined) return builtIn(folder, users);
  const { records } = await readUserTable(data, { ...columns, needsText: true });
  const publicTexts = sampleCorpus({ users }).publicRecords.map(record => record.text);
  const { format, nullUsers, duplicates } = columns;
  return {
    label: basename(data),
    path: data,
    columns: await columnsOf(data, columns),
    policies: { format, nullUsers, duplicates },
    records,
    publicTexts,
  };
}
