import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl } from '../support.ts';

const folder = temporaryFolder();
const ledger = join(folder, 'run', 'ledger.jsonl');
const selected = join(folder, 'selected.arrow');
const manifest = `${selected}.manifest.json`;
const key = join(folder, 'run', 'secret.key');
const tiny = ['--layers', '1', '--width', '16', '--heads', '2', '--context', '32'];

beforeAll(async () => {
  const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(40));
  const rule = ['--strategy', 'random', '--k', '2', '--seed', '7', '--id', 'record_id', '--text', 'text'];
  await runJson('select', table, ...rule, '--out', selected);
  const budget = [
    '--epsilon',
    '8',
    '--batch-size',
    '10',
    '--steps',
    '3',
    '--k',
    '2',
    '--held-out',
    '0',
    '--seed',
    '7',
  ];
  await runJson('plan', selected, ...budget, '--delta', '1e-3', '--out', join(folder, 'plans'));
  const plan = join(folder, 'plans', 'user-wise-k2.json');
  await runJson('train', plan, selected, ...tiny, '--keep-key', '--out', join(folder, 'run'));
});

async function audited(...argv: string[]): Promise<{ code: number; codes: string[]; checked: string[] }> {
  const { code, stdout } = await runCli('audit', 'ledger', ledger, ...argv, '--json');
  const answer: { reasons: { code: string }[]; checked: string[] } = JSON.parse(stdout);
  return { code, codes: answer.reasons.map(reason => reason.code), checked: answer.checked };
}

/** Changes a file, looks, and puts it back. */
async function withChanged<T>(
  path: string,
  change: (path: string) => void,
  look: () => Promise<T>,
): Promise<T> {
  copyFileSync(path, `${path}.before`);
  change(path);
  try {
    return await look();
  } finally {
    copyFileSync(`${path}.before`, path);
  }
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.indexOf('somebody')]! ^= 1;
  writeFileSync(path, bytes);
}

describe('audit ledger --manifest', () => {
  it('follows a run from its selection to its ledger', async () => {
    const found = await audited('--manifest', manifest);
    expect(found).toMatchObject({ code: 0, codes: [] });
    expect(found.checked).toContain('the manifest of the selection');
  });

  it('ends with 4 for another manifest', async () => {
    const rename = (path: string): void =>
      writeFileSync(path, readFileSync(path, 'utf8').replace('"7"', '"8"'));
    const found = await withChanged(manifest, rename, () => audited('--manifest', manifest));
    expect(found).toMatchObject({ code: 4, codes: ['DPL-other-manifest'] });
  });

  it('ends with 4 for another table, with and without its manifest', async () => {
    const beside = await withChanged(selected, flip, () => audited('--manifest', manifest));
    expect(beside).toMatchObject({ code: 4, codes: ['DPL-table-differs'] });
    const again = ['--key', key, '--table', selected, ...tiny];
    const repeated = await withChanged(selected, flip, () => audited(...again));
    expect(repeated).toMatchObject({ code: 4, codes: ['DPL-other-inputs'] });
    expect(await audited(...again, '--same-arithmetic')).toMatchObject({ code: 0, codes: [] });
  });

  it('says so, and no more, where the table is not at hand', async () => {
    const found = await withChanged(selected, rmSync, () => audited('--manifest', manifest));
    expect(found).toMatchObject({ code: 0, codes: ['DPL-no-table'] });
  });
});
