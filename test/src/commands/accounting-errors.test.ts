import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runCli, temporaryFolder } from '../support.ts';

const folder = temporaryFolder();

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

mkdirSync(join(folder, 'folder'));
const nested = '{"kind":"repeated","count":1,"event":'.repeat(20_000);
const gaussian = file('gaussian.json', '{"kind":"gaussian","noiseMultiplier":1}');
const files: Readonly<Record<string, string>> = {
  ABSENT: join(folder, 'absent.json'),
  FOLDER: join(folder, 'folder'),
  BROKEN: file('broken.json', '{"kind": "gaussian",'),
  DEEP: file('deep.json', `${nested}1${'}'.repeat(20_000)}`),
  UNKNOWN: file('unknown.json', '{"kind":"gausian","noiseMultiplier":1}'),
  SILENT: file('silent.json', '{"kind":"gaussian","noiseMultiplier":0}'),
};
const asked = '--delta 1e-6 --neighbours add-or-remove';
const run = '--noise-multiplier 1 --sampling-probability 0.01 --steps 100';
const none = '--sampling none --noise-multiplier 1';
const fixed = '--sampling fixed-size --noise-multiplier 1 --steps 1 --dataset-size 10';
const bins = '--sampling balls-in-bins --noise-multiplier 1 --steps 5';
const given = `--event ${gaussian}`;
const solve = `calibrate --epsilon 2 ${asked} --solve`;

type Case = readonly [line: string, message: string];

const outOfRange: readonly Case[] = [
  ['epsilon --noise-multiplier 0', '--noise-multiplier is 0.'],
  ['delta --noise-multiplier -1', '--noise-multiplier is -1.'],
  ['risk --noise-multiplier NaN', '--noise-multiplier is "NaN".'],
  ['epsilon --sampling-probability 0', '--sampling-probability is 0.'],
  ['risk --sampling-probability 1.01', '--sampling-probability is 1.01.'],
  ['delta --steps 1.5', '--steps is 1.5.'],
  ['epsilon --steps 9007199254740992', '--steps is 9007199254740992.'],
  ['epsilon --steps 1e300', '--steps is 1e+300.'],
  ['epsilon --epochs 9007199254740992', '--epochs is 9007199254740992.'],
  ['epsilon --dataset-size 0', '--dataset-size is 0.'],
  ['epsilon --batch-size 2.5', '--batch-size is 2.5.'],
  ['epsilon --max-batch 0', '--max-batch is 0.'],
  ['epsilon --delta 0', '--delta is 0.'],
  ['calibrate --delta 1', '--delta is 1.'],
  ['delta --epsilon -1', '--epsilon is -1.'],
  ['delta --epsilon NaN', '--epsilon is "NaN".'],
  ['epsilon --gap 0', '--gap is 0. Give a finite number above 0.'],
  ['risk --fpr 0.1,0', '--fpr is 0.'],
  ['risk --fpr 1', '--fpr is 1.'],
  ['risk --fpr ,', '--fpr is "".'],
  ['risk --prior 1', '--prior is 1.'],
  ['epsilon --sampling uniform', '--sampling is "uniform". Give one of poisson,'],
  ['epsilon --shuffle-order once', '--shuffle-order is "once".'],
  ['epsilon --accountant prv', '--accountant is "prv". Give one of rdp, pld, exact, gdp, all.'],
  ['calibrate --solve delta', '--solve is "delta".'],
  ['delta --epsilon 1 --event UNKNOWN', 'kind is "gausian". Give one of gaussian,'],
  ['risk --event SILENT', 'noiseMultiplier is 0.'],
  [`epsilon ${fixed} --batch-size 11 ${asked}`, 'batchSize 11 exceeds datasetSize 10.'],
];

