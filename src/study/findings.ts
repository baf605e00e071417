import { version } from '../version.ts';
import { choicesOf, chosenBy, type Choice } from './choices.ts';
import { breakEvenLines, type BreakEvenLine } from './break-even.ts';
import { composeRuns, type Composition } from './composition.ts';
import type { Configuration } from './folder.ts';
import type { PlannedStudy } from './plans.ts';
import type { RunResult } from './results.ts';
import { summarise, type Summary } from './summary.ts';

/** Everything that a study found out. */
export interface StudyFindings {
  readonly format: 'privacy-unit/study';
  readonly version: 1;
  readonly code: string;
  readonly source: string;
  readonly configuration: Configuration;
  readonly repetitions: number;
  readonly delta: number;
  readonly population: PlannedStudy['population'];
  readonly engine: string;
  readonly summaries: readonly Summary[];
  readonly breakEven: readonly BreakEvenLine[];
  readonly composition: Composition;
  /** Where settings were tried: all of them, and which were kept. Summaries and lines are of these. */
  readonly choices: readonly Choice[];
  /** Runs that are there, of those that the study makes; absent in the report of a finished study. */
  readonly progress?: { readonly done: number; readonly of: number };
  readonly notes: readonly string[];
  /** Parts computed from private text without noise: to be kept out of anything that is published. */
  readonly notPrivate: readonly string[];
  readonly runs: readonly RunResult[];
}

/** What is known beside the results. */
export type StudyFacts = Pick<
  StudyFindings,
  'source' | 'configuration' | 'repetitions' | 'delta' | 'population' | 'engine'
> & { readonly notes: readonly string[]; readonly progress?: { readonly done: number; readonly of: number } };

function seedNotes(repetitions: number): string[] {
  if (repetitions === 1)
    return ['there is one run of each cell: nothing can be said about chance. Give --seeds 3 or more.'];
  if (repetitions === 2)
    return ['two runs of each cell are too few: their intervals are very wide. Give --seeds 3 or more.'];
  return [];
}

/** A delta near 1/users is all that few users allow; the reader has to know how little that is. */
function deltaNotes({ delta, population: { users } }: StudyFacts): string[] {
  if (delta * users < 0.1) return [];
  return [
    `delta ${delta} is close to 1/users with ${users} users: a mechanism that publishes each user outright with that probability satisfies it.`,
  ];
}

function progressNotes({ progress }: StudyFacts): string[] {
  if (progress === undefined) return [];
  return [`this is a report of ${progress.done} of ${progress.of} runs: the study is not finished.`];
}

/** Puts results and facts together, those of an unfinished study as well. */
export function findingsOf(runs: readonly RunResult[], facts: StudyFacts): StudyFindings {
  const choices = choicesOf(runs);
  const kept = runs.filter(chosenBy(choices));
  return {
    format: 'privacy-unit/study',
    version: 1,
    code: `privacy-unit ${version}`,
    ...facts,
    summaries: summarise(kept),
    breakEven: breakEvenLines(kept),
    composition: composeRuns(runs, facts.delta),
    choices,
    notes: [...progressNotes(facts), ...facts.notes, ...seedNotes(facts.repetitions), ...deltaNotes(facts)],
    notPrivate: [
      'population',
      'summaries',
      'breakEven',
      'choices',
      'runs.perplexity',
      'runs.validation',
      'runs.lossCurve',
    ],
    runs,
  };
}
