/**
 * Audits in seconds of processor time: `npm run --silent bench:audit` prints one JSON object. `-- --claims 50` takes another number of
 * random claims; `-- --one FILE` and `-- --seed N` time one claim in this process, which is what the others are timed by.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { auditClaim, auditScores, type CanaryScore } from '../accounting/audit/index.ts';
import { readClaimFile } from '../src/audit/claim-file.ts';
import { randomClaim } from './audit-claims.ts';
import { machine, median } from './measure.ts';

/** From the root, where npm starts scripts: this file runs as a bundle elsewhere. */
const folder = 'bench/claims';
const me = fileURLToPath(import.meta.url);

/** Processor seconds of a call, and what it says. */
interface Timing {
  readonly cpu_s: number;
  readonly verdict: string;
}

function timed(call: () => { readonly detail: string }): Timing {
  const start = process.cpuUsage();
  const { detail } = call();
  const { user, system } = process.cpuUsage(start);
  return { cpu_s: (user + system) / 1e6, verdict: detail };
}

/** In a process of its own, as the command line would. */
function cold(args: readonly string[]): Timing {
  const timing: Timing = JSON.parse(execFileSync(process.execPath, [me, ...args], { encoding: 'utf8' }));
  return timing;
}

/** 100,000 canaries put in by fair coins, whose scores are those of a run with an epsilon of about 2. */
function canaryScores(): CanaryScore[] {
  let state = 1;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 4294967296;
  };
  const normal = (): number => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return Array.from({ length: 100_000 }, (_, canary) => {
    const included = uniform() < 0.5;
    return { canary: String(canary), included, score: normal() + (included ? 0.5 : 0) };
  });
}

function randomClaims(count: number): object {
  const rows = Array.from({ length: count }, (_, seed) => ({ seed, ...cold(['--seed', String(seed)]) }));
  const sorted = rows.toSorted((a, b) => a.cpu_s - b.cpu_s);
  const worst = sorted.at(-1)!;
  const seconds = sorted.map(row => row.cpu_s);
  return {
    count,
    median_s: median(seconds),
    p99_s: seconds[Math.min(count - 1, Math.floor(0.99 * count))],
    most_s: worst.cpu_s,
    worst: { ...worst, claim: randomClaim(worst.seed) },
  };
}

function scores(): object {
  const rows = canaryScores();
  const claim = { epsilon: 1, delta: 1e-6 };
  const methods = ['one-run', 'f-dp', 'rates'] as const;
  return Object.fromEntries([
    ['default', timed(() => auditScores(rows, claim))],
    ...methods.map(method => [method, timed(() => auditScores(rows, { ...claim, method }))]),
  ]);
}

function table(count: number): object {
  const names = readdirSync(folder).filter(name => name.endsWith('.yaml'));
  const published = names.map(name => [name, cold(['--one', `${folder}/${name}`])]);
  return {
    machine: machine(),
    'published claims, each in a process of its own': Object.fromEntries(published),
    'random claims': randomClaims(count),
    'scores of 100,000 canaries': scores(),
  };
}

const { values } = parseArgs({
  options: { one: { type: 'string' }, seed: { type: 'string' }, claims: { type: 'string', default: '200' } },
});

function answer({ one, seed, claims }: typeof values): object {
  if (seed !== undefined) return timed(() => auditClaim(randomClaim(Number(seed))));
  if (one === undefined) return table(Number(claims));
  const { claim } = readClaimFile(one);
  return timed(() => auditClaim(claim));
}

process.stdout.write(`${JSON.stringify(answer(values), null, 2)}\n`);
