import { cpus } from 'node:os';

/** Median of some timings. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Seconds of one call. */
export async function secondsOf(call: () => unknown): Promise<number> {
  const start = performance.now();
  await call();
  return (performance.now() - start) / 1000;
}

/** The first call and the median of those after it, in seconds. */
export async function timed(
  call: () => unknown,
  options: { repeats: number },
): Promise<{ first: number; warm: number }> {
  const first = await secondsOf(call);
  const warm: number[] = [];
  for (let repeat = 0; repeat < options.repeats; repeat += 1) warm.push(await secondsOf(call));
  return { first, warm: median(warm) };
}

/** Two calls in turn, so that both see the same machine; medians in seconds and their ratio. */
export async function sideBySide(
  calls: { one: () => unknown; other: () => unknown },
  options: { repeats: number },
): Promise<{ one: number; other: number; ratio: number }> {
  const one: number[] = [];
  const other: number[] = [];
  await calls.one();
  await calls.other();
  for (let repeat = 0; repeat < options.repeats; repeat += 1) {
    one.push(await secondsOf(calls.one));
    other.push(await secondsOf(calls.other));
  }
  return { one: median(one), other: median(other), ratio: median(one) / median(other) };
}

/** What a reader must know beside a timing. */
export function machine(): string {
  const list = cpus();
  return `${list[0]?.model.trim() ?? 'unknown processor'}, ${list.length} cores, Node ${process.versions.node}`;
}

/** Medians of a call's seconds: of the processor (user and system, all threads) and of the clock. */
export interface Seconds {
  readonly cpu: number;
  readonly wall: number;
}

/** What is timed; it may bring its own seconds, as one in another process does. */
export type Call = () => Promise<Seconds | void>;

/**
 * Several calls in turn, each repeat starting with another one, after one round that doesn't count.
 *
 * Processor seconds are what to compare on a machine that others use too.
 */
export async function inTurn<Name extends string>(
  calls: ReadonlyMap<Name, Call>,
  options: { repeats: number },
): Promise<ReadonlyMap<Name, Seconds>> {
  const entries = [...calls];
  const taken = entries.map(([name, call]) => ({ name, call, cpu: [] as number[], wall: [] as number[] }));
  for (let repeat = -1; repeat < options.repeats; repeat += 1) {
    for (let turn = 0; turn < taken.length; turn += 1) {
      const task = taken[(turn + repeat + 1) % taken.length]!;
      const { cpu, wall } = await secondsUsed(task.call);
      if (repeat < 0) continue;
      task.cpu.push(cpu);
      task.wall.push(wall);
    }
  }
  return new Map(taken.map(({ name, cpu, wall }) => [name, { cpu: median(cpu), wall: median(wall) }]));
}

/** Seconds of a call, measured here unless it brings its own. */
async function secondsUsed(call: Call): Promise<Seconds> {
  const [cpu, wall] = [process.cpuUsage(), performance.now()];
  const own = await call();
  const { user, system } = process.cpuUsage(cpu);
  return own ?? { cpu: (user + system) / 1e6, wall: (performance.now() - wall) / 1000 };
}
