import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Field, List, type Table, Utf8, vectorFromArray } from 'apache-arrow';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { curate, type CurateOptions, type CurateResult, type CurateRule } from '../../selection/curate.ts';
import { keptIdsDigest } from '../../selection/digest.ts';
import type { SelectionTokenizer } from '../../selection/lengths.ts';
import { type Manifest, readManifest } from '../../selection/manifest.ts';
import { ownerLists, selectOwned } from '../../selection/owners.ts';
import { surveyTables } from '../../selection/survey.ts';
import { readTable, writeTable } from '../../selection/tables/index.ts';
import { verifyManifest } from '../../selection/verify.ts';
import { bytes, failureOf, tableOfColumns, temporaryFolder, texts } from './fixtures.ts';

const folder = temporaryFolder();
let files = 0;

const byteTokenizer: SelectionTokenizer = {
  name: 'bytes',
  hash: 'none',
  encode: text => Int32Array.from(Buffer.from(text)),
  decode: ids => Buffer.from(Uint8Array.from(ids)).toString(),
};

interface Mail {
  readonly to: readonly (string | null)[] | null;
  readonly id: string;
  readonly text: string;
}

const people = ['ada', 'bo', 'cé', 'Ada', '\u{1f600}', '\uff01'];
const mails: Mail[] = Array.from({ length: 60 }, (_, i) => ({
  to: Array.from({ length: 1 + (i % 3) }, (_, j) => people[(i * 7 + j * 5 + ((i * i) % 4)) % 6]!),
  id: `m${i}`,
  text: `mail ${i} ${'ö'.repeat(i % 9)}`,
}));

const columns = { user: 'to', id: 'id', text: 'text' };
const random: CurateRule = { strategy: 'random', seed: '42', recordsPerUser: 3 };
const origin = { kind: 'public' } as const;
const graph = [{ name: 'owner-graph', origin }] as const;
const order = [...graph, { name: 'owner-order', origin }] as const;

function mailTable(rows: readonly Mail[]): Table {
  const list = new List(new Field('item', new Utf8(), true));
  return tableOfColumns({
    to: vectorFromArray(
      rows.map(({ to }) => to),
      list,
    ),
    id: texts(rows.map(({ id }) => id)),
    text: texts(rows.map(({ text }) => text)),
  });
}

async function listFile(rows: readonly Mail[], extension = 'arrow'): Promise<string> {
  const path = join(folder, `in-${files++}.${extension}`);
  if (extension === 'jsonl') await writeFile(path, rows.map(row => `${JSON.stringify(row)}\n`).join(''));
  else await writeTable(mailTable(rows), path);
  return path;
}

async function separatedFile(rows: readonly Mail[], separator: string): Promise<string> {
  const path = join(folder, `in-${files++}.csv`);
  const lines = rows.map(({ to, id, text }) => `"${(to ?? []).join(separator)}",${id},${text}`);
  await writeFile(path, `to,id,text\n${lines.join('\n')}\n`);
  return path;
}

async function optionsFor(
  rows: readonly Mail[],
  more: Partial<CurateOptions> = {},
): Promise<CurateOptions & { readonly out: string }> {
  return {
    table: await listFile(rows),
    out: join(folder, `out-${files++}.arrow`),
    columns,
    owners: { separator: null },
    choices: graph,
    rule: random,
    ...more,
  };
}

async function select(
  rows: readonly Mail[],
  more: Partial<CurateOptions> = {},
): Promise<CurateResult & { readonly described: Manifest }> {
  const result = await curate(await optionsFor(rows, more));
  return { ...result, described: await readManifest(result.manifest) };
}

function idsOf(table: Table): string[] {
  return Array.from({ length: table.numRows }, (_, row) => String(table.getChild('id')!.get(row)));
}

function tally(rows: readonly Mail[], weight: (row: Mail) => number = () => 1): Map<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows)
    for (const owner of new Set(row.to)) counts.set(owner!, (counts.get(owner!) ?? 0) + weight(row));
  return counts;
}

