import { describe, expect, it } from 'vitest';
import {
  bayesianEstimate,
  epsilonBetween,
  fDpBound,
  fDpGaussianBound,
  jeffreysEstimate,
  liftedLimits,
  oneRunBound,
  oneRunPValue,
  perfectGuessesNeeded,
  ratesBound,
  ratesGaussianBound,
} from '../../../../accounting/audit/index.ts';

/** Half a unit in the last of the digits that are written. */
function expectDigits(actual: number, printed: string): void {
  const [mantissa = '', exponent = '0'] = printed.split('e');
  const decimals = mantissa.split('.')[1]?.length ?? 0;
  const half = 0.5 * 10 ** (Number(exponent) - decimals);
  expect(Math.abs(actual - Number(printed)), `${actual} against ${printed}`).toBeLessThanOrEqual(
    half * (1 + 1e-6),
  );
}

// Equal to the p-values of another implementation; the last digits come from it.
it.each([
  { canaries: 1000, guesses: 100, correct: 90, epsilon: 1, delta: 1e-5, p: '8.412885614e-4' },
  { canaries: 5000, guesses: 1000, correct: 900, epsilon: 1.5, delta: 1e-5, p: '9.30144952e-4' },
  { canaries: 10, guesses: 10, correct: 10, epsilon: 1, delta: 0.1, p: '0.5012468622' },
])('oneRunPValue() of $correct of $guesses is $p', ({ p, ...question }) => {
  expectDigits(oneRunPValue(question), p);
});

const oneRuns = [
  { m: 1000, r: 100, v: 95, delta: 1e-5, level: 0.05, one: '2.16518', gaussian: '3.32330' },
  { m: 1000, r: 1000, v: 700, delta: 1e-5, level: 0.05, one: '0.73174', gaussian: '1.37198' },
  { m: 5000, r: 100, v: 100, delta: 1e-5, level: 0.05, one: '3.35242', gaussian: '4.62417' },
  { m: 100_000, r: 1500, v: 1429, delta: 1e-5, level: 0.05, one: '2.66875', gaussian: '3.29924' },
  { m: 1000, r: 100, v: 100, delta: 1e-6, level: 0.01, one: '3.04867', gaussian: '4.98175' },
];

it.each(oneRuns)('bounds of $v of $r guesses about $m canaries', ({ m, r, v, delta, level, ...printed }) => {
  const question = { canaries: m, guesses: r, correct: v, delta, significance: level };
  expectDigits(oneRunBound(question).epsilon, printed.one);
  expectDigits(fDpGaussianBound(question).epsilon, printed.gaussian);
});

it.each([
  { m: 100, r: 100, one: '3.490', gaussian: '8.22' },
  { m: 1000, r: 1000, one: '5.782', gaussian: '12.3' },
  { m: 5000, r: 5000, one: '7.284', gaussian: '15.0' },
  { m: 100_000, r: 1000, one: '3.489', gaussian: '7.24' },
])('detection limits with $r guesses about $m canaries', ({ m, r, ...printed }) => {
  const question = { canaries: m, guesses: r, correct: 0, delta: 1e-5, significance: 0.05 };
  expectDigits(oneRunBound(question).detectionLimit, printed.one);
  expectDigits(fDpGaussianBound(question).detectionLimit, printed.gaussian);
});

it.each([
  { epsilon: 1, significance: 0.05, guesses: 10 },
  { epsilon: 3, significance: 0.05, guesses: 62 },
  { epsilon: 8, significance: 0.05, guesses: 8932 },
  { epsilon: 1, significance: 0.01, guesses: 15 },
  { epsilon: 3, significance: 0.01, guesses: 95 },
  { epsilon: 8, significance: 0.01, guesses: 13_731 },
])('perfectGuessesNeeded() for epsilon $epsilon at $significance', ({ guesses, ...question }) => {
  expect(perfectGuessesNeeded(question)).toBe(guesses);
  const bound = (count: number): number =>
    oneRunBound({ ...question, canaries: count, guesses: count, correct: count, delta: 0 }).epsilon;
  expect(bound(guesses)).toBeGreaterThanOrEqual(question.epsilon - 1e-6);
  expect(bound(guesses - 1)).toBeLessThan(question.epsilon);
});

it('a search with a floor would report 0.3975 where nothing is shown', () => {
  for (const correct of [500, 400]) {
    const question = { canaries: 1000, guesses: 1000, correct, delta: 1e-6, significance: 0.05 };
    expect(fDpGaussianBound(question).epsilon).toBe(0);
    expect(fDpBound(question).epsilon).toBe(0);
    expect(oneRunBound(question).epsilon).toBe(0);
  }
});

