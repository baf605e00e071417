import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { readLedger } from '../../../trainer/ledger.ts';
import { runProgram } from '../../../src/program.ts';
import type { StudyFindings } from '../../../src/study/findings.ts';
import { runCli, sampleRows, temporaryFolder, writeJsonl, type Outcome } from '../support.ts';

const folder = temporaryFolder();
const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(40));
const tiny = [
  ['--layers', '1', '--width', '16', '--heads', '2', '--context', '16'],
  ['--pretraining-steps', '2', '--lora-rank', '2', '--steps', '3', '--batch-size', '8'],
  ['--evaluation-records', '2'],
].flat();
const grid = ['--epsilon', '8', '--k', '1,3', '--mechanism', 'user-wise,group-privacy', '--seeds', '1'];
const out = join(folder, 'study');
const argv = ['study', table, ...tiny, ...grid, '--out', out];
const cells = 4;
const total = cells + 2;
const patience = 240_000;

/** Runs a command line on a terminal and interrupts it as soon as something that it wrote matches. */
async function runUntil(pattern: RegExp, ...line: string[]): Promise<Outcome> {
  const interruption = new AbortController();
  const written = { stdout: '', stderr: '' };
  const code = await runProgram(line, {
    stdout: { write: text => (written.stdout += text) },
    stderr: {
      isTTY: true,
      columns: 200,
      write(text) {
        written.stderr += text;
        if (pattern.test(text)) interruption.abort();
      },
    },
    signal: interruption.signal,
  });
  return { code, ...written };
}

function resultNames(): string[] {
  return existsSync(join(out, 'results')) ? readdirSync(join(out, 'results')).sort() : [];
}

function rowsOf(csv: string): Record<string, string>[] {
  const [head, ...rows] = csv.trimEnd().split('\n');
  const names = head!.split(',');
  return rows.map(row => Object.fromEntries(row.split(',').map((value, at) => [names[at]!, value])));
}

