import { basename } from 'node:path';
import type { Command } from 'commander';
import { openTokenizer, pretrain } from '../../trainer/index.ts';
import { saveModel } from '../../trainer/model/weights.ts';
import { count, positive, required } from '../arguments.ts';
import { createCommand, type CommonOptions, type Deliver, type Surroundings } from '../command.ts';
import { addEngineOption, chosenEngine, type EngineOption } from '../engines.ts';
import { checkAbsent } from '../files.ts';
import { addModelOptions, configOf, type ModelOptions } from '../models.ts';
import type { Answer } from '../output.ts';
import { trainingProgress } from '../progress.ts';
import { readTexts, type TableOptions } from '../table.ts';

const verb = 'pretrain';

interface PretrainCommandOptions
  extends Pick<TableOptions, 'text' | 'format'>, CommonOptions, ModelOptions, EngineOption {
  readonly out?: string;
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly seed: string;
  readonly force?: true;
}

async function run(path: string, options: PretrainCommandOptions, around: Surroundings): Promise<Answer> {
  const out = required(options.out, { verb, name: '--out', example: 'public-model' });
  checkAbsent(out, { verb, force: options.force === true });
  const texts = await readTexts(path, options);
  const tokenizer = await openTokenizer(options.tokenizer);
  const { steps, batchSize, learningRate, seed } = options;
  const { model, lossCurve, seconds } = await pretrain({
    texts,
    corpus: basename(path),
    config: configOf(options, tokenizer),
    tokenizer,
    engine: await chosenEngine(options, around.note),
    settings: { steps, batchSize, learningRate, seed },
    signal: around.signal,
    onProgress: trainingProgress(around.progress, 'pretraining'),
  });
  await saveModel(out, model);
  const loss = lossCurve.at(-1)!.loss;
  return {
    json: { model: out, records: texts.length, steps, loss, seconds },
    text: `Trained on ${texts.length} records in ${steps} steps, ${seconds.toFixed(1)} s; last loss ${loss.toFixed(3)} nats per token. The model is in ${out}, marked as trained on public text.`,
  };
}

/** `privacy-unit pretrain`: a small public model to start from. */
export function pretrainCommand(deliver: Deliver): Command {
  const command = createCommand('pretrain', {
    summary: 'train a small model on public text, without privacy',
    description:
      'Makes a starting model and a scorer for perplexity-based selection. Only for text that anyone may read: nothing here protects anybody.',
    examples: [
      'pretrain books.parquet --text text --out public-model',
      'pretrain public.jsonl --layers 4 --width 128 --heads 8 --steps 2000 --out public-model --json',
    ],
  })
    .argument('<TABLE>', 'Arrow, Parquet, JSONL or CSV of public text, one record a row')
    .optionsGroup('Table:')
    .option('--text <column>', 'column of the text (default: text)')
    .option('--format <name>', "arrow, parquet, jsonl or csv (default: by the file's extension)")
    .optionsGroup('Training:')
    .option('--steps <n>', 'steps, a whole number', count('--steps'), 500)
    .option('--batch-size <b>', 'records a step, a whole number', count('--batch-size'), 32)
    .option('--learning-rate <r>', 'highest learning rate, above 0', positive('--learning-rate'), 0.003)
    .option('--seed <text>', 'seed of parameters and shuffling', '42')
    .optionsGroup('Output:')
    .option('--out <folder>', 'where the model goes (required)')
    .option('--force', 'overwrite a model (default: refuse)');
  return addEngineOption(addModelOptions(command)).action((path: string, options: PretrainCommandOptions) =>
    deliver(options, around => run(path, options, around)),
  );
}
