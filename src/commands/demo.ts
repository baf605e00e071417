import { join } from 'node:path';
import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import { count, delta, positive } from '../arguments.ts';
import { createCommand, type CommonOptions, type Deliver, type Surroundings } from '../command.ts';
import { runDemo, type DemoFindings } from '../demo/demo.ts';
import { isEarlierDemo, openDemoFolder } from '../demo/folder.ts';
import { reportOf } from '../demo/report-data.ts';
import type { DemoRun } from '../demo/runs.ts';
import { fullDemo, quickDemo } from '../demo/settings.ts';
import { addEngineOption, type EngineOption } from '../engines.ts';
import { writeWhole } from '../files.ts';
import { downward, number, renderInterval, renderJson, renderTable, type Answer } from '../output.ts';
import { renderReport } from '../report/page.ts';
import { addTableOptions, type TableOptions } from '../table.ts';

interface DemoCommandOptions extends TableOptions, CommonOptions, EngineOption {
  readonly data?: string;
  readonly epsilon: number;
  readonly delta?: number;
  readonly k: number;
  readonly out: string;
  readonly quick?: true;
}

function row(run: DemoRun): string[] {
  return [
    run.name,
    run.k === null ? '-' : String(run.k),
    run.noiseMultiplier === null ? '-' : downward(run.noiseMultiplier),
    run.epsilon === null ? '-' : renderInterval(run.epsilon),
    number(run.perplexity.byRecord),
    number(run.perplexity.byUser),
    run.seconds.toFixed(1),
  ];
}

function comparison(runs: readonly DemoRun[]): string {
  const align = 'right' as const;
  const columns = [
    { title: 'run' },
    { title: 'k', align },
    { title: 'noise multiplier', align },
    { title: 'epsilon', align },
    { title: 'perplexity by record', align },
    { title: 'by user', align },
    { title: 'seconds', align },
  ];
  return renderTable(columns, runs.map(row));
}

function textOf(findings: DemoFindings, out: string): string {
  const { source, target, population, runs, notes } = findings;
  const statements = runs.flatMap(run =>
    run.statementText === null ? [] : [`${run.name}\n${'='.repeat(run.name.length)}\n${run.statementText}`],
  );
  return [
    `${source}: ${population.users} users to train on, ${population.heldOutUsers} to evaluate on.`,
    `Target: epsilon ${target.epsilon} at delta ${target.delta} for every user.`,
    '',
    comparison(runs),
    '',
    ...statements.flatMap(statement => [statement, '']),
    ...notes.map(note => `Note: ${note}`),
    'Note: counts, losses and perplexities are raw values of private data; epsilon does not cover them.',
    `Report: ${join(out, 'report.html')}`,
  ].join('\n');
}

function objectOf(findings: DemoFindings, out: string): Record<string, unknown> {
  return { ...findings, report: join(out, 'report.html'), out };
}

/** Writes page and numbers into the work folder and moves it into place. */
function publish(findings: DemoFindings, folder: { work: string; finish(): void }, out: string): Answer {
  const json = objectOf(findings, out);
  writeWhole(join(folder.work, 'report.html'), renderReport(reportOf(findings)));
  writeWhole(join(folder.work, 'report.json'), renderJson(json));
  folder.finish();
  return { json, text: textOf(findings, out) };
}

async function demo(options: DemoCommandOptions, around: Surroundings): Promise<Answer> {
  const { out, data, epsilon, k } = options;
  const folder = openDemoFolder(out);
  if (isEarlierDemo(out))
    around.note(`${out} holds an earlier demo; this one will replace it when it is done.`);
  try {
    const settings = options.quick === true ? quickDemo : fullDemo;
    const question = {
      data,
      columns: options,
      epsilon,
      delta: options.delta,
      recordsPerUser: k,
      settings,
      engine: options,
    };
    const findings = await runDemo(question, folder.work, around);
    return publish(findings, folder, out);
  } catch (error) {
    if (!(error instanceof DpError) || error.code !== 'INTERRUPTED') throw error;
    throw new DpError(
      'INTERRUPTED',
      'Cannot finish the demo: interrupted, and its unfinished work removed. Run it again.',
    );
  } finally {
    folder.discard();
  }
}

/** `privacy-unit demo`: the whole path, on invented people or on a real table. */
export function demoCommand(deliver: Deliver): Command {
  const command = createCommand('demo', {
    summary: 'the whole path from a table to trained models, with a report',
    description:
      'Trains a small public model, plans, selects, fine-tunes with Group Privacy and with User-wise DP-SGD, compares both with no fine-tuning and with no privacy, and writes a report. Without --data it uses a built-in corpus of invented people. Takes one to two minutes on two cores.',
    examples: [
      'demo',
      'demo --data letters.parquet --user author --text body --epsilon 1 --out letters-demo',
    ],
  });
  const described = addTableOptions(
    command
      .optionsGroup('Table:')
      .option('--data <table>', 'Arrow, Parquet, JSONL or CSV (default: the built-in corpus)'),
  );
  addEngineOption(described)
    .optionsGroup('Guarantee:')
    .option('--epsilon <e>', 'target of the upper bound, in nats, above 0', positive('--epsilon'), 8)
    .option('--delta <d>', 'failure probability in (0, 1) (default: 1/users^1.1)', delta('--delta'))
    .option('--k <k>', 'most records per user, a whole number', count('--k'), 10)
    .optionsGroup('Output:')
    .option('--out <folder>', 'where everything goes; an earlier demo there is replaced', 'privacy-unit-demo')
    .option(
      '--quick',
      'a few steps of a tiny model: shows that everything works, not how well (default: off)',
    );
  return command.action((options: DemoCommandOptions) => deliver(options, around => demo(options, around)));
}
