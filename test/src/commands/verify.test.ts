import { appendFileSync, copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl } from '../support.ts';

const folder = temporaryFolder();
let runs = 0;

async function selected(): Promise<{ table: string; out: string; manifest: string }> {
  const table = writeJsonl(join(folder, `in-${runs++}.jsonl`), sampleRows(20));
  const out = join(folder, `out-${runs}.arrow`);
  await runJson('select', table, '--strategy', 'random', '--k', '2', '--out', out);
  return { table, out, manifest: `${out}.manifest.json` };
}

describe('verify', () => {
  it('prints each check and ends with 0 where all hold', async () => {
    const { manifest } = await selected();
    const { code, stdout, stderr } = await runCli('verify', manifest);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const check of ['output SHA-256', 'digest of kept ids', 'records per user', 'input 1 SHA-256'])
      expect(stdout).toMatch(new RegExp(`holds +${check} `));
  });

  it('ends with 3 where a check fails, after all of them are printed', async () => {
    const { manifest, out, table } = await selected();
    appendFileSync(table, '\n');
    const { code, stdout, stderr } = await runCli('verify', manifest, '--json');
    const { holds, checks }: { holds: boolean; checks: { name: string; holds: boolean }[] } =
      JSON.parse(stdout);
    const failed = checks.filter(check => !check.holds).map(({ name }) => name);
    expect({ code, holds, failed }).toEqual({
      code: 3,
      holds: false,
      failed: ['input 1 size', 'input 1 SHA-256'],
    });
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'CHECK_FAILED' } });
    expect((await runCli('verify', manifest, '--no-inputs')).code).toBe(0);
    rmSync(out);
    expect((await runCli('verify', manifest, '--no-inputs')).code).toBe(3);
  });

  it('counts tokens where they were capped', async () => {
    const table = writeJsonl(join(folder, 'tokens.jsonl'), sampleRows(20));
    const out = join(folder, 'tokens.arrow');
    const argv = ['--strategy', 'random', '--tokens', '70', '--tokenizer', 'bytes', '--out', out];
    await runJson('select', table, ...argv);
    const { code, stdout } = await runCli('verify', `${out}.manifest.json`);
    expect(code).toBe(0);
    expect(stdout).toMatch(/holds +tokens per user +at most 70 allowed, found \d+/);
  });

  it('checks an output that was moved', async () => {
    const { manifest, out } = await selected();
    const moved = join(folder, 'moved.arrow');
    copyFileSync(out, moved);
    rmSync(out);
    expect((await runCli('verify', manifest)).code).toBe(3);
    expect((await runCli('verify', manifest, '--output', moved)).code).toBe(0);
  });

  it('is bad input where there is no manifest', async () => {
    const { table } = await selected();
    expect((await runCli('verify', join(folder, 'none.json'))).code).toBe(2);
    expect((await runCli('verify', table)).code).toBe(2);
  });
});
