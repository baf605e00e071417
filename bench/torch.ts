import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Seconds } from './measure.ts';
import { adapters, type BenchModel } from './trainer-models.ts';

/** Without privacy, and two ways of clipping per example. */
export const torchSteps = ['plain', 'batch-axis', 'vmap'] as const;

/** PyTorch in a process of its own, one step at a time. */
export interface TorchSteps {
  readonly version: string;
  run(step: (typeof torchSteps)[number]): Promise<Seconds>;
  close(): void;
}

const script = fileURLToPath(new URL('per_example.py', import.meta.url));

/** Settings for other processors make OpenBLAS slow; one thread, as ours. */
function environment(): NodeJS.ProcessEnv {
  const { OPENBLAS_CORETYPE: _core, OPENBLAS_L2_SIZE: _cache, ...rest } = process.env;
  return { ...rest, OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1' };
}

/** Starts PyTorch on a model of the same size with the same adapters; null where Python has no torch. */
export async function openTorch({ config, rows, tokens }: BenchModel): Promise<TorchSteps | null> {
  const { vocabularySize, layers, width, heads, contextLength } = config;
  const { rank, alpha } = adapters;
  const size = {
    vocabulary: vocabularySize,
    context: contextLength,
    layers,
    width,
    heads,
    rows,
    tokens,
    rank,
    alpha,
  };
  for (const python of ['python3', '/usr/bin/python3']) {
    const child = spawn(python, [script, JSON.stringify(size)], {
      env: environment(),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await Promise.race([
      lines.next(),
      once(child, 'error').then(() => ({ done: true as const })),
    ]);
    if (first.done === true) continue;
    const { torch }: { torch: string } = JSON.parse(first.value);
    return {
      version: torch,
      async run(step): Promise<Seconds> {
        child.stdin.write(`${step}\n`);
        const line = await lines.next();
        const seconds: Seconds = JSON.parse(String(line.value));
        return seconds;
      },
      close: () => child.stdin.end(),
    };
  }
  return null;
}
