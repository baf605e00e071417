import { checkCount, DpError } from '../../check.ts';
import { verb } from './arguments.ts';
import { countByThreshold, guessByThreshold, rankingOf, scoresWhere } from './guesses.ts';
import { liftedEstimate, type Outcomes } from './lifted.ts';
import { type Asked, examiners, type Finding, isGuessing, type RowMethod } from './methods.ts';
import { oneShotBound, oneShotEstimate } from './one-shot.ts';
import type { SettledOptions } from './options.ts';
import type { ScoreColumns } from './rows.ts';
import {
  checkCut,
  type Cut,
  type CutRule,
  cutsOfShares,
  cutsOfThresholds,
  halvesOf,
  thresholdsOf,
  usualShares,
} from './thresholds.ts';

/** What all cuts together show. */
export interface Examination {
  /** The finding with the largest ε. */
  readonly best: Finding;
  /** All cuts that were tried on the rows that decide. */
  readonly findings: readonly Finding[];
  /** What each of them was allowed to err. */
  readonly level: number;
}

function refused(reason: string, advice: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${reason}. ${advice}.`);
}

function bestOf(findings: readonly Finding[]): Finding {
  return findings.reduce((best, next) => (next.answer.epsilon > best.answer.epsilon ? next : best));
}

/** Applies the method under the rule for cuts. */
export function examine(
  columns: ScoreColumns,
  options: SettledOptions,
  claim: Omit<Asked, 'level'>,
): Examination {
  const { method, significance: level } = options;
  if (method === 'one-shot') return alone(oneShot(columns, options, { ...claim, level }), level);
  if (method === 'lifted') return alone(lifted(columns, options, { ...claim, level }), level);
  const { cuts: rule } = options;
  if (rule.rule === 'split') return bySplit(columns, { method, ...rule }, { ...claim, level });
  const cuts = fixedCuts(rule, method, columns.scores.length);
  const look = examiners[method](columns);
  const findings = cuts.map(cut => look(cut, { ...claim, level: level / cuts.length }));
  return { best: bestOf(findings), findings, level: level / cuts.length };
}

function alone(best: Finding, level: number): Examination {
  return { best, findings: [best], level };
}

function fixedCuts(
  rule: Exclude<CutRule, { rule: 'split' }>,
  method: RowMethod,
  canaries: number,
): readonly Cut[] {
  if (rule.rule === 'preregistered') return [checkCut(rule.cut, canaries)];
  if ('thresholds' in rule) return cutsOfThresholds(rule.thresholds);
  if (isGuessing(method)) return cutsOfShares(rule.shares, canaries);
  throw refused(`${rule.shares.length} shares are no thresholds`, 'Give thresholds for this method');
}

type Split = Extract<CutRule, { rule: 'split' }> & { readonly method: RowMethod };

/** Chooses on one half and decides on the other; a share is one of the canaries of the half. */
function bySplit(columns: ScoreColumns, split: Split, asked: Asked): Examination {
  const { method } = split;
  const { choosing, testing } = halvesOf(columns);
  const { shares = usualShares, thresholds = thresholdsOf(choosing) } = split;
  const cutsFor = ({ length }: Float64Array): readonly Cut[] =>
    isGuessing(method)
      ? shares.flatMap(share => cutsOfShares([share], length))
      : cutsOfThresholds(thresholds);
  // Estimates are slow, and choose no better than the bound.
  const look = examiners[isGuessing(method) ? method : 'rates'](choosing);
  const tried = cutsFor(choosing.scores).map(cut => look(cut, asked).answer.epsilon);
  const place = tried.indexOf(tried.reduce((most, epsilon) => Math.max(most, epsilon)));
  const cut = cutsFor(testing.scores)[place]!;
  return alone(examiners[method](testing)(cut, asked), asked.level);
}

function preregisteredThreshold({ cuts }: SettledOptions): number | undefined {
  return cuts.rule === 'preregistered' && 'threshold' in cuts.cut ? cuts.cut.threshold : undefined;
}

/** Scores as cosines: those of the included canaries count, the others are known by their law. */
function oneShot(columns: ScoreColumns, options: SettledOptions, { delta, level }: Asked): Finding {
  if (options.dimension === undefined)
    throw refused('the dimension is not given', 'Give the number of parameters for one-shot');
  const cosines = scoresWhere(columns, 1);
  const question = { cosines, dimension: options.dimension, delta };
  const threshold = preregisteredThreshold(options);
  const canaries = cosines.length;
  const hits = threshold === undefined ? 0 : cosines.filter(cosine => cosine > threshold).length;
  return {
    cut: threshold === undefined ? null : { threshold },
    answer:
      threshold === undefined
        ? oneShotEstimate(question)
        : oneShotBound({ ...question, threshold, significance: level }),
    guesses: { canaries, guesses: canaries, correct: hits },
    counts: null,
    curve: null,
  };
}

/** Scores above the threshold are hits; the canaries of a run are exchangeable. */
function lifted(columns: ScoreColumns, options: SettledOptions, { delta, level }: Asked): Finding {
  const threshold = preregisteredThreshold(options);
  if (threshold === undefined)
    throw refused('no threshold was registered for lifted', 'Preregister a threshold');
  const [left, included] = [0, 1].map(side => outcomesOf(columns, { side, threshold }));
  const ranking = rankingOf(columns);
  return {
    cut: { threshold },
    answer: liftedEstimate({
      included: included!,
      left: left!,
      delta,
      significance: level,
      order: options.order ?? 2,
    }),
    guesses: guessByThreshold(ranking, threshold),
    counts: countByThreshold(ranking, threshold),
    curve: null,
  };
}

function outcomesOf(
  { scores, included, runs, runCount }: ScoreColumns,
  { side, threshold }: { readonly side: number; readonly threshold: number },
): Outcomes {
  const [hits, widths] = [new Float64Array(runCount), new Float64Array(runCount)];
  for (let row = 0; row < scores.length; row += 1) {
    if (included[row] !== side) continue;
    widths[runs[row]!]! += 1;
    if (scores[row]! >= threshold) hits[runs[row]!]! += 1;
  }
  const used = Array.from(hits).filter((_, run) => widths[run]! > 0);
  const sizes = new Set(widths.filter(width => width > 0));
  if (sizes.size > 1)
    throw refused(
      `runs have ${Math.min(...sizes)} to ${Math.max(...sizes)} canaries of a sort`,
      'Give each run as many for lifted',
    );
  return { hits: used, width: checkCount([...sizes][0], { verb, name: 'canaries of a run' }) };
}