describe('study', () => {
  it(
    'tells what it would take before it takes it',
    async () => {
      const { code, stdout } = await runCli(...argv, '--dry-run', '--json');
      expect(code).toBe(0);
      const answer: {
        cells: {
          mechanism?: string;
          k?: number;
          noiseMultiplier: number | null;
          runs: number;
          recordsPerStep: number | null;
        }[];
        estimate: { runs: number; recordGradients: number; operations: number };
      } = JSON.parse(stdout);
      expect(answer.cells).toHaveLength(total);
      expect(answer.cells.filter(cell => (cell.noiseMultiplier ?? 0) > 0)).toHaveLength(cells);
      for (const { recordsPerStep } of answer.cells.slice(1)) expect(recordsPerStep).toBeLessThanOrEqual(8);
      const gradients = answer.cells.reduce((sum, { recordsPerStep }) => sum + 3 * (recordsPerStep ?? 0), 0);
      expect(answer.estimate.recordGradients).toBe(Math.round(gradients));
      expect(answer.estimate.runs).toBe(total);
      expect(answer.estimate.operations).toBeGreaterThan(0);
      expect(existsSync(out)).toBe(false);
    },
    patience,
  );

  it(
    'stops cleanly in the middle of a run, and says how far it came',
    async () => {
      const { code, stdout, stderr } = await runUntil(/run 4 of 6.*: 1 of 3 steps/, ...argv);
      expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
      expect(stderr).toContain('interrupted with 3 of 6 runs done. Run the same command again to go on.');
      expect(resultNames()).toHaveLength(3);
    },
    patience,
  );

  it('has a report of what is done, and writes it again from the folder alone', async () => {
    const page = join(out, 'report.html');
    expect(readFileSync(page, 'utf8')).toContain('this is a report of 3 of 6 runs');
    rmSync(page);
    const { code, stdout } = await runCli('study', '--report-only', '--out', out);
    expect(code).toBe(0);
    expect(stdout).toContain('this is a report of 3 of 6 runs');
    expect(readFileSync(page, 'utf8')).toContain('this is a report of 3 of 6 runs');
    const found: StudyFindings = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
    expect(found.progress).toEqual({ done: 3, of: 6 });
    expect(found.composition.runs).toBe(2);
    const none = await runCli('study', '--report-only', '--out', join(folder, 'no-study'));
    expect({ code: none.code, told: none.stderr.includes('no study that has begun to train') }).toEqual({
      code: 2,
      told: true,
    });
  });

  it(
    'refuses another configuration, and names what changed',
    async () => {
      const before = resultNames();
      const { code, stderr } = await runCli(...argv, '--steps', '4');
      expect({ code, told: stderr.includes('--steps was 3 and is 4 now') }).toEqual({ code: 3, told: true });
      const other = writeJsonl(join(folder, 'other.jsonl'), sampleRows(41));
      expect((await runCli('study', other, ...argv.slice(2))).stderr).toContain('the table was');
      expect(resultNames()).toEqual(before);
    },
    patience,
  );

  it(
    'goes on where it stopped, and does nothing twice',
    async () => {
      const ages = resultNames().map(name => statSync(join(out, 'results', name)).mtimeMs);
      const before = resultNames();
      const cut = readdirSync(join(out, 'runs')).find(name => !before.includes(`${name}.json`))!;
      const lock = join(out, 'runs', cut, 'run.lock');
      writeFileSync(lock, JSON.stringify({ host: 'elsewhere', process: 7, started: null }));
      const refused = await runCli(...argv);
      expect({ code: refused.code, told: refused.stderr.includes('(--break-lock)') }).toEqual({
        code: 5,
        told: true,
      });
      const { code, stdout, stderr } = await runCli(...argv, '--break-lock');
      expect(code, stderr).toBe(0);
      expect(stderr).toContain('--break-lock: takes the folder from process 7 on elsewhere.');
      expect(stderr).toContain('3 of 6 runs are done');
      expect(stdout).toMatch(/\nrun +epsilon +k +strategy +noise multiplier/);
      expect(stdout).toContain('The study itself spends privacy.');
      expect(before.map(name => statSync(join(out, 'results', name)).mtimeMs)).toEqual(ages);
      expect(resultNames()).toHaveLength(total);
    },
    patience,
  );

  it('writes the same numbers as CSV, JSON and HTML', () => {
    const found: StudyFindings = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
    expect(found).toMatchObject({ format: 'privacy-unit/study', version: 1, choices: [] });
    expect(found.progress).toBeUndefined();
    expect(found.runs.map(run => run.kind)).toEqual([
      'no-fine-tuning',
      ...Array(cells).fill('private'),
      'no-privacy',
    ]);
    const rows = rowsOf(readFileSync(join(out, 'results.csv'), 'utf8'));
    expect(rows.map(row => row['run'])).toEqual(found.runs.map(run => run.name));
    expect(rows.map(row => Number(row['perplexity_by_user']))).toEqual(
      found.runs.map(run => run.perplexity.byUser),
    );
    expect(rows.slice(1, 1 + cells).map(row => Number(row['noise_multiplier']))).toEqual(
      found.runs.slice(1, 1 + cells).map(run => run.plan!.noiseMultiplier),
    );
    const { document } = parseHTML(readFileSync(join(out, 'report.html'), 'utf8'));
    expect(document.querySelectorAll('svg').length).toBe(4);
    expect(document.querySelectorAll('table')[0]!.querySelectorAll('tbody tr')).toHaveLength(total);
    expect(document.querySelectorAll('details')).toHaveLength(cells);
  });

  it('keeps each target, and counts together what all runs cost', () => {
    const found: StudyFindings = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
    const spent = found.runs.filter(run => run.kind === 'private');
    for (const { epsilon, cell, plan, statement, stepsCounted } of spent) {
      expect(plan!.targetEpsilon).toBe(cell!.epsilon);
      if (stepsCounted === plan!.steps) expect(epsilon!.upper).toBeLessThanOrEqual(cell!.epsilon);
      expect(statement!.epsilon).toEqual(epsilon);
    }
    const largest = Math.max(...spent.map(({ epsilon }) => epsilon!.upper));
    const added = spent.reduce((sum, { epsilon }) => sum + epsilon!.upper, 0);
    expect(found.composition.added.epsilon).toBeCloseTo(added, 9);
    expect(found.composition.epsilon!.upper).toBeGreaterThan(largest);
    expect(found.composition.epsilon!.upper).toBeLessThan(added);
  });

  it('keeps ledger, plan and statement of every private run, and no model', () => {
    const places = readdirSync(join(out, 'runs'));
    expect(places).toHaveLength(cells);
    for (const place of places) {
      const kept = readdirSync(join(out, 'runs', place));
      expect(kept).toEqual(
        expect.arrayContaining(['ledger.jsonl', 'plan.json', 'statement.json', 'statement.txt']),
      );
      expect(kept).not.toContain('model');
      expect(kept).not.toContain('checkpoint.bin');
      expect(readLedger(join(out, 'runs', place, 'ledger.jsonl')).at(-1)!.kind).toBe('finished');
    }
  });

  it('evaluates every run on the same text', () => {
    const found: StudyFindings = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
    const shapes = found.runs.map(({ perplexity: { users, records, tokens } }) =>
      [users, records, tokens].join(),
    );
    expect(new Set(shapes).size).toBe(1);
    expect(found.runs[0]!.perplexity.users).toBe(found.population.heldOutUsers);
  });

  it(
    'takes more repetitions later, and then has intervals',
    async () => {
      const { code, stderr } = await runCli(...argv, '--seeds', '2', '--json');
      expect(code, stderr).toBe(0);
      const found: StudyFindings = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
      expect(found.runs).toHaveLength(11);
      expect(found.summaries.map(summary => summary.runs)).toEqual([1, ...Array(5).fill(2)]);
      expect(found.summaries[1]!.perplexity.byUser.interval).not.toBeNull();
      expect(found.notes.join(' ')).toContain('two runs of each cell are too few');
    },
    patience,
  );
});

