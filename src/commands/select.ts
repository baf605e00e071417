import { basename } from 'node:path';
import type { Command } from 'commander';
import { curate, type CurateOptions, type Scorer } from '../../selection/index.ts';
import { perplexityScorer } from '../../trainer/index.ts';
import { required } from '../arguments.ts';
import { createCommand, type Deliver, type Surroundings } from '../command.ts';
import { chosenEngine } from '../engines.ts';
import { modelDigest, startModel } from '../models.ts';
import type { Answer } from '../output.ts';
import { addTableOptions } from '../table.ts';
import { addSelectOptions, type SelectCommandOptions } from './select-options.ts';
import { sourcedRuleOf } from './select-rule.ts';
import { emitSql } from './select-sql.ts';
import { dryRun, privateSurvey } from './select-survey.ts';
import { tableOptionsOf } from './select-table.ts';
import { renderResult, warningsOf } from './select-text.ts';
import { tokenizerFor } from './select-tokenizer.ts';

async function openScorer(
  folder: string,
  { note, ...options }: SelectCommandOptions & { note: (text: string) => void },
): Promise<Scorer & { dispose(): void }> {
  const model = await startModel(folder, { ...options, verb: 'score' });
  const scorer = perplexityScorer(model, await chosenEngine({ engine: options.scorerEngine }, note));
  return { ...scorer, provenance: 'public', name: basename(folder), hash: modelDigest(model) };
}

/** Arguments for the manifest, without passwords. */
function commandLineOf(argv: readonly string[]): string[] {
  return argv.map(argument => argument.replace(/^(clickhouses?:\/\/)[^/@]*@/, '$1'));
}

async function curateOptions(
  tables: readonly string[],
  options: SelectCommandOptions,
  around: Surroundings,
): Promise<CurateOptions> {
  const { manifest, lengthUnit, scoreProvenance, compareTexts } = options;
  const out = required(options.out, { verb: 'select', name: '--out', example: 'selected.arrow' });
  return {
    ...tableOptionsOf(tables, options, around),
    ...sourcedRuleOf(options),
    out,
    stdout: around.stdout,
    manifest,
    force: options.force === true,
    lengthUnit,
    tokenizer: await tokenizerFor(options),
    scoreProvenance,
    comparesTexts: compareTexts,
    commandLine: commandLineOf(around.argv),
  };
}

async function select(
  tables: readonly string[],
  options: SelectCommandOptions,
  around: Surroundings,
): Promise<Answer> {
  const prepared = await curateOptions(tables, options, around);
  const { note } = around;
  const { scorer: folder } = options;
  const scorer = folder === undefined ? undefined : await openScorer(folder, { ...options, note });
  try {
    const result = await curate({ ...prepared, scorer });
    if (result.manifest === '') around.note('There is no manifest; --manifest FILE writes one.');
    const json = { ...result, warnings: warningsOf(result) };
    return { json, text: renderResult(result), isAside: result.out === '-' };
  } finally {
    scorer?.dispose();
  }
}

async function answer(
  tables: readonly string[],
  options: SelectCommandOptions,
  around: Surroundings,
): Promise<Answer> {
  if (options.emitSql !== undefined) return emitSql(options);
  if (options.dpStats !== undefined) return privateSurvey(tables, options, around);
  return options.dryRun === true ? dryRun(tables, options, around) : select(tables, options, around);
}

/** `privacy-unit select`: caps what each user contributes, from files to file. */
export function selectCommand(deliver: Deliver): Command {
  const command = createCommand('select', {
    summary: 'cap what each user contributes',
    description:
      'Keeps at most k records of every user by the selection contract: the same set whatever the order of the input and whichever engine. Writes the table and a manifest, and checks the output by reading it back.',
    examples: [
      "select 'mail/*.parquet' --user author --id letter --text body --strategy random --k 10 --seed 42 --out selected.arrow",
      'select letters.parquet --user author --k 1,2,5,10,20 --dry-run',
    ],
  }).argument(
    '[TABLE...]',
    'Arrow, Parquet, JSONL or CSV files, folders and patterns, one record a row; - for standard input; clickhouse://user@host:8123/database/table',
  );
  addSelectOptions(addTableOptions(command));
  return command.action((tables: string[], options: SelectCommandOptions) =>
    deliver(options, around => answer(tables, options, around)),
  );
}
