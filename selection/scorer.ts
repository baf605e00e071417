import { DpError } from '../accounting/check.ts';
import type { ScorerRecord } from './manifest.ts';
import { groupByUser, type RecordColumns, type Records, rowsOfUser } from './records.ts';
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
  /** One finite or infinite number a text, never NaN. */
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

/** Texts handed to a scorer at once. */
const scoredAtOnce = 256;

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

/** Rows of users for whom the cap may bind; the others are kept whatever their scores. */
function contested(records: Records, rule: CapRule): Int32Array {
  const groups = groupByUser(records);
  const { recordsPerUser, tokensPerUser = null } = rule;
  if (tokensPerUser !== null || recordsPerUser === null) return groups.rows;
  return groups.rows.filter(row => {
    const user = records.userOf[row]!;
    return rowsOfUser(groups, user).length > recordsPerUser;
  });
}

/** Scores the records among which a choice has to be made; 0 for all others. */
export async function scoreRecords(
  records: Records,
  rule: CapRule,
  options: { scorer: Scorer; onProgress?: (done: number, total: number) => void },
): Promise<Float64Array> {
  const { scorer, onProgress } = options;
  const rows = contested(records, rule);
  const scores = new Float64Array(records.rowCount);
  for (let start = 0; start < rows.length; start += scoredAtOnce) {
    const some = rows.subarray(start, start + scoredAtOnce);
    const found = await scorer.score(Array.from(some, row => records.textAt(row)));
    if (found.length !== some.length) {
      throw new DpError(
        'ENGINE_FAILED',
        `Cannot score records: the scorer gave ${found.length} scores for ${some.length} texts. Mend the scorer.`,
      );
    }
    for (const [index, row] of some.entries()) scores[row] = found[index]!;
    onProgress?.(start + some.length, rows.length);
  }
  return scores;
}
