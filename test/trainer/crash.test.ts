import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epsilonOfPlan } from '../../accounting/plan-entry.ts';
import { readLedger } from '../../trainer/ledger.ts';
import { train } from '../../trainer/train.ts';
import { root } from '../support/sources.ts';
import { crashRun } from './crash-child.ts';

const home = mkdtempSync(join(tmpdir(), 'crash-'));
const child = join(home, 'child.mjs');

beforeAll(async () => {
  copyFileSync(`${root}package.json`, join(home, 'package.json'));
  symlinkSync(`${root}node_modules`, join(home, 'node_modules'));
  const entryPoints = [`${root}test/trainer/crash-child.ts`];
  const options = { platform: 'node', format: 'esm', packages: 'external', logLevel: 'error' } as const;
  await build({ entryPoints, outfile: child, bundle: true, ...options });
});

afterAll(() => rmSync(home, { recursive: true }));

/** When a life ends: so many milliseconds after its first step has begun, or after its start; never where absent. */
interface Death {
  readonly after: 'start' | 'first step';
  readonly milliseconds: number;
}

interface Kind {
  readonly steps: number;
  /** Whether its clip adapts. */
  readonly adapts: boolean;
}

/** One life of the run; true where it came to its end. */
function live(folder: string, options: Kind & { death?: Death }): Promise<boolean> {
  const { steps, adapts, death } = options;
  const running = spawn(process.execPath, [child, folder, String(steps), adapts ? 'adaptive' : 'fixed'], {
    env: { ...process.env, CRASH_CHILD: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  running.stderr.on('data', text => (errors += String(text)));
  const kill = (): void => void setTimeout(() => running.kill('SIGKILL'), death?.milliseconds);
  if (death?.after === 'start') kill();
  if (death?.after === 'first step') running.stdout.once('data', kill);
  return new Promise((resolve, reject) => {
    running.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(false);
      else if (code === 0) resolve(true);
      else reject(new Error(`the run ended with code ${code}: ${errors}`));
    });
  });
}

/** Whole numbers that look random, the same every time. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}

interface Survivor extends Kind {
  readonly folder: string;
  readonly kills: number;
  readonly key: Uint8Array;
}

/** Kills a run at random points, so often unless it is over before, then lets it end. */
async function killAndLive(
  folder: string,
  options: Kind & { kills: number; random: Iterator<number, never> },
): Promise<Survivor> {
  const { steps, adapts, random } = options;
  let key = new Uint8Array(0);
  for (let kills = 0; ; kills += 1) {
    const isLast = kills === options.kills;
    const after = kills % 6 === 5 ? 'start' : 'first step';
    const milliseconds = random.next().value % (after === 'start' ? 500 : 60);
    const hasEnded = await live(
      folder,
      isLast ? { steps, adapts } : { steps, adapts, death: { after, milliseconds } },
    );
    if (hasEnded) return { folder, steps, adapts, kills, key };
    const kept = join(folder, 'secret.key');
    if (existsSync(kept)) key = new Uint8Array(readFileSync(kept));
  }
}

/** Kills runs until there were so many deaths, each run in a folder of its own. */
async function killAll(name: string, options: Kind & { kills: number }): Promise<Survivor[]> {
  const random = numbers(name.length);
  const survivors: Survivor[] = [];
  for (let left = options.kills; left > 0; left -= survivors.at(-1)!.kills) {
    const folder = join(home, `${name}-${survivors.length}`);
    survivors.push(await killAndLive(folder, { ...options, kills: left, random }));
  }
  return survivors;
}

async function expectTwin({ folder, steps, adapts, kills, key }: Survivor): Promise<void> {
  const options = await crashRun(steps, { adapts });
  const whole = await train({ ...options, folder: `${folder}-whole`, randomness: { key } });
  const entries = readLedger(join(folder, 'ledger.jsonl'));
  const noised = entries.filter(entry => entry.kind === 'noised');
  expect(noised.map(entry => entry.step)).toEqual(Array.from({ length: steps }, (_, step) => step));
  expect(noised.every(entry => entry.attempt === 0)).toBe(true);
  const modelOf = (of: string): Buffer => readFileSync(join(of, 'model', 'model.safetensors'));
  expect(modelOf(folder).equals(modelOf(`${folder}-whole`))).toBe(true);
  const clips = noised.map(({ clipNorm }) => clipNorm);
  expect(new Set(clips).size > 1).toBe(adapts);
  const twin = readLedger(join(`${folder}-whole`, 'ledger.jsonl'));
  expect(clips).toEqual(twin.flatMap(entry => (entry.kind === 'noised' ? [entry.clipNorm] : [])));
  const last = twin.at(-1);
  expect(entries.at(-1)).toEqual(last);
  expect(last).toMatchObject({ kind: 'finished', stepsCounted: steps });
  expect(whole.epsilon).toEqual(epsilonOfPlan(options.plan).epsilon);
  // Some are killed before they have opened the ledger.
  expect(entries.filter(entry => entry.kind === 'resumed').length).toBeGreaterThan(kills / 2);
  expect(readdirSync(folder).toSorted()).toEqual(['checkpoint.bin', 'ledger.jsonl', 'model']);
}

describe('a run that is killed with SIGKILL', () => {
  it('ends after 50 kills at random points as the run that was never killed, and spends no more', async () => {
    const steps = 250;
    const all = await Promise.all([
      killAll('a', { kills: 25, steps, adapts: false }),
      killAll('bb', { kills: 25, steps, adapts: true }),
    ]);
    for (const survivor of all.flat()) await expectTwin(survivor);
  }, 600_000);
});
