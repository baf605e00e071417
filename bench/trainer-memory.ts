import type { Plan } from '../accounting/plan.ts';
import type { UserTokens } from '../trainer/data.ts';
import { openEngine } from '../trainer/engines/open.ts';
import { byteTokenizer } from '../trainer/model/tokenizer.ts';
import { initialiseParameters } from '../trainer/model/gpt.ts';
import { train } from '../trainer/train.ts';

const steps = 2000;

/** Users of one to four records, of a few tokens to more than the context. */
function someUsers(): UserTokens[] {
  return Array.from({ length: 60 }, (_, user) => ({
    user: `u${user}`,
    records: Array.from({ length: 1 + (user % 4) }, (_, record) => ({
      id: `${user}.${record}`,
      tokens: Int32Array.from(
        { length: 3 + ((user * 17 + record * 29) % 40) },
        (_, place) => (place * 7 + user) % 256,
      ),
    })),
  }));
}

function planOf(users: readonly UserTokens[]): Plan {
  const records = users.reduce((sum, user) => sum + user.records.length, 0);
  return {
    format: 'privacy-unit/plan',
    version: 1,
    mechanism: 'user-wise',
    neighbours: 'add-or-remove',
    unit: { protection: 'user', recordsPerUser: 4 },
    population: { users: users.length, records },
    sampler: { kind: 'poisson', over: 'users', samplingProbability: 0.1, expectedBatchSize: 6 },
    clipNorm: 1,
    noiseMultiplier: 1,
    steps,
    delta: 1e-5,
    targetEpsilon: null,
    groupConversion: 'none',
    selection: {
      strategy: 'random',
      seed: '1',
      tokensPerUser: null,
      chunkTokens: null,
      when: 'once',
      privacyCost: [],
    },
    heldOut: { fraction: 0, seed: '1' },
  };
}

/** The whole trainer over 2,000 steps: memory after every 250 of them, garbage collected where Node lets us. */
export async function longRun(): Promise<object> {
  const users = someUsers();
  const config = { vocabularySize: 257, contextLength: 32, layers: 2, width: 32, heads: 2 };
  const spec = { config, lora: null };
  const tokenizer = byteTokenizer();
  const parameters = initialiseParameters(spec, { seed: 1 });
  const provenance = { trainedOn: 'public', tokenizer: tokenizer.name, corpus: 'none' } as const;
  const resident: number[] = [];
  await train({
    plan: planOf(users),
    users,
    heldOut: [],
    model: { spec, parameters, tokenizer, provenance },
    engine: await openEngine({ threads: 1 }),
    onProgress: ({ step }) => {
      if (step % 250 !== 0) return;
      globalThis.gc?.();
      resident.push(Math.round(process.memoryUsage.rss() / 2 ** 20));
    },
  });
  const growth = resident.at(-1)! / resident[1]!;
  return {
    'resident after every 250 steps, MB': resident,
    ratios: { 'after 2000 against after 500': Number(growth.toFixed(3)) },
    bars: { 'after 2000 against after 500': 1.05 },
  };
}
