import { describe, expect, it } from 'vitest';
import { countsPerUser, selectRows } from '../../selection/cap.ts';
import { keptIdsDigest } from '../../selection/digest.ts';
import { crossUserDuplicates } from '../../selection/duplicates.ts';
import { textLengths } from '../../selection/lengths.ts';
import { readRecords, type Records } from '../../selection/records.ts';
import { contributionStatistics } from '../../selection/statistics.ts';
import { readTable } from '../../selection/tables/index.ts';
import { hasShared, sharedPath } from '../support/shared.ts';

async function corpus(file: string): Promise<Records> {
  const table = await readTable(sharedPath(`data/${file}`));
  return readRecords(table, { user: 'user', id: 'record_id', text: 'text', file });
}

const shakespeare = { random: '270f1f769b05a711', longest: 'd1b9efbfd4e73195', shortest: 'd7deec638dc11a2d' };

const golden = [
  { file: 'shakespeare-speeches.parquet', kept: 2285, digests: shakespeare },
  { file: 'shakespeare-speeches.arrow', kept: 2285, digests: shakespeare },
  { file: 'shakespeare-speeches.jsonl', kept: 2285, digests: shakespeare },
  {
    file: 'letters-clarissa.parquet',
    kept: 90,
    digests: { random: '0222342b10f8002b', longest: '11b3673f83711d67', shortest: 'd4fed4b3b1aab476' },
  },
];

const keptAtCap = [
  { file: 'shakespeare-speeches.arrow', kept: [595, 1096, 2285, 3756, 5913, 9618] },
  { file: 'letters-clarissa.parquet', kept: [45, 61, 90, 121, 162, 282] },
  { file: 'letters-clarissa-paragraphs.arrow', kept: [45, 90, 225, 444, 799, 1501] },
];

const duplicates = [
  { file: 'shakespeare-speeches.parquet', normalised: [431, 3], identical: [384, 3] },
  { file: 'letters-clarissa.parquet', normalised: [0, 0], identical: [0, 0] },
  { file: 'letters-clarissa-paragraphs.parquet', normalised: [774, 6], identical: [674, 9] },
  { file: 'commit-subjects.jsonl', normalised: [107, 0], identical: [103, 0] },
];

const corpora = hasShared ? describe : describe.skip;

// Skipped only where there is no ../shared/data beside the checkout.
corpora('on the reference corpora', () => {
  it.each(golden)('selectRows() gives the golden digests on $file', async ({ file, kept, digests }) => {
    const records = await corpus(file);
    const lengths = textLengths(records, { unit: 'bytes' });
    for (const strategy of ['random', 'longest', 'shortest'] as const) {
      const rows = selectRows(records, { strategy, seed: '42', recordsPerUser: 5 }, { lengths });
      expect(rows).toHaveLength(kept);
      expect(keptIdsDigest(Array.from(rows, row => records.ids[row]!))).toBe(digests[strategy]);
    }
  });

  it.each(keptAtCap)(
    'contributionStatistics() and selectRows() agree on records kept of $file',
    async ({ file, kept }) => {
      const records = await corpus(file);
      const { caps } = contributionStatistics(countsPerUser(records), { caps: [1, 2, 5, 10, 20, 50] });
      expect(caps.map(({ records: count }) => count)).toEqual(kept);
      const selected = [1, 2, 5, 10, 20, 50].map(k =>
        selectRows(records, { strategy: 'random', seed: '7', recordsPerUser: k }),
      );
      expect(selected.map(rows => rows.length)).toEqual(kept);
    },
  );

  it.each(duplicates)(
    'crossUserDuplicates() finds the known copies in $file',
    async ({ file, normalised, identical }) => {
      const records = await corpus(file);
      const count = (compare: 'normalised' | 'identical', minimumLength: number): number =>
        crossUserDuplicates(records, { compare, minimumLength }).records;
      expect([count('normalised', 0), count('normalised', 40)]).toEqual(normalised);
      expect([count('identical', 0), count('identical', 40)]).toEqual(identical);
    },
  );

  it('contributionStatistics() matches the published figures of shakespeare-speeches', async () => {
    const statistics = contributionStatistics(countsPerUser(await corpus('shakespeare-speeches.parquet')));
    expect(statistics).toMatchObject({ users: 595, records: 14274, maximum: 359, median: 7 });
    expect(Math.round(statistics.mean)).toBe(24);
    expect(statistics.gini.toFixed(2)).toBe('0.69');
    expect(Math.round(100 * statistics.topPercentShare)).toBe(9);
  });
});