describe('study, when a process ends between training and its result', () => {
  it(
    'takes the trained model instead of training again',
    async () => {
      const place = join(folder, 'cut-off');
      const line = ['study', table, ...tiny, '--epsilon', '8', '--k', '2', '--mechanism', 'user-wise'];
      const once = [...line, '--seeds', '1', '--keep-models', '--out', place];
      expect((await runCli(...once)).code).toBe(0);
      const name = 'user-wise-epsilon8-k2-random-run1';
      const result = join(place, 'results', `${name}.json`);
      const ledger = join(place, 'runs', name, 'ledger.jsonl');
      const before = {
        result: JSON.parse(readFileSync(result, 'utf8')),
        ledger: readFileSync(ledger, 'utf8'),
      };
      rmSync(result);
      expect((await runCli(...once)).code).toBe(0);
      const after = JSON.parse(readFileSync(result, 'utf8'));
      expect(readFileSync(ledger, 'utf8')).toBe(before.ledger);
      expect(after.perplexity).toEqual(before.result.perplexity);
      expect(after.epsilon).toEqual(before.result.epsilon);
    },
    patience,
  );
});

describe('study over strategies', () => {
  it(
    'ranks by the starting model, cuts blocks, and draws anew where users are sampled',
    async () => {
      const place = join(folder, 'strategies');
      const line = ['study', table, ...tiny, '--epsilon', '8', '--k', '2', '--seeds', '1', '--out', place];
      const rules = [
        '--steps',
        '1',
        '--strategy',
        'highest-perplexity,random-chunk',
        '--chunk-tokens',
        '8',
        '--draw',
        'per-draw',
      ];
      const { code, stderr } = await runCli(...line, ...rules, '--json');
      expect(code, stderr).toBe(0);
      const found: StudyFindings = JSON.parse(readFileSync(join(place, 'results.json'), 'utf8'));
      const drawn = found.runs.flatMap(({ plan }) =>
        plan === null ? [] : [`${plan.selection.strategy} ${plan.mechanism} ${plan.selection.when}`],
      );
      expect(drawn).toEqual([
        'highest-perplexity group-privacy once',
        'highest-perplexity user-wise once',
        'random-chunk group-privacy once',
        'random-chunk user-wise per-draw',
      ]);
      const shapes = found.runs.map(({ perplexity: { users, records, tokens } }) =>
        [users, records, tokens].join(),
      );
      expect(new Set(shapes).size).toBe(1);
    },
    patience,
  );
});

