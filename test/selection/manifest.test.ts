import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { curate } from '../../selection/curate.ts';
import { manifestPathOf, readManifest } from '../../selection/manifest.ts';
import { textTable, writeTable } from '../../selection/tables/index.ts';
import { verifyManifest } from '../../selection/verify.ts';
import { failureOf, temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();
const input = join(folder, 'in.arrow');
const out = join(folder, 'out.arrow');

async function selected(): Promise<Record<string, unknown>> {
  const table = textTable({ user: ['ada', 'ada', 'bo'], id: ['1', '2', '3'], text: ['x', 'y', 'z'] });
  await writeTable(table, input, { force: true });
  const columns = { user: 'user', id: 'id', text: 'text' };
  const rule = { strategy: 'random', seed: '42', recordsPerUser: 1 } as const;
  const { manifest } = await curate({ table: input, out, columns, rule, force: true });
  const parsed: Record<string, unknown> = JSON.parse(await readFile(manifest, 'utf8'));
  return parsed;
}

/** The same manifest as version 0.1 of the package wrote it. */
function asVersion1(manifest: Record<string, unknown>): Record<string, unknown> {
  const { privacyCost: _, statistics: __, owners: _owners, ...rest } = manifest;
  const { skipped: ___, ...result } = Object(rest['result']);
  const inputs: Record<string, unknown>[] = Object(rest['inputs']);
  return {
    ...rest,
    version: 1,
    result,
    policies: { nullUsers: 'error', duplicates: 'error' },
    inputs: inputs.map(({ kind: ____, ...input }) => input),
  };
}

describe('readManifest()', () => {
  it('reads version 1, fills in what it lacks, and verifies it', async () => {
    const old = asVersion1(await selected());
    await writeFile(manifestPathOf(out), JSON.stringify(old));
    const read = await readManifest(manifestPathOf(out));
    expect(read).toMatchObject({
      version: 1,
      privacyCost: [],
      statistics: null,
      owners: null,
      policies: { nullUsers: 'error', duplicates: 'error', onError: 'error', userNormalize: [] },
      result: { recordsIn: 3, recordsKept: 2, skipped: {} },
    });
    expect(read.inputs.map(({ kind }) => kind)).toEqual(['file']);
    expect((await verifyManifest(manifestPathOf(out))).holds).toBe(true);
  });

  it('marks raw statistics as not private and says that nothing was spent', async () => {
    await selected();
    const { statistics, privacyCost, version } = await readManifest(manifestPathOf(out));
    expect(version).toBe(2);
    expect(privacyCost).toEqual([]);
    expect(statistics).toMatchObject({
      notPrivate: true,
      before: { users: 2, records: 3, maximum: 2 },
      after: { users: 2, records: 2, maximum: 1 },
      similarUsers: 0,
    });
  });

  it('says that tokens were not counted before where they were not', async () => {
    const manifest = await selected();
    const { tokensBefore: _, tokenizer: __, ...statistics } = Object(manifest['statistics']);
    await writeFile(manifestPathOf(out), JSON.stringify({ ...manifest, statistics }));
    const read = await readManifest(manifestPathOf(out));
    expect(read.statistics).toMatchObject({ tokenizer: null, tokensBefore: null, tokensAfter: null });
  });

  it('refuses versions and contracts that it does not know, and costs without their form', async () => {
    const manifest = await selected();
    const path = join(folder, 'other.json');
    for (const change of [{ version: 3 }, { contractVersion: 2 }, { version: '2' }]) {
      await writeFile(path, JSON.stringify({ ...manifest, ...change }));
      expect((await failureOf(() => readManifest(path))).code).toBe('INVALID_DATA');
    }
    await writeFile(path, JSON.stringify({ ...manifest, privacyCost: [{ epsilon: 1 }] }));
    expect((await failureOf(() => readManifest(path))).code).toBe('INVALID_ARGUMENT');
  });
});

describe('verifyManifest()', () => {
  it('fails an output whose rows are out of order, where counts per user cannot be trusted', async () => {
    await selected();
    const table = textTable({ user: ['ada', 'bo', 'ada'], id: ['1', '3', '2'], text: ['x', 'z', 'y'] });
    await writeTable(table, out, { force: true });
    const { checks } = await verifyManifest(manifestPathOf(out), { inputs: false });
    expect(checks.filter(({ holds }) => !holds).map(({ name }) => name)).toContain('canonical order');
  });

  it('stops when told to', async () => {
    await selected();
    const signal = AbortSignal.abort();
    expect((await failureOf(() => verifyManifest(manifestPathOf(out), { signal }))).code).toBe('INTERRUPTED');
  });
});
