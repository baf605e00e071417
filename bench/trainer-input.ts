import { packUnits, physicalLimits } from '../trainer/batches.ts';
import { drawRecords, tokeniseRows, type TextRow } from '../trainer/data.ts';
import { openEngine } from '../trainer/engines/open.ts';
import { gpt2Tokenizer } from '../trainer/model/tokenizer.ts';
import { inTurn } from './measure.ts';
import { adapters, models, openSteps } from './trainer-models.ts';

const words =
  'the letter was sent on a cold morning and nobody in town could say who had written it or why'.split(' ');

/** As many users as a step has rows, with twenty records each of about as many tokens as a row. */
function someRows(users: number, tokens: number): TextRow[] {
  return Array.from({ length: users * 20 }, (_, row) => {
    const text = Array.from({ length: tokens }, (_, place) => words[(row * 31 + place * 7) % words.length]!);
    return { user: `u${row % users}`, id: `r${row}`, text: text.join(' ') };
  });
}

/**
 * What the input side of one step costs: reading the text of the records that it takes, choosing them among each
 * user's records, and laying them out. Training reads text once, before the first step; here every step does.
 */
export async function inputSide(): Promise<object> {
  const model = models.tiny;
  const { contextLength, vocabularySize } = model.config;
  const tokenizer = await gpt2Tokenizer();
  const rows = someRows(model.rows, model.tokens);
  const users = tokeniseRows(rows, tokenizer);
  const drawn = rows.slice(0, model.rows);
  const rule = {
    strategy: 'random',
    seed: '1',
    recordsPerUser: 1,
    tokensPerUser: null,
    chunkTokens: null,
  } as const;
  const limits = physicalLimits({ contextLength, vocabularySize });
  const packing = { contextLength, endOfText: tokenizer.endOfText, limits };
  const steps = await openSteps(await openEngine({ threads: 1 }), {
    model,
    lora: adapters,
    kinds: ['record'],
  });
  const drawAll = (): void => {
    const chosen = users.map(user => drawRecords(user, rule).map(record => record.tokens));
    packUnits(chosen, packing);
  };
  const seconds = await inTurn(
    new Map([
      ['step', () => steps.run('record')],
      ['tokenise', async () => void tokeniseRows(drawn, tokenizer)],
      ['select and lay out', async () => drawAll()],
    ] as const),
    { repeats: 21 },
  );
  const spent = seconds.get('tokenise')!.cpu + seconds.get('select and lay out')!.cpu;
  const share = Number((spent / seconds.get('step')!.cpu).toFixed(4));
  return { seconds: Object.fromEntries(seconds), ratios: { share }, bars: { share: 0.05 } };
}
