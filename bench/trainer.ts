/**
 * What privacy costs a step: `npm run --silent bench:trainer` prints one JSON table, each task in a process of its own, the steps of a task
 * in turn in that process; `npm run --silent bench:trainer -- --task NAME` prints one task.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { machine } from './measure.ts';
import { tasks } from './trainer-tasks.ts';

const me = fileURLToPath(import.meta.url);

async function measure(name: string): Promise<object> {
  const task = tasks[name];
  if (task === undefined) throw new Error(`No task ${name}. Give one of ${Object.keys(tasks).join(', ')}.`);
  return { task: name, about: task.about, ...(await task.run()) };
}

function inProcess(task: string): object {
  const args = ['--expose-gc', ...process.execArgv, me, '--task', task];
  const row: object = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  return row;
}

function table(): object {
  const names = Object.keys(tasks).filter(name => tasks[name]!.onRequest !== true);
  return { machine: machine(), rows: names.map(inProcess) };
}

const { values } = parseArgs({ options: { task: { type: 'string' } } });
const printed = values.task === undefined ? table() : await measure(values.task);
process.stdout.write(`${JSON.stringify(printed, null, 2)}\n`);
