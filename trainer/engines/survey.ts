import { findGpus, type Gpus } from './hardware.ts';
import { firstLine, installAdvice, openProven, type EngineName } from './open.ts';

/** Whether an engine works on this machine. */
export interface EngineReport {
  readonly name: EngineName;
  readonly works: boolean;
  /** The engine's own name, which says what it runs on; null where it doesn't work. */
  readonly engine: string | null;
  /** Largest relative error of a small training step against exact numbers. */
  readonly largestError: number | null;
  /** Of loading, compiling and the check together. */
  readonly seconds: number;
  /** Why it doesn't work. */
  readonly reason: string | null;
  /** The line that would make it work. */
  readonly install: string | null;
}

/** Why an engine isn't worth trying on a machine. */
function obstacle(name: EngineName, { nvidia, seen }: Gpus): string | undefined {
  if (name === 'cuda' && !nvidia) return 'no NVIDIA driver is seen under /proc or /dev';
  if (name === 'webgpu' && seen.length === 0) {
    return 'no graphics processor is seen under /proc, /dev or /sys, and software would take 30 times as long as the processor';
  }
  return undefined;
}

function broken(name: EngineName, { reason, seconds }: { reason: string; seconds: number }): EngineReport {
  const install = installAdvice(name);
  return { name, works: false, engine: null, largestError: null, seconds, reason, install };
}

/**
 * Opens an engine, compiles a small training step on it, runs it and compares the numbers with exact ones.
 *
 * @param options - force: tries a GPU's engine even where no GPU is seen
 * @returns never fails: what goes wrong is the report's reason
 * @example
 * ```ts
 * (await examineEngine('onnxruntime-node')).works; // true
 * ```
 */
export async function examineEngine(
  name: EngineName,
  options: { force?: boolean; threads?: number; gpus?: Gpus } = {},
): Promise<EngineReport> {
  const { force = false, threads = 2, gpus = findGpus() } = options;
  const reason = force ? undefined : obstacle(name, gpus);
  if (reason !== undefined) return broken(name, { reason, seconds: 0 });
  const start = performance.now();
  const seconds = (): number => (performance.now() - start) / 1000;
  try {
    const { engine, largestError } = await openProven(name, { threads });
    const install = null;
    return {
      name,
      works: true,
      engine: engine.name,
      largestError,
      seconds: seconds(),
      reason: null,
      install,
    };
  } catch (error) {
    return broken(name, { reason: firstLine(error), seconds: seconds() });
  }
}
