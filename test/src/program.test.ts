import { describe, expect, it } from 'vitest';
import { version } from '../../src/version.ts';
import { runCli } from './support.ts';

const commands = ['epsilon', 'calibrate', 'plan', 'select', 'train', 'pretrain', 'study', 'doctor', 'demo'];

const sampling = [
  '--sampling-probability',
  '0.01',
  '--steps',
  '10',
  '--delta',
  '1e-5',
  '--neighbours',
  'add-or-remove',
];

describe('help', () => {
  it.each(commands)('%s explains itself with two examples and exit code 0', async command => {
    const { code, stdout, stderr } = await runCli(command, '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split(`  $ privacy-unit ${command}`)).toHaveLength(3);
    expect(stdout).toContain('--json');
  });

  it.each(commands)('%s gives every option a default or calls it required', async command => {
    const { stdout } = await runCli(command, '--help');
    const options = stdout
      .replace(/\n {10,}/g, ' ')
      .split('\n')
      .filter(line => /^ {2}(-\w, )?--/.test(line));
    const vague = options.filter(line => !/default: |\(required|--help/.test(line));
    expect(vague).toEqual([]);
  });

  it('the program lists its commands and exit codes', async () => {
    const { code, stdout } = await runCli('--help');
    expect(code).toBe(0);
    for (const command of commands) expect(stdout).toContain(`\n  ${command} `);
    expect(stdout).toContain('130 interrupted');
  });

  it('--version prints the version of package.json', async () => {
    expect(await runCli('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('no command at all is a usage error that shows the help', async () => {
    const { code, stdout, stderr } = await runCli();
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: privacy-unit');
  });
});

describe('usage errors end with 2 and say what to change', () => {
  const cases: [string, string[], string][] = [
    [
      'a misspelt option',
      ['epsilon', '--nois-multiplier', '1'],
      "unknown option '--nois-multiplier'. Did you mean --noise-multiplier?",
    ],
    ['a misspelt command', ['epsilom'], "unknown command 'epsilom'. Did you mean epsilon?"],
    ['a stray argument', ['epsilon', 'what'], "too many arguments for 'epsilon'"],
    ['an option without its value', ['epsilon', '--steps'], "option '--steps <n>' argument missing"],
    [
      'a missing option',
      ['epsilon', ...sampling],
      'Cannot compute epsilon: --noise-multiplier is missing. Give --noise-multiplier 1.1.',
    ],
    [
      'a missing target',
      ['calibrate', ...sampling],
      'Cannot calibrate: --epsilon is missing. Give --epsilon 8.',
    ],
    ['a missing table', ['plan', '--epsilon', '8'], 'Cannot plan: TABLE or --users is missing'],
    ['a missing argument', ['train', 'plan.json'], "missing required argument 'TABLE'"],
    [
      'a negative number',
      ['epsilon', '--noise-multiplier', '-1'],
      '--noise-multiplier is -1. Give a finite number above 0.',
    ],
    ['no number', ['epsilon', '--noise-multiplier', 'NaN'], '--noise-multiplier is "NaN".'],
    ['half a number', ['epsilon', '--noise-multiplier', '1e'], '--noise-multiplier is "1e".'],
    ['an empty number', ['epsilon', '--noise-multiplier', ''], '--noise-multiplier is "".'],
    ['a probability above 1', ['epsilon', '--sampling-probability', '1.5'], '--sampling-probability is 1.5.'],
    ['delta 1', ['epsilon', '--delta', '1'], '--delta is 1.'],
    ['part of a step', ['epsilon', '--steps', '1.5'], '--steps is 1.5.'],
    ['k = 0', ['plan', '--k', '1,0'], '--k is 0. Give a whole number of at least 1.'],
    [
      'an unknown relation',
      ['epsilon', '--neighbours', 'add'],
      '--neighbours is "add". Give one of add-or-remove, replace, zero-out.',
    ],
    ['an unknown strategy', ['plan', '--strategy', 'best'], '--strategy is "best". Give one of random'],
    [
      'a file that is not there',
      ['plan', 'absent.arrow', '--epsilon', '8', '--batch-size', '4', '--steps', '2'],
      'absent.arrow',
    ],
    [
      'a plan that is not there',
      ['train', 'absent.json', 'absent.arrow', '--out', 'nowhere'],
      'there is no file absent.json',
    ],
  ];

  it.each(cases)('%s', async (_, argv, message) => {
    const { code, stdout, stderr } = await runCli(...argv);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^Cannot [^:]+: .+[.?]\n$/);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it.each(cases)('%s, as one JSON object on stderr', async (_, argv, message) => {
    const { code, stdout, stderr } = await runCli(...argv, '--json');
    const parsed: { error: { code: string; message: string } } = JSON.parse(stderr);
    expect(Object.keys(parsed)).toEqual(['error']);
    expect(parsed.error.code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
    if (!/argument missing/.test(message)) expect(parsed.error.message).toContain(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });
});

describe('epsilon', () => {
  const argv = ['epsilon', '--noise-multiplier', '1.1', ...sampling];

  it('prints the agreed keys', async () => {
    const { code, stdout, stderr } = await runCli(...argv, '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const answer: {
      delta: number;
      epsilon: { lower: number; upper: number };
      byAccountant: { rdp: { upper: number }; pld: { lower: number; upper: number } };
      statement: string;
    } = JSON.parse(stdout);
    expect(answer.delta).toBe(1e-5);
    expect(answer.epsilon.upper).toBeGreaterThanOrEqual(answer.epsilon.lower);
    expect(answer.byAccountant.rdp.upper).toBeGreaterThanOrEqual(answer.epsilon.upper);
    expect(answer.byAccountant.pld.upper).toBeGreaterThanOrEqual(answer.byAccountant.pld.lower);
    const parts = ['0.00001', 'add-or-remove', 'Poisson', '0.01', '1.1', 'Steps', 'rdp', 'pld', version];
    for (const part of parts) expect(answer.statement).toContain(part);
  });

  it('prints the statement as text', async () => {
    const { stdout } = await runCli(...argv);
    const answer: { statement: string } = JSON.parse((await runCli(...argv, '--json')).stdout);
    expect(stdout).toBe(`${answer.statement}\n`);
  });

  it('converts to groups three ways', async () => {
    const { stdout } = await runCli(...argv, '--group-size', '4', '--json');
    const answer: { byConversion: Record<string, { upper: number | string }>; epsilon: { upper: number } } =
      JSON.parse(stdout);
    expect(Object.keys(answer.byConversion).sort()).toEqual(['lemma', 'mixture', 'rdp']);
    for (const { upper } of Object.values(answer.byConversion)) {
      expect(Number(upper)).toBeGreaterThanOrEqual(answer.epsilon.upper);
    }
  });

  it('asks one accountant where one is named', async () => {
    const { stdout } = await runCli(...argv, '--accountant', 'rdp', '--json');
    const answer: { byAccountant: object } = JSON.parse(stdout);
    expect(Object.keys(answer.byAccountant)).toEqual(['rdp']);
  });
});

describe('calibrate', () => {
  it('prints noise and an interval that keeps the target', async () => {
    const { stdout } = await runCli('calibrate', '--epsilon', '2', ...sampling, '--json');
    const answer: { noiseMultiplier: number; epsilon: { lower: number; upper: number } } = JSON.parse(stdout);
    expect(answer.noiseMultiplier).toBeGreaterThan(0);
    expect(answer.epsilon.upper).toBeLessThanOrEqual(2);
  });

  it('says so where no noise is enough', async () => {
    const far = [
      '--epsilon',
      '1e-9',
      '--delta',
      '1e-12',
      '--sampling-probability',
      '1',
      '--steps',
      '1000000',
    ];
    const { code, stderr } = await runCli('calibrate', ...far, '--neighbours', 'add-or-remove', '--json');
    const { error }: { error: { code: string } } = JSON.parse(stderr);
    expect({ code, reason: error.code }).toEqual({ code: 2, reason: 'BUDGET_UNREACHABLE' });
  });
});
