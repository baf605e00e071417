import type { UserTokens } from '../../trainer/data.ts';
import { tokeniseRows } from '../../trainer/data.ts';
import type { Engine } from '../../trainer/engines/engine.ts';
import { openEngine } from '../../trainer/engines/open.ts';
import type { LanguageModel } from '../../trainer/language-model.ts';
import { initialiseParameters, type LoraConfig, type ModelSpec } from '../../trainer/model/gpt.ts';
import { byteTokenizer } from '../../trainer/model/tokenizer.ts';

const config: ModelSpec['config'] = {
  vocabularySize: 257,
  contextLength: 32,
  layers: 1,
  width: 16,
  heads: 2,
};

/** A model of some 9,000 values with fixed starting parameters. */
export function tinyModel(lora: LoraConfig | null = null): LanguageModel {
  const spec = { config, lora };
  return {
    spec,
    parameters: initialiseParameters(spec, { seed: 'tiny' }),
    tokenizer: byteTokenizer(),
    provenance: { trainedOn: 'public', tokenizer: 'bytes' },
  };
}

let engine: Promise<Engine> | undefined;

/** One engine for all tests of a file, so that each shape is compiled once. */
export function tinyEngine(): Promise<Engine> {
  engine ??= openEngine({ threads: 1 });
  return engine;
}

const words = ['the rain', 'it falls', 'on stones', 'and roofs', 'all night', 'until dawn'];

/** Users with one to five records of a few words each; some records are empty, some longer than the context. */
export function textUsers(count: number): UserTokens[] {
  const rows = Array.from({ length: count }, (_, user) =>
    Array.from({ length: 1 + ((user * 7) % 5) }, (_, record) => {
      const length = (user * 3 + record * 5) % 6;
      const text = Array.from({ length }, (_, place) => words[(user + record + place) % words.length]).join(
        ' ',
      );
      return { user: `user ${user}`, id: `${record}`, text };
    }),
  );
  return tokeniseRows(rows.flat(), byteTokenizer());
}
