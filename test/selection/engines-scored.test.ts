import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openBuiltin } from '../../selection/engines/builtin.ts';
import type { SelectionRequest } from '../../selection/engines/engine.ts';
import { writeTable } from '../../selection/tables/index.ts';
import { openTables, type TableSource } from '../../selection/tables/table-source.ts';
import { freeOutput, requestOn } from './engine-checks.ts';
import { failureOf, type PlainRecord, recordsTable, someRecords, temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();
const tokenizer = {
  name: 'bytes',
  hash: 'none',
  encode: (text: string) => Int32Array.from(Buffer.from(text)),
  decode: (ids: Int32Array) => Buffer.from(Uint8Array.from(ids)).toString(),
};
const rule = { strategy: 'highest-perplexity', seed: '42', recordsPerUser: 2 } as const;

/** Rows in up to three files, so that there are several batches. */
async function opened(rows: readonly PlainRecord[]): Promise<TableSource> {
  const into = mkdtempSync(join(folder, 'in-'));
  const [first, second] = [Math.ceil(rows.length / 2), Math.ceil((2 * rows.length) / 3)];
  const parts = [rows.slice(0, first), rows.slice(first, second), rows.slice(second)];
  const paths: string[] = [];
  for (const part of parts.filter(some => some.length > 0)) {
    paths.push(join(into, `${paths.length}.arrow`));
    await writeTable(recordsTable(part), paths.at(-1)!);
  }
  return openTables(paths);
}

/** A scorer that knows the scores of texts, and notes what it was asked. */
class TableScorer {
  readonly asked: (readonly string[])[] = [];
  readonly #scores: ReadonlyMap<string, number>;

  constructor(rows: readonly PlainRecord[]) {
    this.#scores = new Map(rows.map(({ text, score }) => [text, score]));
  }

  async score(some: readonly string[]): Promise<Float64Array> {
    this.asked.push([...some]);
    return Float64Array.from(some, text => this.#scores.get(text)!);
  }
}

/** Records whose texts tell them apart. */
const distinct = someRecords.map(rows => rows.map((row, place) => ({ ...row, text: `${place}${row.text}` })));

async function written(request: SelectionRequest): Promise<Buffer> {
  const output = freeOutput(folder, 'arrow');
  await openBuiltin().select(request, output);
  return readFileSync(output.path);
}

const someRules = fc.record({
  rows: distinct,
  strategy: fc.constantFrom('highest-perplexity', 'lowest-perplexity'),
  recordsPerUser: fc.integer({ min: 1, max: 5 }),
  tokensPerUser: fc.option(fc.integer({ min: 1, max: 30 })),
  tokenPolicy: fc.constantFrom('stop', 'truncate'),
  memoryLimit: fc.constantFrom(1000, 2 ** 30),
} as const);

describe('a model that scores records', () => {
  it('leaves the output that a column of its scores leaves, byte for byte', async () => {
    await fc.assert(
      fc.asyncProperty(someRules, async ({ rows, memoryLimit, ...caps }) => {
        const source = await opened([...rows, { user: '', id: 'none', text: 'of nobody', score: 9 }]);
        const columns = { user: 'user', id: 'id', text: 'text' };
        const common = {
          folder,
          rule: { ...rule, ...caps },
          tokenizer,
          memoryLimit,
          nullUsers: 'drop',
        } as const;
        const byColumn = await written(
          requestOn(source, { ...common, columns: { ...columns, score: 'score' } }),
        );
        const scorer = new TableScorer(rows);
        expect((await written(requestOn(source, { ...common, columns, scorer }))).equals(byColumn)).toBe(
          true,
        );
        expect(new Set(scorer.asked.flat())).toEqual(contested(rows, common.rule));
      }),
      { numRuns: 80 },
    );
  });

  it('is asked 256 texts at a time, each once, in the order of the table', async () => {
    const rows = Array.from({ length: 700 }, (_, i) => {
      return { user: i % 7 === 0 ? `u${i}` : 'ada', id: `${i}`, text: `text ${i}`, score: i % 13 };
    });
    const scorer = new TableScorer(rows);
    const stages: (number | undefined)[][] = [];
    await written(
      requestOn(await opened(rows), {
        folder,
        rule,
        scorer,
        onProgress: (stage, done, total) => {
          if (stage === 'score') stages.push([done, total]);
        },
      }),
    );
    expect(scorer.asked.map(some => some.length)).toEqual([256, 256, 88]);
    expect(scorer.asked.flat()).toEqual(rows.filter(({ user }) => user === 'ada').map(({ text }) => text));
    expect(stages).toEqual([
      [undefined, undefined],
      [256, 600],
      [512, 600],
      [600, 600],
    ]);
  });

  it('is not asked where no cap binds', async () => {
    const rows = [{ user: 'ada', id: '1', text: 'a', score: 1 }];
    const scorer = new TableScorer(rows);
    const source = await opened(rows);
    const counts = await openBuiltin().select(
      requestOn(source, { folder, rule, scorer }),
      freeOutput(folder, 'arrow'),
    );
    expect([counts.recordsIn, scorer.asked]).toEqual([1, []]);
  });

  it('is stopped where its answer is no score, or the run is interrupted', async () => {
    const rows = ['a', 'b', 'c'].map(text => ({ user: 'ada', id: text, text, score: 1 }));
    const source = await opened(rows);
    const aborted = new AbortController();
    const failing = [
      [async () => Float64Array.of(1, NaN, 2), 'INVALID_DATA'],
      [async () => Float64Array.of(1, 2), 'ENGINE_FAILED'],
      [async () => Promise.reject(new Error('no memory')), undefined],
    ] as const;
    for (const [score, code] of failing) {
      const run = written(requestOn(source, { folder, rule, scorer: { score } }));
      if (code === undefined) await expect(run).rejects.toThrow('no memory');
      else expect((await failureOf(() => run)).code).toBe(code);
    }
    const many = Array.from({ length: 300 }, (_, i) => ({ user: 'ada', id: `${i}`, text: `${i}`, score: 1 }));
    const interrupting = {
      score: async (some: readonly string[]) => {
        aborted.abort();
        return new Float64Array(some.length);
      },
    };
    const { signal } = aborted;
    const request = requestOn(await opened(many), { folder, rule, scorer: interrupting, signal });
    expect((await failureOf(() => written(request))).code).toBe('INTERRUPTED');
  });
});

/** Texts of users for whom a cap may bind. */
function contested(
  rows: readonly PlainRecord[],
  caps: { readonly recordsPerUser: number; readonly tokensPerUser: number | null },
): Set<string> {
  const own = (user: string): number => rows.filter(row => row.user === user).length;
  const may = rows.filter(({ user }) => caps.tokensPerUser !== null || own(user) > caps.recordsPerUser);
  return new Set(may.map(({ text }) => text));
}