const unused: readonly Case[] = [
  [`risk ${given} --noise-multiplier 1`, '--noise-multiplier is not used with --event'],
  [`risk ${given} --sampling none`, '--sampling is not used with --event'],
  [`epsilon ${given} --steps 2`, '--steps is not used with --event'],
  [`delta ${given} --group-size 2`, '--group-size is not used with --event'],
  [
    `epsilon ${none} --sampling-probability 1`,
    '--sampling-probability is not used with --sampling none. Leave it out, or give --sampling poisson or truncated-poisson.',
  ],
  [`epsilon ${none} --group-size 2`, '--group-size is not used with --sampling none.'],
  [`epsilon ${run} --batch-size 10`, 'with --sampling poisson. Leave it out, or give --sampling fixed-size.'],
  [`epsilon ${run} --epochs 2`, '--epochs is not used with --sampling poisson.'],
  [`epsilon ${fixed} --max-batch 5`, '--max-batch is not used with --sampling fixed-size.'],
  [
    `epsilon ${bins} --shuffle-order persistent`,
    '--shuffle-order is not used with --sampling balls-in-bins.',
  ],
  ['risk --sampling shuffle --dataset-size 9', '--dataset-size is not used with --sampling shuffle.'],
  [`epsilon ${run} ${asked} --accountant gdp --check`, '--check compares bounds'],
  [`${solve} steps ${run}`, '--steps is not used with --solve steps. Leave it out.'],
  [`${solve} noise-multiplier ${run}`, '--noise-multiplier is not used with --solve noise-multiplier.'],
  [`${solve} sampling-probability ${run}`, '--sampling-probability is not used with'],
];

const missing: readonly Case[] = [
  [`epsilon --sampling-probability 0.1 --steps 1 ${asked}`, '--noise-multiplier is missing.'],
  [`epsilon --noise-multiplier 1 --steps 1 ${asked}`, '--sampling-probability is missing.'],
  [`epsilon ${none} ${asked}`, '--steps is missing. Give --steps 1000.'],
  [`epsilon ${run} --neighbours replace`, '--delta is missing.'],
  [`epsilon ${run} --delta 0.1`, '--neighbours is missing.'],
  [`delta ${run} --neighbours replace`, '--epsilon is missing.'],
  [`risk ${run}`, '--neighbours is missing.'],
  [`epsilon ${fixed} ${asked}`, '--batch-size is missing.'],
  [`epsilon --sampling truncated-poisson ${run} ${asked}`, '--dataset-size is missing.'],
  [`epsilon --sampling truncated-poisson ${run} --dataset-size 9 ${asked}`, '--max-batch is missing.'],
  [`${solve} batch-size --noise-multiplier 1 --steps 1`, '--dataset-size is missing.'],
];

const others: readonly (readonly [code: string, ...Case])[] = [
  ['MISSING_FILE', `epsilon --event ABSENT ${asked}`, 'absent.json cannot be read (ENOENT).'],
  ['MISSING_FILE', `epsilon --event FOLDER ${asked}`, 'cannot be read (EISDIR).'],
  ['INVALID_DATA', `epsilon --event BROKEN ${asked}`, 'broken.json is not JSON. Mend it.'],
  ['INVALID_DATA', `epsilon --event DEEP ${asked}`, 'deep.json nests too many events'],
  [
    'UNSUPPORTED_EVENT',
    `epsilon ${bins} --delta 0.1 --neighbours replace`,
    'Use add-or-remove or zero-out neighbours.',
  ],
  ['UNSUPPORTED_EVENT', `risk --sampling shuffle --noise-multiplier 1 --steps 9 --neighbours zero-out`, ''],
  [
    'BUDGET_UNREACHABLE',
    `${solve} steps --noise-multiplier 0.1 --sampling-probability 0.5`,
    'one step gives',
  ],
];

const invalid = [...outOfRange, ...unused, ...missing].map(each => ['INVALID_ARGUMENT', ...each] as const);

it.each([...invalid, ...others])(
  'ends with 2, one error %s and nothing on standard output: %s',
  async (code, line, message) => {
    const argv = line.split(' ').map(word => files[word] ?? word);
    const text = await runCli(...argv);
    expect(text.stderr).toMatch(/^Cannot [^:]+: .+[.?]\n$/);
    expect(text.stderr).toContain(message);
    expect([text.code, text.stdout]).toEqual([2, '']);
    const json = await runCli(...argv, '--json');
    expect([json.code, json.stdout]).toEqual([2, '']);
    expect(JSON.parse(json.stderr)).toEqual({ error: { code, message: text.stderr.trimEnd() } });
  },
);
