import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pack } from '../../bench/gpu/pack.ts';
import { root } from '../support/sources.ts';

const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-gpu-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bundle = join(folder, 'bundle.mjs');
const packed = join(folder, 'packed');
beforeAll(() => {
  buildSync({
    entryPoints: [join(root, 'bench/gpu/gpu.ts')],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    outfile: bundle,
  });
  pack(packed, { bundle, root });
});

const run = (...argv: string[]): Promise<{ stdout: string }> =>
  promisify(execFile)(process.execPath, [join(packed, 'bench-gpu.mjs'), ...argv], { cwd: folder });

describe('bench:gpu', () => {
  it('packs what a bare machine needs', () => {
    for (const path of ['README.txt', 'node_modules/onnxruntime-common/package.json']) {
      expect(existsSync(join(packed, path)), path).toBe(true);
    }
  });

  it('checks gradients and measures, from the packed folder alone', async () => {
    const { stdout } = await run('--engine', 'onnxruntime-node', '--small', '--repeats', '1');
    const { engines }: { engines: [{ engine: string; largestError: Record<string, number> }] } =
      JSON.parse(stdout);
    expect(engines[0].engine).toBe('onnxruntime-node:cpu');
    for (const error of Object.values(engines[0].largestError)) expect(error).toBeLessThan(1e-5);
    expect(engines[0]).toMatchObject({
      'LoRA step': { privateSeconds: expect.any(Number), plainSeconds: expect.any(Number) },
    });
  });

  it('says why an engine cannot be measured', async () => {
    const { stdout } = await run('--engine', 'cuda', '--small');
    const { engines }: { engines: [{ engine: string; failure: string }] } = JSON.parse(stdout);
    expect(engines[0].failure).toContain('Cannot open an engine: cuda');
  });

  it('says what it needs where it is asked for an engine that it does not know', async () => {
    await expect(run('--engine', 'gpu')).rejects.toMatchObject({
      code: 7,
      stderr: expect.stringContaining('Cannot measure: --engine is "gpu". Run it on a machine'),
    });
  });

  it('does not pack what is not installed', () => {
    const empty = mkdtempSync(join(tmpdir(), 'privacy-unit-empty-'));
    expect(() => pack(join(empty, 'packed'), { bundle, root: empty })).toThrow(
      'Cannot pack: onnxruntime-node',
    );
    rmSync(empty, { recursive: true, force: true });
  });
});
