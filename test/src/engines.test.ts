import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli, temporaryFolder, writeJsonl } from './support.ts';

const folder = temporaryFolder();
const table = writeJsonl(
  join(folder, 'public.jsonl'),
  ['rain falls', 'on stones', 'until dawn', 'all night'].map(text => ({ text })),
);
const size = ['--layers', '1', '--width', '8', '--heads', '2', '--context', '8'];
const short = ['--steps', '2', '--batch-size', '2'];

describe('--engine', () => {
  it.each(['onnxruntime-web', 'tfjs'])('trains on %s', async engine => {
    const out = join(folder, engine);
    const { code, stderr } = await runCli(
      'pretrain',
      table,
      ...size,
      ...short,
      '--engine',
      engine,
      '--out',
      out,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(existsSync(join(out, 'model.safetensors'))).toBe(true);
  });

  it('gives the same model on every engine, to float32 rounding', async () => {
    const losses = await Promise.all(
      ['onnxruntime-node', 'tfjs'].map(async engine => {
        const out = join(folder, `same-${engine}`);
        const argv = ['pretrain', table, ...size, ...short, '--engine', engine, '--out', out, '--json'];
        const { loss }: { loss: number } = JSON.parse((await runCli(...argv)).stdout);
        return loss;
      }),
    );
    expect(Math.abs(losses[0]! / losses[1]! - 1)).toBeLessThan(1e-5);
  });

  it('ends with 7 where the engine does not open, and says what would make it', async () => {
    const out = join(folder, 'cuda');
    const { code, stderr } = await runCli(
      'pretrain',
      table,
      ...size,
      ...short,
      '--engine',
      'cuda',
      '--out',
      out,
    );
    expect(code).toBe(7);
    expect(stderr).toMatch(
      /^Cannot open an engine: cuda \(.+\) did not open\. With an NVIDIA driver, .+\.\n$/,
    );
    expect(existsSync(out)).toBe(false);
  });
});
