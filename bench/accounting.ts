/**
 * The accounting library on eight tasks: `npm run --silent bench:accounting` prints one JSON table, each task timed in a process of its own;
 * `npm run --silent bench:accounting -- --task NAME --reps N` prints one line for one task, to be timed beside other libraries.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { tasks, type TaskAnswer } from './accounting-tasks.ts';
import { machine, median, secondsOf } from './measure.ts';

/** One line of the bench. */
interface Row extends TaskAnswer {
  readonly first_s: number;
  readonly warm_s: readonly number[];
  readonly peak_mb: number;
}

async function measure(name: string, reps: number): Promise<Row> {
  const task = tasks[name];
  if (task === undefined) throw new Error(`No task ${name}. Give one of ${Object.keys(tasks).join(', ')}.`);
  let answer: TaskAnswer = { value: 0 };
  const call = (): void => {
    answer = task.run();
  };
  const first = await secondsOf(call);
  const warm: number[] = [];
  for (let rep = 0; rep < reps; rep += 1) warm.push(await secondsOf(call));
  return { ...answer, first_s: first, warm_s: warm, peak_mb: process.resourceUsage().maxRSS / 1024 };
}

const me = fileURLToPath(import.meta.url);

/** Whole process: start, import of the built library, first answer. */
async function coldSeconds(): Promise<number> {
  const code = `
    import { epsilonOf, poissonEvent } from 'privacy-unit/accounting';
    const event = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 10000 });
    epsilonOf(event, { delta: 1e-6, neighbours: 'add-or-remove', accountant: 'exact' });`;
  const runs: number[] = [];
  for (let run = 0; run < 5; run += 1)
    runs.push(await secondsOf(() => execFileSync(process.execPath, ['--input-type=module', '-e', code])));
  return median(runs);
}

async function table(reps: number): Promise<object> {
  const rows = Object.entries(tasks).map(([name, { about }]) => {
    const args = [...process.execArgv, me, '--task', name, '--reps', String(reps)];
    const row: Row = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
    return { task: name, about, ...row, warm_s: median(row.warm_s) };
  });
  return { machine: machine(), rows, 'psg-1e4 as a whole cold process, seconds': await coldSeconds() };
}

const { values } = parseArgs({
  options: { task: { type: 'string' }, reps: { type: 'string', default: '5' } },
});
const reps = Number(values.reps);
const printed =
  values.task === undefined
    ? JSON.stringify(await table(reps), null, 2)
    : JSON.stringify(await measure(values.task, reps));
process.stdout.write(`${printed}\n`);
