import util from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { openEngine } from '../../../trainer/engines/open.ts';
import { GraphBuilder, type Graph } from '../../../trainer/graph/graph.ts';
import { add } from '../../../trainer/graph/operations.ts';

/** left + right, [2]. */
function sumGraph(): Graph {
  const builder = new GraphBuilder();
  const [left, right] = ['left', 'right'].map(name => builder.input(name, { shape: [2] }));
  builder.output('sum', add(builder, [left!, right!]));
  return builder.build();
}

describe('openEngine()', () => {
  it.each([
    ['onnxruntime-node', 'onnxruntime-node:cpu'],
    ['onnxruntime-web', 'onnxruntime-web:wasm'],
    ['tfjs', 'tfjs:cpu'],
  ] as const)('opens %s, which compiles, uploads, runs and reads', async (prefer, name) => {
    const engine = await openEngine({ prefer, threads: 1 });
    expect(engine.name).toBe(name);
    const program = await engine.compile(sumGraph());
    const left = engine.upload({ data: Float32Array.of(1, 2), shape: [2] });
    const { sum } = await program.run({ left, right: left });
    expect(sum!.shape).toEqual([2]);
    expect(await engine.read(sum!)).toEqual({ data: Float32Array.of(2, 4), shape: [2] });
    const { sum: again } = await program.run({ left: sum!, right: left });
    expect((await engine.read(again!)).data).toEqual(Float32Array.of(3, 6));
    for (const tensor of [left, sum!, again!]) tensor.dispose();
    await program.dispose();
  });

  it.each(['onnxruntime-node', 'onnxruntime-web', 'tfjs'] as const)(
    '%s reads a part of a longer array',
    async prefer => {
      const engine = await openEngine({ prefer });
      const program = await engine.compile(sumGraph());
      const long = Float32Array.of(1, 2, 3, 4, 5);
      const [left, right] = [1, 3].map(start =>
        engine.upload({ data: long.subarray(start, start + 2), shape: [2] }),
      );
      const { sum } = await program.run({ left: left!, right: right! });
      expect((await engine.read(sum!)).data).toEqual(Float32Array.of(6, 8));
    },
  );

  it('prefers the native package', async () => {
    expect((await openEngine()).name).toBe('onnxruntime-node:cpu');
  });

  it('gives back to Node what tfjs-node calls and newer versions lack', async () => {
    Reflect.deleteProperty(util, 'isNullOrUndefined');
    await openEngine({ prefer: 'tfjs' });
    const isNullOrUndefined: unknown = Reflect.get(util, 'isNullOrUndefined');
    const check = typeof isNullOrUndefined === 'function' ? isNullOrUndefined : (): boolean => false;
    expect([undefined, null, 0, ''].map(value => Boolean(check(value)))).toEqual([true, true, false, false]);
  });

  it('refuses no threads', async () => {
    await expect(openEngine({ threads: 0 })).rejects.toThrow('threads is 0');
  });

  it('refuses a tensor of another engine', async () => {
    const [native, web] = [await openEngine(), await openEngine({ prefer: 'onnxruntime-web' })];
    const program = await native.compile(sumGraph());
    const left = web.upload({ data: Float32Array.of(1, 2), shape: [2] });
    await expect(program.run({ left, right: left })).rejects.toThrow('lies with onnxruntime-web:wasm');
    const tfjs = await openEngine({ prefer: 'tfjs' });
    await expect(tfjs.read(left)).rejects.toThrow('lies with onnxruntime-web:wasm');
  });

  it('opens CUDA where there is an NVIDIA driver, and WebGPU nowhere in software by itself', async () => {
    vi.resetModules();
    vi.doMock('../../../trainer/engines/hardware.ts', () => ({
      findGpus: () => ({ nvidia: true, seen: ['NVIDIA driver 1.2.3'] }),
      hasHardwareVulkan: () => false,
    }));
    const asked: string[] = [];
    vi.doMock('../../../trainer/engines/onnxruntime.ts', async original => {
      const actual = await original<typeof import('../../../trainer/engines/onnxruntime.ts')>();
      return {
        ...actual,
        onnxRuntimeEngine: (options: Parameters<typeof actual.onnxRuntimeEngine>[0]) => {
          asked.push(options.executionProvider);
          if (options.executionProvider === 'cuda') throw new Error('no CUDA libraries');
          return actual.onnxRuntimeEngine({ ...options, executionProvider: 'cpu' });
        },
      };
    });
    const { openEngine: open } = await import('../../../trainer/engines/open.ts');
    expect((await open()).name).toBe('onnxruntime-node:cpu');
    expect(asked).toEqual(['cuda', 'webgpu', 'cpu']);
    expect((await open({ prefer: 'webgpu' })).name).toBe('onnxruntime-node:webgpu (software)');
    await expect(open({ prefer: 'cuda' })).rejects.toThrow(
      'cuda (no CUDA libraries) did not open. With an NVIDIA',
    );
    expect(process.env['NVIDIA_TF32_OVERRIDE']).toBe('0');
    vi.doUnmock('../../../trainer/engines/hardware.ts');
    vi.doUnmock('../../../trainer/engines/onnxruntime.ts');
  });

  it('says what the engine says when a run fails', async () => {
    const engine = await openEngine();
    const program = await engine.compile(sumGraph());
    const left = engine.upload({ data: Float32Array.of(1, 2, 3), shape: [3] });
    await expect(program.run({ left, right: left })).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
  });

  it('falls back to WebAssembly, and says what to install where nothing loads', async () => {
    vi.resetModules();
    vi.doMock('onnxruntime-node', () => {
      throw new Error('no such package');
    });
    const { openEngine: open } = await import('../../../trainer/engines/open.ts');
    expect((await open()).name).toBe('onnxruntime-web:wasm');
    await expect(open({ prefer: 'onnxruntime-node' })).rejects.toThrow(
      /Cannot open an engine: onnxruntime-node .* did not open\. Run "ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node"/s,
    );
    vi.doUnmock('onnxruntime-node');
  });
});
