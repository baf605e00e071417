import { DpError } from '../accounting/check.ts';
import type { ScorerRecord } from './manifest.ts';
import type { RecordColumns } from './records.ts';
import { type CapRule, usesScores } from './rule.ts';
import type { SelectionChoice } from './safety.ts';

/** Whether a model or column was made from public data alone, or from the private table. */
export type Provenance = 'public' | 'private';

/** Scores texts by perplexity under a frozen model. */
export interface Scorer {
  readonly provenance: Provenance;
  readonly name: string;
  /** Hash of the model's weights and tokenizer. */
  readonly hash: string;
  /** One finite or infinite number a text, never NaN; it must not depend on which other texts come along. */
  score(texts: readonly string[]): Promise<Float64Array>;
}

/** Where scores are to come from. */
export interface ScoreSource {
  readonly scorer?: Scorer | undefined;
  readonly columns: RecordColumns;
  /** The user's declaration about the score column. */
  readonly scoreProvenance?: Provenance | undefined;
  /** A private score is taken where its cost is among them, under the name "score". */
  readonly choices?: readonly SelectionChoice[] | undefined;
}

function refusal(what: string): DpError {
  return new DpError(
    'INVALID_ARGUMENT',
    `Cannot select by perplexity: ${what}. A score that saw the private table spends privacy nobody counted; use one from public data, or give the cost of a private one.`,
  );
}

/** True where the choices say what a private score cost; `privacyCostOf` checks the cost itself. */
function isPaidFor({ choices = [] }: ScoreSource): boolean {
  return choices.some(choice => choice.name === 'score' && choice.origin.kind === 'private');
}

/**
 * Refuses a scorer that is neither declared public nor paid for: ranking by a model trained on the private table would
 * leak other users into each user's selection.
 *
 * @returns what the manifest says about the scorer; null where the strategy needs none
 */
export function checkScoreSource(rule: CapRule, source: ScoreSource): ScorerRecord | null {
  if (!usesScores(rule.strategy)) return null;
  const { scorer, columns, scoreProvenance } = source;
  if (scorer !== undefined) {
    const { provenance, name, hash } = scorer;
    if (provenance !== 'public' && !isPaidFor(source))
      throw refusal(`the scorer's provenance is "${provenance}"`);
    return { source: 'model', provenance, name, hash };
  }
  if (columns.score === undefined) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot select by ${rule.strategy}: there is neither a scorer nor a score column. Give one.`,
    );
  }
  const isPaid = scoreProvenance === 'private' && isPaidFor(source);
  if (scoreProvenance !== 'public' && !isPaid) {
    throw refusal(
      `the provenance of score column ${JSON.stringify(columns.score)} is ${scoreProvenance === undefined ? 'not declared' : `"${scoreProvenance}"`}`,
    );
  }
  return { source: 'column', provenance: isPaid ? 'private' : 'public', name: columns.score, hash: null };
}