function countsOf([tp, fn, fp, tn]: readonly [number, number, number, number]): {
  truePositives: number;
  falseNegatives: number;
  falsePositives: number;
  trueNegatives: number;
} {
  return { truePositives: tp, falseNegatives: fn, falsePositives: fp, trueNegatives: tn };
}

describe('bounds and estimates from rates', () => {
  it('95, 5, 5, 95', () => {
    const question = { ...countsOf([95, 5, 5, 95]), delta: 1e-5, significance: 0.05 };
    expectDigits(ratesBound(question).epsilon, '2.06209');
    expectDigits(jeffreysEstimate(question).epsilon, '2.1312');
    expectDigits(ratesGaussianBound(question).mu, '2.42318');
    expectDigits(ratesGaussianBound(question).epsilon, '12.69665');
    expectDigits(bayesianEstimate(question).epsilon, '2.5681');
  });

  it('900, 100, 100, 900 at delta 0', () => {
    const question = { ...countsOf([900, 100, 100, 900]), delta: 0, significance: 0.05 };
    expectDigits(ratesBound(question).epsilon, '1.98971');
    expectDigits(bayesianEstimate(question).epsilon, '2.1095');
  });

  it('24800, 25200, 10, 49990', () => {
    const question = { ...countsOf([24_800, 25_200, 10, 49_990]), delta: 1e-5, significance: 0.05 };
    expectDigits(ratesBound(question).epsilon, '7.19794');
    expectDigits(jeffreysEstimate(question).epsilon, '7.234');
    expectDigits(ratesGaussianBound(question).mu, '3.35494');
    expectDigits(ratesGaussianBound(question).epsilon, '19.2938');
    expectDigits(bayesianEstimate(question).epsilon, '7.3253');
  });

  it('487, 0, 512, 1 gives the credible interval of a published example', () => {
    const question = { ...countsOf([487, 0, 512, 1]), delta: 1e-5, significance: 0.1 };
    const { interval } = bayesianEstimate(question);
    expectDigits(interval.lower, '0.1439');
    expectDigits(interval.upper, '6.4156');
  });

  it.each([
    [100, '3.281'],
    [1000, '5.601'],
    [10_000, '7.905'],
  ])('perfect separation with %i trials on each side', (trials, printed) => {
    const question = { ...countsOf([trials, 0, 0, trials]), delta: 0, significance: 0.05 };
    expectDigits(ratesBound(question).epsilon, printed);
    expectDigits(ratesBound(question).detectionLimit, printed);
  });
});

it.each([
  { p: [0.022360679775, 0.022360679775], q: [0, 0.022360679775], delta: 1e-2, printed: '2.317789' },
  { p: [0, 1], q: [1, 1], delta: 1e-5, printed: '4.377178' },
  { p: [0, 1], q: [0.5, 1.3], delta: 1e-2, printed: '2.58127' },
])('epsilonBetween() two normal laws is $printed', ({ p, q, delta, printed }) => {
  const law = ([mean, deviation]: readonly number[]): { mean: number; deviation: number } => ({
    mean: mean!,
    deviation: deviation!,
  });
  expectDigits(epsilonBetween(law(p), law(q), { delta }), printed);
  expectDigits(epsilonBetween(law(q), law(p), { delta }), printed);
});

describe('liftedLimits()', () => {
  const many = { hits: Array.from({ length: 100 }, (_, run) => (7 * run) % 9), width: 8 };
  const few = { hits: Array.from({ length: 200 }, (_, run) => (run % 10 === 0 ? 1 : 0)), width: 4 };

  it.each([
    { order: 1 as const, wide: ['.413983', '.576280'], narrow: ['.012221', '.050459'] },
    { order: 2 as const, wide: ['.397002', '.564444'], narrow: ['.007496', '.046273'] },
    { order: 4 as const, wide: ['.382930', '.571418'], narrow: ['.003075', '.051826'] },
  ])('of order $order', ({ order, wide, narrow }) => {
    const [first, second] = [many, few].map(outcomes => liftedLimits(outcomes, { level: 0.05, order }));
    expectDigits(first!.lower, wide[0]!);
    expectDigits(first!.upper, wide[1]!);
    expectDigits(second!.lower, narrow[0]!);
    expectDigits(second!.upper, narrow[1]!);
  });
});
