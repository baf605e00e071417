import type { Interval } from '../accountant.ts';
import type { Neighbours } from '../event.ts';
import { runsParameter } from '../rdp/repeat-select.ts';
import type { Claim } from './claim.ts';
import type { RunSettings, SelectionSettings, Settings } from './claim-settings.ts';

/**
 * Epsilon at a delta of 0.
 *
 * The loss of Gaussian noise has no bound, however rare its tail is, so nothing with it is purely private. Losses of Laplace noise add
 * up: all of them are at their largest at once. A record drawn with probability q: log(1 + q (e^ε - 1)) a step.
 *
 * @returns both ends Infinity where there is Gaussian noise; 0 to Infinity where nothing is proved of how batches were formed
 * @example
 * ```ts
 * const shared = { rate: 1, groupSize: 1, physicalCap: null, isBounded: true };
 * const run = { law: 'laplace', sampling: 'none', noise: 2, steps: 3, ...shared };
 * pureEpsilon({ runs: [run], neighbours: 'add-or-remove', selection: null }).upper; // 1.5
 * ```
 */
export function pureEpsilon({ runs, neighbours, selection }: Settings): Interval {
  if (runs.some(({ law, noise }) => law === 'gaussian' || noise === 0)) return endless;
  const ends = runs.map(run => laplaceEnds(run, neighbours));
  const single = {
    lower: ends.reduce((sum, { lower }) => sum + lower, 0),
    upper: ends.reduce((sum, { upper }) => sum + upper, 0),
  };
  const upper = selection === null ? single.upper : selectedUpper(single.upper, selection);
  return { lower: single.lower * (1 - rounding), upper: tidy(upper) };
}

/**
 * Whether pure differential privacy is claimed of Gaussian noise.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * isNeverPure(claimOf({ guarantee: { delta: 0 }, mechanisms: [{ kind: 'dp_sgd' }] })); // true
 * ```
 */
export function isNeverPure({ guarantee, mechanisms }: Claim): boolean {
  return guarantee.delta === 0 && mechanisms.some(({ kind }) => kind !== 'laplace');
}

const endless: Interval = { lower: Infinity, upper: Infinity };
const rounding = 1e-13;

/** Without the last bits: settings have fewer digits. */
function tidy(value: number): number {
  return Number(value.toPrecision(15));
}

/** Records of a unit come into a step one by one, so that each adds its loss. */
function laplaceEnds(run: RunSettings, neighbours: Neighbours): Interval {
  const { sampling, rate, noise, steps, groupSize, physicalCap, isBounded } = run;
  const isDrawn = sampling === 'poisson' && rate < 1;
  const isKnown = sampling === 'none' || sampling === 'poisson';
  if (!isKnown || (isDrawn && physicalCap !== null)) return { lower: 0, upper: Infinity };
  const one = isDrawn ? rate : 1;
  const gained = drawnLoss(one, 1 / noise);
  const lost = neighbours === 'replace' ? -drawnLoss(one, -1 / noise) : 0;
  const total = steps * groupSize * (gained + lost);
  return { lower: total, upper: isBounded ? total : Infinity };
}

/** log of 1 - rate + rate e^loss. */
function drawnLoss(rate: number, loss: number): number {
  if (rate === 1) return loss;
  return loss > 600 ? Math.log(rate) + loss : Math.log1p(rate * Math.expm1(loss));
}

/**
 * Papernot and Steinke (arXiv 2110.03620), Theorems 2 and 6 at an infinite order; there one run is pure, so it is (0, tanh(ε/2))-DP, too.
 */
function selectedUpper(single: number, { runs, shape }: SelectionSettings): number {
  if (single === Infinity) return Infinity;
  if (shape === 'fixed') return Math.ceil(runs) * single;
  if (shape === 'poisson') return single + runs * Math.tanh(single / 2);
  return single + (1 + shape) * Math.min(single, runsParameter({ meanRuns: runs, shape }));
}
