import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { textTable, writeTable } from '../../../selection/index.ts';
import { runCli, runJson, temporaryFolder, type Outcome } from '../support.ts';

const folder = temporaryFolder();
let places = 0;

/** A folder for one run, one for what does not fit, and the command line on both. */
interface Place {
  readonly at: string;
  readonly run: (...argv: string[]) => Promise<Outcome>;
  readonly left: () => string[];
}

const rule = ['--strategy', 'random', '--k', '2'];

function place(files: Readonly<Record<string, string | Buffer>>): Place {
  const at = join(folder, `place-${places++}`);
  const temporary = join(at, 'tmp');
  mkdirSync(temporary, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(at, name), content);
  const common = [...rule, '--out', join(at, 'out.arrow'), '--tmp-dir', temporary, '--json'];
  return {
    at,
    run: (...argv) => runCli('select', ...argv, ...common),
    left: () => [...readdirSync(at), ...readdirSync(temporary)].sort(),
  };
}

function failure({ code, stdout, stderr }: Outcome): { code: number; reason: string; message: string } {
  expect(stdout).toBe('');
  const { error }: { error: { code: string; message: string } } = JSON.parse(stderr);
  return { code, reason: error.code, message: error.message };
}

const secret = 'hunter2';
const header = 'user,record_id,text\n';
const good = `${secret}-ada,${secret}-1,${secret} one\n`;

