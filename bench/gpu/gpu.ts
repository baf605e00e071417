import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Engine } from '../../trainer/engines/engine.ts';
import { findGpus } from '../../trainer/engines/hardware.ts';
import { defaultEngines, engineNames, openEngine, type EngineName } from '../../trainer/engines/open.ts';
import { checkEngine } from '../../trainer/engines/probe.ts';
import type { ModelSpec } from '../../trainer/model/gpt.ts';
import { machine } from '../measure.ts';
import { pack } from './pack.ts';
import { gradientError, modelSize, productRate, stepTimes } from './tasks.ts';

const { values: options } = parseArgs({
  options: {
    pack: { type: 'string' },
    engine: { type: 'string' },
    small: { type: 'boolean', default: false },
    repeats: { type: 'string', default: '10' },
  },
});

const lora = { rank: 8, alpha: 16, targets: ['attn.c_attn'] } as const;
const tiny = { vocabularySize: 257, contextLength: 128, layers: 4, width: 128, heads: 4 };
const gpt2Small = { vocabularySize: 50_257, contextLength: 1024, layers: 12, width: 768, heads: 12 };

const sizes = options.small
  ? { config: { ...tiny, layers: 1, width: 32 }, products: [64], rows: 2, tokens: 16 }
  : { config: gpt2Small, products: [1024, 4096], rows: 4, tokens: 128 };

async function measure(engine: Engine, processor: Engine): Promise<object> {
  const repeats = Number(options.repeats);
  const shape = { units: 4, rowsPerUnit: 1, tokens: 16 };
  const check = (spec: ModelSpec): Promise<number> =>
    gradientError({ one: engine, other: processor }, { spec, shape });
  const largestError = {
    probe: await checkEngine(engine),
    'full, tiny model': await check({ config: tiny, lora: null }),
    'LoRA, tiny model': await check({ config: tiny, lora }),
  };
  const products: object[] = [];
  for (const size of sizes.products) products.push(await productRate(engine, { size, repeats }));
  const spec: ModelSpec = { config: sizes.config, lora };
  const batch = { units: sizes.rows, rowsPerUnit: 1, tokens: sizes.tokens };
  const step = await stepTimes(engine, { spec, shape: batch, repeats });
  return {
    engine: engine.name,
    largestError,
    'float32 products, GFLOP/s': products,
    'LoRA step': { ...sizes.config, parameters: modelSize(spec), ...batch, ...step },
  };
}

async function attempt(name: EngineName, processor: Engine): Promise<object> {
  try {
    return await measure(await openEngine({ prefer: name }), processor);
  } catch (error) {
    return { engine: name, failure: error instanceof Error ? error.message : String(error) };
  }
}

function wanted(): EngineName[] {
  const named = engineNames.filter(name => options.engine === undefined || name === options.engine);
  if (options.engine !== undefined) return named;
  return defaultEngines().filter(name => name === 'cuda' || name === 'webgpu');
}

async function main(): Promise<void> {
  const bundle = fileURLToPath(import.meta.url);
  if (options.pack !== undefined) {
    const packed = pack(options.pack, { bundle, root: dirname(bundle) });
    process.stdout.write(`${packed.map(path => join(options.pack!, path)).join('\n')}\n`);
    return;
  }
  const names = wanted();
  if (names.length === 0) {
    const trouble =
      options.engine === undefined
        ? 'no graphics processor is seen under /proc, /dev or /sys'
        : `--engine is "${options.engine}"`;
    process.stderr.write(
      `Cannot measure: ${trouble}. Run it on a machine with an NVIDIA driver ("npm run bench:gpu -- --pack FOLDER" makes what that needs), or give --engine ${engineNames.join(' | ')}.\n`,
    );
    process.exitCode = 7;
    return;
  }
  const processor = await openEngine({ prefer: 'onnxruntime-node' });
  const engines: object[] = [];
  for (const name of names) engines.push(await attempt(name, processor));
  process.stdout.write(
    `${JSON.stringify({ machine: machine(), gpus: findGpus().seen, engines }, null, 2)}\n`,
  );
}

await main();
// A GPU's threads would keep the process.
if (process.exitCode === undefined) process.exit(0);
