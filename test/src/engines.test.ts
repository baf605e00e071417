import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl, type Outcome } from './support.ts';

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

describe('demo --engine', () => {
  const data = writeJsonl(join(folder, 'letters.jsonl'), sampleRows(40));
  const argv = ['demo', '--quick', '--data', data, '--k', '1', '--out', join(folder, 'demo')];

  it('trains everything on it', async () => {
    const { engine } = await runJson(...argv, '--engine', 'onnxruntime-web');
    expect(engine).toBe('onnxruntime-web:wasm');
  });

  it('ends with 7 where it does not open', async () => {
    const { code, stderr } = await runCli(...argv, '--engine', 'cuda');
    expect({ code, told: stderr.includes('cuda (') }).toEqual({ code: 7, told: true });
  });
});

describe('select --scorer-engine', () => {
  const data = writeJsonl(join(folder, 'scored.jsonl'), sampleRows(8));

  async function select(out: string, engine: string): Promise<Outcome> {
    const model = join(folder, 'scorer');
    if (!existsSync(model)) await runJson('pretrain', data, ...size, ...short, '--out', model);
    const rule = ['--strategy', 'lowest-perplexity', '--k', '1', '--scorer', model];
    return runCli('select', data, ...rule, '--scorer-engine', engine, '--out', join(folder, out), '--json');
  }

  it('scores on it and keeps the same records', async () => {
    const digests: string[] = [];
    for (const engine of ['onnxruntime-node', 'tfjs']) {
      const { digest }: { digest: string } = JSON.parse((await select(`${engine}.arrow`, engine)).stdout);
      digests.push(digest);
    }
    expect(digests[0]).toMatch(/^\w{16}$/);
    expect(digests[0]).toBe(digests[1]);
  });

  it('ends with 7 where it does not open, before anything is written', async () => {
    const { code, stderr } = await select('none.arrow', 'cuda');
    expect({ code, told: stderr.includes('cuda (') }).toEqual({ code: 7, told: true });
    expect(existsSync(join(folder, 'none.arrow'))).toBe(false);
  });
});