describe('study over settings and samplers', () => {
  it(
    'tries all settings once, goes on with the best by some held-out users, and evaluates on the others',
    async () => {
      const place = join(folder, 'settings');
      const line = ['study', table, ...tiny, '--epsilon', '8', '--k', '1', '--mechanism', 'user-wise'];
      const tried = [
        '--learning-rate',
        '1e-9,0.5',
        '--clip-norm',
        '0.25,1',
        '--held-out',
        '0.3',
        '--steps',
        '2',
      ];
      const whole = [...line, ...tried, '--seeds', '2', '--out', place];
      const planned = await runCli(...whole, '--dry-run', '--json');
      const { estimate, laterRuns } = JSON.parse(planned.stdout);
      expect({ runs: estimate.runs, laterRuns }).toEqual({ runs: 1 + (4 + 2) + (1 + 1), laterRuns: 2 });
      const { code, stderr, stdout } = await runCli(...whole);
      expect(code, stderr).toBe(0);
      expect(stdout).toContain('the best of 4 tried.');
      const found: StudyFindings = JSON.parse(readFileSync(join(place, 'results.json'), 'utf8'));
      expect(found.runs).toHaveLength(9);
      expect(found.choices.map(choice => [choice.kind, choice.tried.length])).toEqual([
        ['private', 4],
        ['no-privacy', 2],
      ]);
      const { population, runs } = found;
      const { users } = runs[0]!.perplexity;
      expect(users + population.validationUsers!).toBe(population.heldOutUsers);
      const spent = runs.filter(run => run.kind === 'private');
      const best = Math.min(...spent.slice(0, 4).map(run => run.validation!));
      const [choice] = found.choices;
      expect(choice!.tried.find(setting => setting.validation === best)).toMatchObject(choice!.chosen);
      expect(spent.filter(run => run.repetition === 2).map(run => run.setting)).toEqual([choice!.chosen]);
      for (const { plan, setting, statement } of spent) {
        expect(plan!.clipNorm).toBe(setting!.clipNorm);
        expect(statement!.warnings[0]).toContain('one of 4 settings that a study tried on the same users');
      }
      expect(found.composition.runs).toBe(5);
      expect(found.summaries.map(({ runs: count }) => count)).toEqual([1, 2, 2]);
      const again = await runCli(...whole);
      expect({ code: again.code, told: again.stderr.includes('9 of 9 runs are done') }).toEqual({
        code: 0,
        told: true,
      });
    },
    patience,
  );

  it(
    'samples in the ways that are asked for, and leaves out what nothing is proved of',
    async () => {
      const place = join(folder, 'samplers');
      const line = ['study', table, ...tiny, '--epsilon', '8', '--k', '2', '--seeds', '1', '--steps', '1'];
      const sampled = ['--sampler', 'poisson,truncated-poisson', '--batch-limit', '16', '--out', place];
      const { code, stderr } = await runCli(...line, ...sampled);
      expect(code, stderr).toBe(0);
      const found: StudyFindings = JSON.parse(readFileSync(join(place, 'results.json'), 'utf8'));
      expect(
        found.runs.flatMap(({ plan, name }) => (plan === null ? [] : [`${name} ${plan.sampler.kind}`])),
      ).toEqual([
        'group-privacy-epsilon8-k2-random-run1 poisson',
        'user-wise-epsilon8-k2-random-run1 poisson',
        'user-wise-epsilon8-k2-random-truncated-poisson-run1 truncated-poisson',
      ]);
      expect(found.notes.join(' ')).toContain('nothing is proved of groups under truncated-poisson');
    },
    patience,
  );
});

describe('study refuses', () => {
  const cases: [string, string[], string][] = [
    ['a mechanism that there is not', ['--mechanism', 'local'], '--mechanism is "local"'],
    ['an epsilon of 0', ['--epsilon', '8,0'], '--epsilon is 0'],
    ['no seeds', ['--seeds', '0'], '--seeds is 0'],
    ['blocks without a length', ['--strategy', 'random-chunk'], '--chunk-tokens is missing'],
    ['a shuffle, of which no bound is proved', ['--sampler', 'shuffled'], '--sampler is "shuffled"'],
    ['truncated draws without a limit', ['--sampler', 'truncated-poisson'], '--batch-limit is missing'],
    ['a limit that nothing has', ['--batch-limit', '16'], 'without --sampler truncated-poisson'],
    [
      'groups alone where nothing is proved of them',
      ['--sampler', 'truncated-poisson', '--batch-limit', '16', '--k', '3', '--mechanism', 'group-privacy'],
      'nothing is proved under truncated-poisson',
    ],
    [
      'a choice with one held-out user',
      ['--clip-norm', '0.5,1', '--held-out', '0.05'],
      'too few to choose settings by some',
    ],
    ['a model that is not there', ['--model', '/nowhere'], '/nowhere'],
    ['nobody to evaluate on', ['--held-out', '0'], 'are kept for evaluation'],
  ];
  it.each(cases)('%s', async (_, extra, told) => {
    const { code, stderr } = await runCli(...argv, '--out', join(folder, 'refused'), ...extra);
    expect({ code, told: stderr.includes(told) }, stderr).toEqual({ code: 2, told: true });
  });

  it(
    'a table that is not there, and one that was selected already',
    async () => {
      expect((await runCli('study', join(folder, 'none.jsonl'), '--out', join(folder, 'refused'))).code).toBe(
        2,
      );
      const selected = join(folder, 'selected.arrow');
      expect(
        (await runCli('select', table, '--strategy', 'random', '--k', '2', '--out', selected)).code,
      ).toBe(0);
      const { code, stderr } = await runCli('study', selected, '--out', join(folder, 'refused'));
      expect({ code, told: stderr.includes('was selected already') }).toEqual({ code: 2, told: true });
    },
    patience,
  );

  it(
    'a folder that holds something else',
    async () => {
      const { code } = await runCli(...argv, '--out', folder);
      expect(code).toBe(5);
    },
    patience,
  );
});

describe('study without a table', () => {
  it(
    'plans for the built-in corpus',
    async () => {
      const { code, stdout } = await runCli('study', '--dry-run', '--out', join(folder, 'none'));
      expect(code).toBe(0);
      expect(stdout).toContain('Built-in sample corpus');
      expect(stdout).toContain('Nothing was trained and nothing was written.');
    },
    patience,
  );
});
