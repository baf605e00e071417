import type { Interval } from '../../accountant.ts';
import type { Reason } from '../verdict.ts';
import type { Evidence, Found } from './result.ts';

const papers = {
  'one-run': 'Steinke, Nasr and Jagielski, arXiv 2305.08846, Theorem 5.2',
  'f-dp': 'Mahloujifar, Melis and Chaudhuri, arXiv 2410.22235, Algorithm 3',
  rates: 'Nasr et al., arXiv 2101.04535',
  jeffreys: 'Zanella-Béguelin et al., arXiv 2206.05199',
  bayesian: 'Zanella-Béguelin et al., arXiv 2206.05199',
  'one-shot': 'Andrew et al., arXiv 2302.03098',
  lifted: 'Pillutla et al., arXiv 2305.18447',
} as const;

/** Four decimals, never more than the value. */
function least(value: number): string {
  return Number.isFinite(value) ? String(Math.floor(value * 1e4) / 1e4) : '∞';
}

function fewDigits(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function most(value: number): string {
  return Number.isFinite(value) ? String(Math.ceil(value * 1e4) / 1e4) : '∞';
}

/** `1e-6` where that is shorter than the zeros. */
function printed(delta: number): string {
  return delta > 0 && delta < 1e-3 ? delta.toExponential() : String(delta);
}

function confidence({ significance }: Found): string {
  return `${Number((100 * (1 - significance)).toPrecision(6))} % confidence`;
}

/** The sentence to print: what is bounded, by what, at which δ, and what the scores could have shown. */
export function statementFor(found: Found, { columns, options }: Evidence): string {
  const { method, m, r, v, delta, epsilonLowerBound, estimate, detectionLimit } = found;
  const { runCount } = columns;
  const runs = runCount === 1 ? 'one training' : `${runCount} trainings`;
  const who = `${m} canary ${options.unit}s of ${runs}, ${v} of ${r} guesses right`;
  const size = columns.repeats === 1 ? options.unit : `group of ${columns.repeats} ${options.unit}s`;
  if (estimate !== null)
    return `By ${method} (${who}) epsilon at delta ${printed(delta)} for one ${size} is about ${least(estimate)}: an estimate, which bounds nothing.`;
  return `By ${method} (${who}) epsilon at delta ${printed(delta)} for one ${size} is at least ${least(epsilonLowerBound)} with ${confidence(found)}; no claim above ${most(detectionLimit)} could have been refuted.`;
}

type Maker = (found: Found, evidence: Evidence) => Omit<Reason, 'epsilon'> | undefined;

const refuted: Maker = (found, { examination }) => {
  if (found.detail !== 'refuted') return undefined;
  const { upper } = found.claimed.epsilon;
  const source = papers[found.method];
  if (found.epsilonLowerBound > upper) {
    const text = `Epsilon is at least ${least(found.epsilonLowerBound)} with ${confidence(found)}, which is above the claimed ${upper}.`;
    return { code: 'DPC-T1-bound-above-claim', level: 'error', text, source };
  }
  const { level } = examination;
  const text = `The trade-off curve of the claimed mechanism is rejected at ${level}: the training was not what the claim describes.`;
  return { code: 'DPC-T2-curve-rejected', level: 'error', text, source };
};

const notRefuted: Maker = ({ detail, detectionLimit, claimed }) => {
  if (detail !== 'consistent') return undefined;
  const text = `Not refuted: the scores show no more than was claimed. That confirms nothing; claims of ${fewDigits(claimed.epsilon.upper)} are within the detection limit of ${most(detectionLimit)}.`;
  return { code: 'DPC-T3-not-refuted', level: 'note', text };
};

const belowLimit: Maker = ({ detail, valid, detectionLimit, claimed, m }) => {
  if (detail !== 'unverifiable' || !valid) return undefined;
  const text = `The claimed ${fewDigits(claimed.epsilon.upper)} is above the detection limit of ${most(detectionLimit)}: this audit with ${m} canaries could not have refuted it.`;
  return { code: 'DPC-T4-above-detection-limit', level: 'warning', text };
};

const estimated: Maker = (found, { examination: { best } }) => {
  if (found.valid) return undefined;
  if (best.answer.side === 'estimate') {
    const text = `The method ${found.method} gives an estimate (${best.answer.because}), and estimates refute nothing.`;
    return { code: 'DPC-T5-estimate', level: 'warning', text, source: papers[found.method] };
  }
  const text = `The method ${found.method} needs independent trials, and canaries of one training are not. Give each row a run of its own, or use one-run or f-dp.`;
  return { code: 'DPC-T6-trials-not-independent', level: 'warning', text, source: papers[found.method] };
};

const records: Maker = (_, { options: { unit, claimUnit } }) => {
  if (unit === claimUnit) return undefined;
  const text =
    'The canaries are records and the claim protects users: what is shown holds for users too, who have more to lose.';
  return { code: 'DPC-T7-record-canaries', level: 'note', text };
};

const exactHalf: Maker = ({ m }, { columns, options: { inclusion } }) => {
  if (inclusion !== 'fair-coins' || 2 * columns.includedCount !== columns.included.length) return undefined;
  const text = `Exactly half of ${m} canaries were included, as a fixed split does; that they were fair coins is taken from the file.`;
  return { code: 'DPC-T8-exact-half', level: 'warning', text };
};

const reversed: Maker = ({ r, v, side }, { options: { method } }) => {
  const isWorse = r >= 20 && v < r / 2 - 2 * Math.sqrt(r);
  if (!isWorse || side !== 'lower' || method === 'one-shot') return undefined;
  const text = `Only ${v} of ${r} guesses are right: the scores point the wrong way. Higher must speak for inclusion.`;
  return { code: 'DPC-T9-scores-reversed', level: 'warning', text };
};

const gaussianOnly: Maker = ({ gaussian, epsilonLowerBound }) => {
  if (gaussian === null || gaussian.epsilon <= epsilonLowerBound) return undefined;
  const text = `Were the trade-off curve that of a Gaussian mechanism, epsilon would be at least ${least(gaussian.epsilon)} (mu ${least(gaussian.mu)}); other mechanisms are not bounded by that, so it refutes nothing.`;
  return { code: 'DPC-T10-gaussian-family', level: 'note', text, source: papers['f-dp'] };
};

const grouped: Maker = ({ claimed: { epsilon, delta } }, { columns: { repeats } }) => {
  if (repeats === 1) return undefined;
  const text = `Each canary was put in ${repeats} times, so the promise for such a group is tested: epsilon ${epsilon.upper} at delta ${printed(delta)}.`;
  return { code: 'DPC-T11-repeated-canaries', level: 'note', text };
};

const makers: readonly Maker[] = [
  refuted,
  notRefuted,
  belowLimit,
  estimated,
  records,
  exactHalf,
  reversed,
  gaussianOnly,
  grouped,
];

/** Every reason that applies, the verdict's own first. */
export function reasonsFor(found: Found, evidence: Evidence): readonly Reason[] {
  const bound: Interval | null = found.valid ? { lower: found.epsilonLowerBound, upper: Infinity } : null;
  return makers
    .map(make => make(found, evidence))
    .filter(reason => reason !== undefined)
    .map(reason => ({ ...reason, epsilon: reason.level === 'error' ? bound : null }));
}