function most(counts: ReadonlyMap<string, number>): number {
  return Math.max(...counts.values());
}

/** What the library keeps of mails in memory. */
function expectedIds(rows: readonly Mail[], rule: CurateRule): string[] {
  const lists = rows.map(({ to }) => (to ?? []).map(owner => people.indexOf(owner!)));
  const lengths = rows.map(({ text }) => bytes(text));
  const ids = rows.map(({ id }) => id);
  const found = selectOwned({ users: people, owners: ownerLists(lists), ids, lengths }, rule);
  return Array.from(found.rows, row => ids[row]!);
}

describe('curate() of records with several owners', () => {
  it.each(['arrow', 'parquet', 'jsonl'])('keeps what selectOwned() keeps, from .%s', async extension => {
    const { out, described, ...result } = await select(mails, { table: await listFile(mails, extension) });
    const expected = expectedIds(mails, random);
    const kept = await readTable(out);
    expect(idsOf(kept)).toEqual(expected);
    expect(result.digest).toBe(keptIdsDigest(expected));
    const byId = new Map(mails.map(mail => [mail.id, mail]));
    const rows = expected.map(id => byId.get(id)!);
    expect(JSON.parse(JSON.stringify(kept.toArray()))).toEqual(rows);
    expect(result).toMatchObject({
      users: 6,
      recordsIn: 60,
      recordsKept: expected.length,
      usersKept: tally(rows).size,
      maxPerUser: most(tally(rows)),
    });
    expect(described.owners).toEqual({ separator: null, public: ['owner-graph'] });
  });

  it('is greedy in order of K, as the key is written', async () => {
    const keyOf = ({ to, id }: Mail): string => {
      const owners = [...new Set(to)].map(owner => Buffer.from(owner!)).sort((a, b) => Buffer.compare(a, b));
      const named = owners.map(owner => `${owner.length}:${owner.toString()}:`).join('');
      const start = owners.length === 1 ? '42:' : `42:${owners.length}x`;
      return createHash('sha256').update(`${start}${named}${id}`).digest('hex');
    };
    const ordered = mails.map(mail => ({ mail, key: keyOf(mail) })).sort((a, b) => (a.key < b.key ? -1 : 1));
    const kept: Mail[] = [];
    for (const { mail } of ordered) {
      const counts = tally(kept);
      if (mail.to!.every(owner => (counts.get(owner!) ?? 0) < 3)) kept.push(mail);
    }
    const { digest, recordsKept } = await select(mails);
    expect([recordsKept, digest]).toEqual([kept.length, keptIdsDigest(kept.map(({ id }) => id))]);
  });

  it('cuts text at a separator, and keeps the same', async () => {
    const table = await separatedFile(mails, '; ');
    const result = await select(mails, { table, owners: { separator: '; ' } });
    expect(idsOf(await readTable(result.out))).toEqual(expectedIds(mails, random));
    expect((await verifyManifest(result.manifest)).holds).toBe(true);
  });

  it('writes Parquet and streams that verify as well', async () => {
    for (const extension of ['parquet', 'arrows']) {
      const out = join(folder, `kept-${files++}.${extension}`);
      const result = await select(mails, { out });
      expect(idsOf(await readTable(out))).toEqual(expectedIds(mails, random));
      expect((await verifyManifest(result.manifest)).holds).toBe(true);
    }
  });

  it('describes contributions of every owner', async () => {
    const { statistics, described } = await select(mails, { tokenizer: byteTokenizer });
    const before = [...tally(mails).values()];
    const sum = before.reduce((total, count) => total + count, 0);
    expect(statistics.before).toMatchObject({
      users: 6,
      records: sum,
      maximum: Math.max(...before),
      caps: [],
    });
    const kept = new Set(expectedIds(mails, random));
    const after = mails.filter(({ id }) => kept.has(id));
    expect(statistics.after).toMatchObject({ users: tally(after).size, maximum: most(tally(after)) });
    const size = (rows: readonly Mail[]): number => rows.reduce((total, { text }) => total + bytes(text), 0);
    expect(statistics).toMatchObject({
      tokensBefore: size(mails),
      tokensAfter: size(after),
      tokenizer: { name: 'bytes' },
    });
    expect(described.result.maximumTokensPerUser).toBeNull();
    expect(described.inputs[0]!.rows).toBe(60);
  });

  it('never lets an owner keep more than the caps, whatever the lists', async () => {
    const someMails = fc.uniqueArray(
      fc.record({
        to: fc.array(fc.constantFrom(...people), { minLength: 1, maxLength: 4 }),
        id: fc.nat(99).map(String),
        text: fc.string({ maxLength: 6, unit: 'grapheme' }).filter(text => !text.includes('\0')),
      }),
      { selector: ({ id }) => id, minLength: 1, maxLength: 30 },
    );
    const someRule = fc.record({
      strategy: fc.constantFrom('random', 'longest', 'first'),
      recordsPerUser: fc.integer({ min: 1, max: 4 }),
      tokensPerUser: fc.option(fc.integer({ min: 8, max: 30 })),
      tokenPolicy: fc.constantFrom('stop', 'truncate'),
    });
    await fc.assert(
      fc.asyncProperty(someMails, someRule, async (rows, caps) => {
        const rule: CurateRule = { ...caps, seed: '42' };
        const asked = { rule, choices: order, tokenizer: byteTokenizer, force: true };
        const done = await select(rows, asked).catch((error: unknown) => {
          // A cap in tokens may keep nothing, which is refused.
          expect(Object(error).code).toBe('INVALID_DATA');
        });
        if (done === undefined) return;
        const table = await readTable(done.out);
        const kept: Mail[] = JSON.parse(JSON.stringify(table.toArray()));
        expect(most(tally(kept))).toBe(done.maxPerUser);
        expect(done.maxPerUser).toBeLessThanOrEqual(caps.recordsPerUser);
        const tokens = most(tally(kept, ({ text }) => bytes(text)));
        if (caps.tokensPerUser !== null) expect(tokens).toBeLessThanOrEqual(caps.tokensPerUser);
        const verified = await verifyManifest(done.manifest, { tokenizer: byteTokenizer });
        expect(verified.checks.filter(({ holds }) => !holds)).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  it('counts an owner once whom a row names twice', async () => {
    const rows = [
      { to: ['ada', 'ada'], id: '1', text: 'x' },
      { to: ['ada', 'bo', 'ada'], id: '2', text: 'y' },
    ];
    const { statistics, recordsKept } = await select(rows);
    expect(recordsKept).toBe(2);
    expect(statistics.before).toMatchObject({ users: 2, records: 3, maximum: 2 });
  });

  it('treats a missing owner as a missing user, also among others', async () => {
    const lacking: Mail[] = [
      { to: null, id: 'a', text: 'x' },
      { to: [], id: 'b', text: 'x' },
      { to: ['ada', ''], id: 'c', text: 'x' },
      { to: ['ada', null], id: 'secret', text: 'x' },
    ];
    for (const row of lacking) {
      const { code, message } = await failureOf(() => select([mails[0]!, row]));
      expect(code).toBe('NULL_USER');
      expect(message).toMatch(/in-\d+\.arrow.* row 2\b/);
      expect(message).not.toMatch(/secret|ada/);
    }
    const { dropped, recordsIn } = await select([...mails, ...lacking], { nullUsers: 'drop' });
    expect([dropped.nullUsers, recordsIn]).toEqual([4, 64]);
    const table = await separatedFile([...mails, { to: ['ada', ''], id: 'c', text: 'x' }], ';');
    const cut = await failureOf(() => select(mails, { table, owners: { separator: ';' } }));
    expect(cut.code).toBe('NULL_USER');
  });

  it('refuses an id twice under one owner, or keeps the first', async () => {
    const rows = [
      { to: ['ada', 'bo'], id: 'same', text: 'x' },
      { to: ['cé'], id: 'same', text: 'y' },
      { to: ['bo', '\uff01'], id: 'same', text: 'z' },
    ];
    const { code, message } = await failureOf(() => select(rows));
    expect(code).toBe('DUPLICATE_RECORD');
    expect(message).toContain('row 3');
    const kept = await select(rows, { duplicates: 'keep-first', tokenizer: byteTokenizer });
    expect(kept).toMatchObject({ recordsKept: 2, dropped: { duplicates: 1 } });
    expect(kept.statistics).toMatchObject({ tokensBefore: 2, before: { users: 3, records: 3 } });
  });

  it('lets a row that is left out as repeated keep no other out', async () => {
    const rows = [
      { to: ['ada', 'bo'], id: 'same', text: 'x' },
      { to: ['bo', 'cé'], id: 'same', text: 'y' },
      { to: ['cé'], id: 'same', text: 'z' },
    ];
    const { recordsKept, dropped } = await select(rows, { duplicates: 'keep-first' });
    expect([recordsKept, dropped.duplicates]).toEqual([2, 1]);
  });

  it('cuts the right record where rows before it were dropped', async () => {
    const rows: Mail[] = [
      { to: null, id: 'none', text: 'nobody' },
      { to: ['ada', 'bo'], id: 'long', text: 'abcdefgh' },
    ];
    const rule: CurateRule = { ...random, tokensPerUser: 5, tokenPolicy: 'truncate' };
    const asked = { rule, choices: order, tokenizer: byteTokenizer, nullUsers: 'drop' } as const;
    const { out, statistics } = await select(rows, asked);
    expect((await readTable(out)).getChild('text')!.get(0)).toBe('abcde');
    expect([statistics.tokensBefore, statistics.tokensAfter]).toEqual([8, 5]);
  });

  it('finds texts under different owners, not those of the same', async () => {
    const text = 'a text that is long enough to be told from a mere formula';
    const same = [
      { to: ['ada', 'bo'], id: '1', text },
      { to: ['bo', 'ada'], id: '2', text },
    ];
    expect((await select(same)).crossUserDuplicates).toMatchObject({ records: 0, compared: 2 });
    const other = [...same, { to: ['ada'], id: '3', text }];
    expect((await select(other)).crossUserDuplicates).toMatchObject({ records: 3, compared: 3 });
    const seen = await surveyTables({ table: await listFile(other), columns, owners: { separator: null } });
    expect(seen.description!.duplicates!.identical.all.records).toBe(3);
    const alone = await surveyTables({ table: await listFile(same), columns, owners: { separator: null } });
    expect(alone.description!.duplicates!.identical.all.records).toBe(0);
  });

  it('names a cost in place of a public graph', async () => {
    const cost = { epsilon: 1, delta: 1e-6, mechanism: 'a private graph', release: 'g1' } as const;
    const paid = { kind: 'private', neighbours: 'add-or-remove', unit: 'user', ...cost } as const;
    const { described } = await select(mails, { choices: [{ name: 'owner-graph', origin: paid }] });
    expect(described.owners!.public).toEqual([]);
    expect(described.privacyCost).toMatchObject([{ choices: ['owner-graph'], ...cost }]);
  });

  it('makes ways of writing an owner one, in lists and in text', async () => {
    const rows = mails.map(mail => ({ ...mail, to: mail.to!.map(owner => ` ${owner!}`) }));
    const folded = mails.map(mail => ({ ...mail, to: mail.to!.map(owner => owner!.toLowerCase()) }));
    const plain = await select(folded);
    const userNormalize = ['trim', 'lower'] as const;
    const list = await select(rows, { userNormalize });
    const table = await separatedFile(rows, ';');
    const text = await select(rows, { table, owners: { separator: ';' }, userNormalize });
    expect(plain.users).toBe(5);
    for (const result of [list, text]) {
      expect([result.users, result.digest]).toEqual([5, plain.digest]);
      expect((await verifyManifest(result.manifest)).holds).toBe(true);
    }
    for (const { out } of [list, text]) {
      const kept = JSON.stringify((await readTable(out)).toArray());
      expect(kept).not.toMatch(/" |; |Ada/);
    }
  });

  it('refuses a separator that comes out of normalising', async () => {
    const table = await separatedFile([{ to: ['aXb', 'c'], id: '1', text: 't' }], 'x');
    const asked = { table, owners: { separator: 'x' }, userNormalize: ['lower'] } as const;
    const { code, message } = await failureOf(() => select(mails, asked));
    expect(code).toBe('INVALID_DATA');
    expect(message).toContain('separator');
  });

  it('numbers rows by file where there is no id column', async () => {
    const some = [await listFile(mails.slice(0, 20)), await listFile(mails.slice(20))];
    const asked = { table: some, columns: { user: 'to', id: null } };
    const { out, manifest, described } = await select(mails, asked);
    const ids: unknown[] = (await readTable(out)).getChild('record_id')!.toJSON();
    for (const id of ids) expect(String(id)).toMatch(/^in-\d+\.arrow:\d+$/);
    expect(described.inputs.map(({ rows }) => rows)).toEqual([20, 40]);
    expect((await verifyManifest(manifest)).holds).toBe(true);
  });

  it('refuses what it cannot do before it reads, and leaves nothing behind', async () => {
    const scorer = {
      provenance: 'public',
      name: 'm',
      hash: 'h',
      score: () => Promise.reject(new Error('must not run')),
    } as const;
    const before = readdirSync(folder).length;
    const cases: Partial<CurateOptions>[] = [
      { engine: 'duckdb' },
      { choices: [] },
      { choices: undefined },
      { rule: { ...random, strategy: 'longest' } },
      { rule: { ...random, strategy: 'first' } },
      { rule: { ...random, tokensPerUser: 9 }, tokenizer: byteTokenizer },
      { rule: { ...random, strategy: 'random-window' }, choices: order },
      {
        rule: { ...random, strategy: 'random-chunk', chunkTokens: 4 },
        tokenizer: byteTokenizer,
        choices: order,
      },
      { rule: { ...random, strategy: 'lowest-perplexity' }, scorer, choices: order },
      { owners: { separator: '' } },
      { owners: { separator: '\ud800' } },
    ];
    for (const more of cases) {
      const table = '/does/not/exist.arrow';
      const out = join(folder, 'refused.arrow');
      const asked = {
        table,
        out,
        columns,
        owners: { separator: null },
        choices: graph,
        rule: random,
        ...more,
      };
      expect((await failureOf(() => curate(asked))).code, JSON.stringify(more)).toBe('INVALID_ARGUMENT');
    }
    expect(readdirSync(folder)).toHaveLength(before);
  });

  it('names file and row of faults, and leaves nothing behind', async () => {
    const plain = tableOfColumns({ to: texts(['ada']), id: texts(['1']), text: texts(['x']) });
    const path = join(folder, `plain-${files++}.arrow`);
    await writeTable(plain, path);
    const cases: [Partial<CurateOptions>, RegExp][] = [
      [{ table: path }, /owners column "to" is of type Utf8/],
      [{ owners: { separator: ';' } }, /owners column "to" is of type List/],
      [{ columns: { ...columns, id: 'none' } }, /no column "none"/],
      [
        { table: await listFile([{ to: ['a\0b'], id: '1', text: 'x' }]) },
        /column "to" holds a NUL character in row 1/,
      ],
      [{ table: await listFile([{ to: ['a'], id: '', text: 'x' }]) }, /id is null or empty in row 1/],
    ];
    for (const [more, message] of cases) {
      const options = await optionsFor(mails, more);
      const before = readdirSync(folder).sort();
      expect((await failureOf(() => curate(options))).message).toMatch(message);
      expect(readdirSync(folder).sort()).toEqual(before);
    }
  });

  it('refuses a table whose owners do not fit into the memory allowed', async () => {
    const options = await optionsFor(mails, { memory: 5000 });
    const { code, message } = await failureOf(() => curate(options));
    expect(code).toBe('INVALID_ARGUMENT');
    expect(message).toMatch(/ordered in memory.*Raise the memory limit/);
    expect(readdirSync(folder)).not.toContain(options.out.slice(folder.length + 1));
  });

  it('stops when told to', async () => {
    for (const when of ['read', 'select', 'write', 'check']) {
      const stop = new AbortController();
      const onProgress = (stage: string): void => {
        if (stage === when) stop.abort();
      };
      const options = await optionsFor(mails, { signal: stop.signal, onProgress });
      expect((await failureOf(() => curate(options))).code, when).toBe('INTERRUPTED');
      expect(readdirSync(folder)).not.toContain(options.out.slice(folder.length + 1));
    }
  });
});

describe('verifyManifest() of records with several owners', () => {
  it('counts every owner of the output, and wants canonical order', async () => {
    const { manifest, out } = await select(mails);
    const kept = await readTable(out);
    const rows: Mail[] = JSON.parse(JSON.stringify(kept.toArray()));
    const failing = async (changed: readonly Mail[]): Promise<string[]> => {
      await writeTable(mailTable(changed), out, { force: true });
      const { checks } = await verifyManifest(manifest, { inputs: false });
      return checks.filter(({ holds }) => !holds).map(({ name }) => name);
    };
    const busiest = [...tally(rows)].sort((a, b) => b[1] - a[1])[0]![0];
    const other = rows.findIndex(({ to }) => !to!.includes(busiest));
    const crowded = rows.with(other, { ...rows[other]!, to: [...rows[other]!.to!, busiest] });
    expect(await failing(crowded)).toEqual(
      expect.arrayContaining(['maximum per user', 'records per user', 'output SHA-256']),
    );
    expect(await failing(rows.toReversed())).toContain('canonical order');
    expect(await failing([...rows, rows.at(-1)!])).toContain('canonical order');
    const unnamed = rows.with(0, { ...rows[0]!, to: [null] });
    expect(await failing(unnamed)).toContain('output content');
  });
});

describe('surveyTables() of records with several owners', () => {
  it('counts every owner, and says what caps keep by running them', async () => {
    const survey = await surveyTables({
      table: await listFile(mails),
      columns,
      owners: { separator: null },
      effects: { rule: { strategy: 'longest', seed: '42' }, tokenizer: byteTokenizer, caps: [1, 4, 100] },
    });
    const counts = tally(mails);
    const total = [...survey.contributions].reduce((sum, [count, users]) => sum + count * users, 0);
    expect(total).toBe([...counts.values()].reduce((sum, count) => sum + count, 0));
    expect(survey.description!.userIds.ids).toBe(2);
    expect(survey.effects!.tokensBefore).toBe(mails.reduce((sum, { text }) => sum + bytes(text), 0));
    for (const { recordsPerUser, records, tokens, usersCut } of survey.effects!.caps) {
      const kept = new Set(expectedIds(mails, { strategy: 'longest', seed: '42', recordsPerUser }));
      const rows = mails.filter(({ id }) => kept.has(id));
      const after = tally(rows);
      expect(records).toBe(rows.length);
      expect(tokens).toBe(rows.reduce((sum, { text }) => sum + bytes(text), 0));
      expect(usersCut).toBe([...counts].filter(([user, count]) => (after.get(user) ?? 0) < count).length);
    }
  });
});