function line(row: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify({ user: `${secret}-ada`, record_id: `${secret}-1`, text: secret, ...row })}\n`;
}

interface Fault {
  readonly what: string;
  readonly file: string;
  readonly content: string | Buffer;
  readonly reason: string;
  /** What the message says of the place. */
  readonly place: RegExp;
  readonly argv?: readonly string[];
}

const second = { record_id: `${secret}-2` };

const faults: readonly Fault[] = [
  {
    what: 'no user column',
    file: 'a.csv',
    content: `who,record_id\n${secret},1\n`,
    reason: 'MISSING_COLUMN',
    place: /"user"/,
  },
  {
    what: 'a column that is not there',
    file: 'a.csv',
    content: header + good,
    reason: 'MISSING_COLUMN',
    place: /"body"/,
    argv: ['--text', 'body'],
  },
  {
    what: 'an id of a type without a fixed text',
    file: 'a.jsonl',
    content: line({ record_id: 1.5 }),
    reason: 'INVALID_DATA',
    place: /id column "record_id" is of type Float64/,
  },
  {
    what: 'a user of a type without a fixed text',
    file: 'a.jsonl',
    content: line({ user: true }),
    reason: 'INVALID_DATA',
    place: /user column "user" is of type Bool/,
  },
  {
    what: 'the same user and id twice',
    file: 'a.csv',
    content: header + good + good,
    reason: 'DUPLICATE_RECORD',
    place: /row 2 /,
  },
  {
    what: 'mixed types',
    file: 'a.jsonl',
    content: line({ n: 1 }) + line({ ...second, n: 'x' }),
    reason: 'INVALID_DATA',
    place: /(line|row) 2\b/,
  },
  {
    what: 'no JSON',
    file: 'a.jsonl',
    content: `${line({})}{"user": ${secret}\n`,
    reason: 'INVALID_DATA',
    place: /(line|row) 2\b/,
  },
  {
    what: 'JSON that is no object',
    file: 'a.jsonl',
    content: `${line({})}["${secret}"]\n`,
    reason: 'INVALID_DATA',
    place: /(line|row) 2\b/,
  },
  {
    what: 'invalid UTF-8',
    file: 'a.csv',
    content: Buffer.concat([Buffer.from(`${header}${good}${secret},2,`), Buffer.from([0xff, 10])]),
    reason: 'INVALID_DATA',
    place: /row 2/,
  },
  {
    what: 'a lone surrogate',
    file: 'a.jsonl',
    content: line({}) + line({ ...second, text: 'SURROGATE' }).replace('SURROGATE', String.raw`\ud800`),
    reason: 'INVALID_DATA',
    place: /(line|row) 2\b/,
  },
  {
    what: 'NUL',
    file: 'a.jsonl',
    content: line({}) + line({ ...second, text: 'a\0b' }),
    reason: 'INVALID_DATA',
    place: /(line|row) 2\b/,
  },
  {
    what: 'a row over the limit',
    file: 'a.jsonl',
    content: line({}) + line({ ...second, text: secret.repeat(100) }),
    reason: 'INVALID_DATA',
    place: /(line|row) 2\b/,
    argv: ['--longest-row', '500'],
  },
  {
    what: 'another number of cells',
    file: 'a.csv',
    content: `${header}${good}${secret},2\n`,
    reason: 'INVALID_DATA',
    place: /row 2 /,
  },
  { what: 'a header only', file: 'a.csv', content: header, reason: 'INVALID_DATA', place: /0 rows/ },
  { what: 'nothing', file: 'a.csv', content: '', reason: 'INVALID_DATA', place: /empty/ },
  {
    what: 'a null user',
    file: 'a.jsonl',
    content: line({}) + line({ ...second, user: null }),
    reason: 'NULL_USER',
    place: /row 2 /,
  },
  {
    what: 'an empty user',
    file: 'a.csv',
    content: `${header}${good},2,${secret}\n`,
    reason: 'NULL_USER',
    place: /row 2 /,
  },
  {
    what: 'a null id',
    file: 'a.jsonl',
    content: line({}) + line({ record_id: null }),
    reason: 'INVALID_DATA',
    place: /row 2/,
  },
  {
    what: 'a null text',
    file: 'a.jsonl',
    content: line({}) + line({ ...second, text: null }),
    reason: 'INVALID_DATA',
    place: /row 2/,
  },
  {
    what: 'a NaN score',
    file: 'a.csv',
    content: `user,record_id,score\n${secret},1,NaN\n`,
    reason: 'INVALID_DATA',
    place: /row 1/,
    argv: ['--strategy', 'lowest-perplexity', '--score', 'score', '--score-provenance', 'public'],
  },
  {
    what: 'a truncated Arrow file',
    file: 'a.arrow',
    content: 'ARROW1\0\0',
    reason: 'INVALID_DATA',
    place: /a\.arrow/,
  },
  {
    what: 'a truncated Parquet file',
    file: 'a.parquet',
    content: 'PAR1',
    reason: 'INVALID_DATA',
    place: /a\.parquet/,
  },
  { what: 'an unknown format', file: 'a.txt', content: good, reason: 'INVALID_ARGUMENT', place: /a\.txt/ },
];

describe('a fault in the input', () => {
  it.each(faults.map(fault => [fault.what, fault] as const))(
    '%s ends with 2, file and row, no text or id, nothing left behind',
    async (_, fault) => {
      const { at, run, left } = place({ [fault.file]: fault.content });
      const before = left();
      // The options of the fault come last, so that they win.
      const path = join(at, fault.file);
      const argv = [
        'select',
        path,
        ...rule,
        '--out',
        join(at, 'out.arrow'),
        '--tmp-dir',
        join(at, 'tmp'),
        '--json',
      ];
      const found = failure(
        fault.argv === undefined ? await run(path) : await runCli(...argv, ...fault.argv),
      );
      expect(found).toMatchObject({ code: 2, reason: fault.reason });
      expect(found.message).toMatch(fault.place);
      expect(found.message).toContain(fault.reason === 'INVALID_ARGUMENT' ? 'a.txt' : fault.file);
      expect(found.message).not.toContain(secret);
      expect(left()).toEqual(before);
    },
  );

  it.each(faults.filter(({ file, reason }) => /csv|jsonl/.test(file) && reason !== 'INVALID_ARGUMENT'))(
    'duckdb gives the code of builtin for $what',
    async fault => {
      const { at, left } = place({ [fault.file]: fault.content });
      const before = left();
      const argv = [
        join(at, fault.file),
        ...rule,
        '--out',
        join(at, 'out.arrow'),
        '--tmp-dir',
        join(at, 'tmp'),
      ];
      const outcome = await runCli('select', ...argv, '--engine', 'duckdb', '--json', ...(fault.argv ?? []));
      const found = failure(outcome);
      expect(found).toMatchObject({ code: 2, reason: fault.reason });
      expect(found.message).not.toContain(secret);
      expect(left()).toEqual(before);
    },
  );

  it('a missing file, an empty folder and a pattern without files are missing input', async () => {
    const { at, run, left } = place({});
    for (const path of ['none.csv', '', '*.csv']) {
      expect(failure(await run(join(at, path)))).toMatchObject({ code: 2, reason: 'MISSING_FILE' });
    }
    expect(left()).toEqual(['tmp']);
  });

  it('two schemas are bad data that names the second file', async () => {
    const { at, run, left } = place({ 'a.csv': header + good, 'b.csv': `user,record_id\n${secret},9\n` });
    const found = failure(await run(join(at, '*.csv')));
    expect(found).toMatchObject({ code: 2, reason: 'INVALID_DATA' });
    expect(found.message).toMatch(/b\.csv: column "text" lacks/);
    expect(left()).toEqual(['a.csv', 'b.csv', 'tmp']);
  });
});

describe('policies', () => {
  it('skip leaves faulty rows out and counts them by reason', async () => {
    const content = line({}) + line({ ...second, text: 'a\0b' }) + 'no\n' + line({ record_id: '3' });
    const { at, run } = place({ 'a.jsonl': content });
    const { code, stdout } = await run(join(at, 'a.jsonl'), '--on-error', 'skip');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ recordsIn: 2, skipped: { NUL: 1, 'invalid JSON': 1 } });
  });

  it('drop leaves rows without a user out and counts them', async () => {
    const { at, run } = place({
      'a.jsonl': line({}) + line({ ...second, user: null }) + line({ ...second, user: '' }),
    });
    const { code, stdout } = await run(join(at, 'a.jsonl'), '--null-users', 'drop');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ recordsIn: 3, recordsKept: 1, dropped: { nullUsers: 2 } });
  });

  it('keep-first leaves repeated ids out and counts them', async () => {
    const { at, run } = place({ 'a.csv': header + good + good });
    const { code, stdout } = await run(join(at, 'a.csv'), '--duplicates', 'keep-first');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ recordsKept: 1, dropped: { duplicates: 1 } });
  });

  it('byte order mark and CRLF are no faults', async () => {
    const { at, run } = place({ 'a.csv': `\ufeff${(header + good).replaceAll('\n', '\r\n')}` });
    const { code, stdout } = await run(join(at, 'a.csv'));
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { users: 1, recordsKept: 1 }]);
  });
});

describe('the output', () => {
  it('is never overwritten unless forced, neither table nor manifest', async () => {
    const { at, run, left } = place({ 'a.csv': header + good });
    expect((await run(join(at, 'a.csv'))).code).toBe(0);
    const before = left();
    const again = failure(await run(join(at, 'a.csv')));
    expect(again).toMatchObject({ code: 5, reason: 'OUTPUT_EXISTS' });
    expect(again.message).toContain('out.arrow');
    expect(left()).toEqual(before);
    expect((await run(join(at, 'a.csv'), '--force')).code).toBe(0);
  });

  it('is refused where only the manifest is there', async () => {
    const { at, run, left } = place({ 'a.csv': header + good, 'out.arrow.manifest.json': '{}' });
    expect(failure(await run(join(at, 'a.csv')))).toMatchObject({ code: 5, reason: 'OUTPUT_EXISTS' });
    expect(left()).toEqual(['a.csv', 'out.arrow.manifest.json', 'tmp']);
  });

  it('cannot be the input, a format that loses types, or in a folder that is not there', async () => {
    const { at, left } = place({ 'a.csv': header + good });
    await writeTable(textTable({ user: ['a'], record_id: ['1'] }), join(at, 'in.arrow'));
    const before = left();
    const to = (out: string, ...argv: string[]): Promise<Outcome> =>
      runCli('select', join(at, 'in.arrow'), ...rule, '--out', out, '--json', ...argv);
    expect(failure(await to(join(at, 'in.arrow'), '--force'))).toMatchObject({ reason: 'INVALID_ARGUMENT' });
    expect(failure(await to(join(at, 'out.csv')))).toMatchObject({ code: 2, reason: 'INVALID_ARGUMENT' });
    expect(failure(await to(join(at, 'no/out.arrow')))).toMatchObject({ code: 2, reason: 'OUTPUT_FAILED' });
    expect(left()).toEqual(before);
  });
});

describe('users', () => {
  it('one user with everything keeps k records', async () => {
    const rows = Array.from({ length: 50 }, (_, i) => `ada,${i},t${i}\n`).join('');
    const { at, run } = place({ 'a.csv': header + rows });
    const { stdout } = await run(join(at, 'a.csv'));
    expect(JSON.parse(stdout)).toMatchObject({
      users: 1,
      recordsKept: 2,
      maxPerUser: 2,
      statistics: { before: { gini: 0, topPercentShare: 1, maximum: 50 } },
    });
  });

  it('ids that differ by case are reported, not joined, unless asked', async () => {
    const content = `${header}Ada,1,x\nada,2,y\nada,3,z\n`;
    const { at, run } = place({ 'a.csv': content });
    const plain = JSON.parse((await run(join(at, 'a.csv'))).stdout);
    expect(plain).toMatchObject({ users: 2, recordsKept: 3, statistics: { similarUsers: 2 } });
    expect(String(plain.warnings)).toContain('2 user ids differ from another by case');
    expect(String(plain.warnings)).not.toContain('Ada');
    const { stdout } = await run(join(at, 'a.csv'), '--force', '--user-normalize', 'lower');
    expect(JSON.parse(stdout)).toMatchObject({ users: 1, recordsKept: 2, warnings: [] });
    const survey = await runJson('select', join(at, 'a.csv'), '--dry-run');
    expect(survey).toMatchObject({ userIds: { groups: 1, ids: 2 } });
  });
});
