import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { openTokenizer, pretrain, type LanguageModel, type Tokenizer } from '../../trainer/index.ts';
import type { Engine } from '../../trainer/engines/engine.ts';
import { saveModel } from '../../trainer/model/weights.ts';
import type { Surroundings } from '../command.ts';
import { fullDemo } from '../demo/settings.ts';
import { openSource, type DemoSource } from '../demo/source.ts';
import { configOf, publicModel, startModel } from '../models.ts';
import { trainingProgress } from '../progress.ts';
import { selectedTable } from '../selected-table.ts';
import type { StudyQuestion } from './question.ts';

const builtInLabel = 'Built-in sample corpus, private half (invented people)';

/** A study makes its own selections, and could not account for one that it does not know. */
async function refuseSelected(path: string): Promise<void> {
  if ((await selectedTable(path)) === undefined) return;
  throw new DpError(
    'INVALID_DATA',
    `Cannot study ${path}: a manifest beside it says that it was selected already. Give the table as it was before.`,
  );
}

/** The table of a study: a real one, or the built-in corpus, which is written into the folder once. */
export async function openStudySource(question: StudyQuestion, folder: string): Promise<DemoSource> {
  const { table, columns } = question;
  const { users } = fullDemo;
  if (table !== undefined) {
    await refuseSelected(table);
    return openSource(folder, { data: table, columns, users });
  }
  const written = join(folder, 'corpus-private.arrow');
  mkdirSync(folder, { recursive: true });
  const data = existsSync(written) ? written : undefined;
  // The public half alone is what is left where writing was cut off.
  if (data === undefined) rmSync(join(folder, 'corpus-public.arrow'), { force: true });
  const source = await openSource(folder, { data, columns: {}, users });
  return { ...source, label: builtInLabel };
}

/** The tokenizer of the starting model, which may not be there yet. */
export async function tokenizerOf(
  { newModel }: StudyQuestion,
  given: LanguageModel | undefined,
): Promise<Tokenizer> {
  return given?.tokenizer ?? openTokenizer(newModel.tokenizer);
}

/** The starting model that was asked for by name; undefined where the study makes its own. */
export async function givenModel({ model, start }: StudyQuestion): Promise<LanguageModel | undefined> {
  return model === undefined ? undefined : startModel(model, { ...start, verb: 'study' });
}

async function makeModel(
  question: StudyQuestion,
  { texts, engine, around }: { texts: readonly string[]; engine: Engine; around: Surroundings },
): Promise<LanguageModel> {
  const { newModel, pretrainingSteps, seed } = question;
  const tokenizer = await openTokenizer(newModel.tokenizer);
  const { model } = await pretrain({
    texts,
    corpus: 'built-in sample corpus, public half',
    config: configOf(newModel, tokenizer),
    tokenizer,
    engine,
    settings: { ...fullDemo.pretraining, steps: pretrainingSteps, seed },
    signal: around.signal,
    onProgress: trainingProgress(around.progress, 'pretraining on public text'),
  });
  return model;
}

/** A small model made from public text, kept in the folder so that every run of the study starts from the same one. */
export async function ownModel(
  question: StudyQuestion,
  parts: { folder: string; texts: readonly string[]; engine: Engine; around: Surroundings },
): Promise<LanguageModel> {
  const kept = join(parts.folder, 'public-model');
  if (!existsSync(kept)) {
    const unfinished = `${kept}.part`;
    rmSync(unfinished, { recursive: true, force: true });
    await saveModel(unfinished, await makeModel(question, parts));
    renameSync(unfinished, kept);
  }
  return publicModel(kept, 'study');
}
