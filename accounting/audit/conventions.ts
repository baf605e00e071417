import { flattenEvent, type BasicEvent, type CountedEvent, type DpEvent, type Neighbours } from '../event.ts';
import { minimise } from '../numerics/minimise.ts';
import { logNormalTail } from '../numerics/special.ts';
import { gaussianDelta, invertDelta } from '../profiles/single.ts';
import { refusalOf } from '../rdp/refusal.ts';
import { renyiCurve, type RenyiCurve } from '../rdp/renyi.ts';

/** How a printed epsilon may have been computed. None of these numbers bounds anything: they explain. */
export const conventionNames = [
  'rdp classic',
  'rdp modern',
  'rdp classic, absolute series',
  'rdp modern, absolute series',
  'rdp classic, orders 2 to 32',
  'rdp modern, orders 2 to 32',
  'zcdp classic',
  'zcdp modern',
  'zcdp modern, listed orders',
  'rdp modern, with selection',
  'rdp modern, absolute series, with selection',
  'rdp modern, fixed-size batches',
  'pld, truncated batches',
  'gaussian',
  'gaussian textbook',
  'central limit',
  'group lemma',
  'group rdp',
] as const;

/** One of {@link conventionNames}. */
export type ConventionName = (typeof conventionNames)[number];

/** What each convention is, as the end of "by ...". */
export const conventionTexts: Readonly<Record<ConventionName, string>> = {
  'rdp classic': 'the classic RDP conversion of 2016 to 2019 over orders 1.1 to 10.9 and 12 to 63',
  'rdp modern': 'the modern RDP conversion over orders 1.1 to 10.9 and 12 to 63',
  'rdp classic, absolute series':
    'the classic RDP conversion with all terms of the fractional orders taken as positive',
  'rdp modern, absolute series':
    'the modern RDP conversion over the default orders of dp_accounting, all series terms taken as positive',
  'rdp classic, orders 2 to 32': 'the classic RDP conversion over the whole orders 2 to 32',
  'rdp modern, orders 2 to 32': 'the modern RDP conversion over the whole orders 2 to 32',
  'pld, truncated batches':
    'the PLD accountant of dp_accounting for truncated batches, which takes a truncated batch as one record replaced at twice the sensitivity',
  'zcdp classic': 'the classic conversion of zero-concentrated DP',
  'zcdp modern': 'the modern conversion of zero-concentrated DP',
  'zcdp modern, listed orders':
    'the modern conversion of zero-concentrated DP over the default orders of dp_accounting',
  'rdp modern, with selection':
    'the modern RDP conversion over the default orders of dp_accounting, the choice among several runs included',
  'rdp modern, absolute series, with selection':
    'the modern RDP conversion over the default orders of dp_accounting, all series terms taken as positive, the choice among several runs included',
  'rdp modern, fixed-size batches':
    'the modern RDP conversion over the default orders of dp_accounting, for batches of fixed size drawn without replacement',
  gaussian: 'the exact conversion of Gaussian DP',
  'gaussian textbook': 'the textbook formula of the Gaussian mechanism, which is proved up to epsilon 1 only',
  'central limit': 'the central limit of Gaussian DP, which can be below the truth',
  'group lemma': 'the group-privacy lemma from the epsilon of one record',
  'group rdp': 'the RDP conversion from one record to a group',
};

/** Orders 1.1 to 10.9 by tenths and 12 to 63: those of early Opacus and TensorFlow Privacy. */
export const earlyOrders: readonly number[] = [
  ...Array.from({ length: 99 }, (_, index) => 1 + (index + 1) / 10),
  ...wholeOrders(12, 63),
];

/** Default orders of dp_accounting. */
export const libraryOrders: readonly number[] = [
  ...earlyOrders.slice(0, 99),
  ...wholeOrders(11, 63),
  128,
  256,
  512,
  1024,
];

const fewOrders = wholeOrders(2, 32);

function wholeOrders(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** From RDP at an order to epsilon. */
type Conversion = (rdp: number, order: number, delta: number) => number;

/**
 * Mironov (arXiv 1702.07476), Proposition 3.
 *
 * @example
 * ```ts
 * classicConversion(1, 2, Math.exp(-3)); // ~4.0000
 * ```
 */
export const classicConversion: Conversion = (rdp, order, delta) => rdp - Math.log(delta) / (order - 1);

/**
 * Canonne, Kamath, Steinke (arXiv 2004.00010), Proposition 12.
 *
 * @example
 * ```ts
 * modernConversion(1, 2, Math.exp(-3)); // ~2.6137
 * ```
 */
export const modernConversion: Conversion = (rdp, order, delta) =>
  rdp + Math.log1p(-1 / order) - (Math.log(delta) + Math.log(order)) / (order - 1);

/** What a convention is asked about. */
export interface ConventionQuestion {
  readonly delta: number;
  readonly neighbours: Neighbours;
}

/** The number that each convention gives; those that cannot interpret the event are left out. */
export type ConventionEpsilons = { readonly [name in ConventionName]?: number };

/**
 * Epsilon of an event by every convention of its time.
 *
 * @param event - as the accountant of the claim saw it, so Poisson sampling where that was assumed
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * const found = conventionEpsilons(event, { delta: 1e-5, neighbours: 'add-or-remove' });
 * found['zcdp classic']; // ~5.2985
 * ```
 */
export function conventionEpsilons(event: DpEvent, question: ConventionQuestion): ConventionEpsilons {
  // None of them has anything to say of pure differential privacy.
  if (question.delta === 0) return {};
  const parts = flattenEvent(event);
  return {
    ...renyiEpsilons(event, parts, question),
    ...concentratedEpsilons(parts, question),
    ...centralLimit(parts, question),
  };
}

/**
 * The two conversions that most printed numbers come from; undefined where the event has no RDP.
 *
 * @example
 * ```ts
 * usualEpsilons({ kind: 'gaussian', noiseMultiplier: 1 }, { delta: 1e-5, neighbours: 'add-or-remove' })['rdp modern']; // ~4.7285
 * ```
 */
export function usualEpsilons(event: DpEvent, { delta, neighbours }: ConventionQuestion): ConventionEpsilons {
  if (delta === 0 || refusalOf(event, neighbours) !== undefined) return {};
  const parts = flattenEvent(event);
  const at = (order: number): number => composedAt(parts, order, part => valueAt(part, neighbours, order));
  const least = (convert: Conversion): number =>
    leastConverted(earlyOrders, order => convert(at(order), order, delta));
  return { 'rdp classic': least(classicConversion), 'rdp modern': least(modernConversion) };
}

function renyiEpsilons(
  event: DpEvent,
  parts: readonly CountedEvent[],
  { delta, neighbours }: ConventionQuestion,
): ConventionEpsilons {
  if (refusalOf(event, neighbours) !== undefined) return {};
  const exact = (order: number): number => composedAt(parts, order, part => valueAt(part, neighbours, order));
  const least = (curve: RenyiCurve, orders: readonly number[], convert: Conversion): number =>
    leastOver(orders, order => convert(curve(order), order, delta));
  const found = (orders: readonly number[], convert: Conversion): number =>
    leastConverted(orders, order => convert(exact(order), order, delta));
  const absolute = (order: number): number => composedAt(parts, order, part => absoluteSeries(part, order));
  const isSampled = neighbours !== 'replace' && parts.every(({ event: part }) => hasSeries(part));
  return {
    'rdp classic': found(earlyOrders, classicConversion),
    'rdp modern': found(earlyOrders, modernConversion),
    'rdp classic, orders 2 to 32': found(fewOrders, classicConversion),
    'rdp modern, orders 2 to 32': found(fewOrders, modernConversion),
    ...(isSampled && {
      'rdp classic, absolute series': least(absolute, earlyOrders, classicConversion),
      'rdp modern, absolute series': least(absolute, libraryOrders, modernConversion),
    }),
  };
}

/** RDP at one order of a composition. */
export function composedAt(
  parts: readonly CountedEvent[],
  order: number,
  at: (event: BasicEvent, order: number) => number,
): number {
  return parts.reduce((sum, { event, count }) => sum + count * at(event, order), 0);
}

/** The smallest of what an order gives, at least 0. */
export function leastOver(orders: readonly number[], evaluate: (order: number) => number): number {
  let least = Infinity;
  for (let index = 0; index < orders.length; index += 1) least = Math.min(least, evaluate(orders[index]!));
  return Math.max(0, least);
}

/**
 * The same where the RDP is exact, by halving: order - 1 times it is convex, so what either conversion gives falls and then rises.
 */
export function leastConverted(orders: readonly number[], evaluate: (order: number) => number): number {
  let [low, high] = [0, orders.length - 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (evaluate(orders[middle]!) <= evaluate(orders[middle + 1]!)) high = middle;
    else low = middle + 1;
  }
  return Math.max(0, evaluate(orders[low]!));
}

/** Curves of recent steps with the values that were asked: a search asks for the same steps again and again. */
const kept = new Map<string, { readonly curve: RenyiCurve; readonly values: Map<number, number> }>();
const mostKept = 128;

/** RDP of a step at an order, remembered. */
export function valueAt(event: BasicEvent, neighbours: Neighbours, order: number): number {
  const key = `${neighbours} ${JSON.stringify(event)}`;
  let known = kept.get(key);
  if (known === undefined) {
    if (kept.size >= mostKept) kept.clear();
    known = { curve: renyiCurve(event, neighbours), values: new Map() };
    kept.set(key, known);
  }
  let value = known.values.get(order);
  if (value === undefined) known.values.set(order, (value = known.curve(order)));
  return value;
}

function hasSeries(event: BasicEvent): boolean {
  return event.kind === 'gaussian' || event.kind === 'poisson-subsampled-gaussian';
}

/**
 * RDP of a Poisson-subsampled Gaussian as dp_accounting computes it: whole orders by the binomial sum; for fractional ones the
 * series of Mironov, Talwar and Zhang (arXiv 1908.10530), Section 3.3, with the absolute value of every term. Above the truth
 * by 2 to 9 % at low orders.
 *
 * @example
 * ```ts
 * const step = { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 0.39066894531249996, samplingProbability: 1 / 98 } as const;
 * absoluteSeries(step, 1.5); // ~0.0140005
 * ```
 */
export function absoluteSeries(event: BasicEvent, order: number): number {
  if (event.kind === 'gaussian') return order / (2 * event.noiseMultiplier ** 2);
  if (event.kind !== 'poisson-subsampled-gaussian' || Number.isInteger(order))
    return valueAt(event, 'add-or-remove', order);
  return logAbsoluteMoment(event, order) / (order - 1);
}

const [mostTerms, logNegligible] = [1000, -30];

/** Infinity where the terms have not died down after 1,000 of them, as the library has it. */
function logAbsoluteMoment(
  step: { readonly noiseMultiplier: number; readonly samplingProbability: number },
  order: number,
): number {
  const { noiseMultiplier: noise, samplingProbability: rate } = step;
  const [logIn, logOut] = [Math.log(rate), Math.log1p(-rate)];
  const split = noise ** 2 * (logOut - logIn) + 0.5;
  let [logBinomial, total] = [0, -Infinity];
  for (let i = 0; i < mostTerms; i += 1) {
    const j = order - i;
    const low = i * logIn + j * logOut + (i * i - i) / (2 * noise ** 2) + logNormalTail((i - split) / noise);
    const high = j * logIn + i * logOut + (j * j - j) / (2 * noise ** 2) + logNormalTail((split - j) / noise);
    const [least, most] = low < high ? [low, high] : [high, low];
    total = logAdd(total, logBinomial + most + Math.log1p(Math.exp(least - most)));
    if (logBinomial + most < logNegligible) return total;
    logBinomial += Math.log(Math.abs(order - i)) - Math.log(i + 1);
  }
  return Infinity;
}

function logAdd(a: number, b: number): number {
  return a > b ? a + Math.log1p(Math.exp(b - a)) : b + Math.log1p(Math.exp(a - b));
}

/** rho of a composition of plain Gaussians; undefined where there is anything else. */
function rhoOf(parts: readonly CountedEvent[], neighbours: Neighbours): number | undefined {
  const sensitivity = neighbours === 'replace' ? 2 : 1;
  let rho = 0;
  for (const { event, count } of parts) {
    if (event.kind !== 'gaussian') return undefined;
    rho += (count * (sensitivity / event.noiseMultiplier) ** 2) / 2;
  }
  return rho;
}

function concentratedEpsilons(
  parts: readonly CountedEvent[],
  { delta, neighbours }: ConventionQuestion,
): ConventionEpsilons {
  const rho = rhoOf(parts, neighbours);
  if (rho === undefined) return {};
  const isAlone = parts.length === 1 && parts[0]!.count === 1;
  return {
    ...rhoEpsilons(rho, delta),
    ...(isAlone && { 'gaussian textbook': textbookEpsilon(Math.sqrt(2 * rho), delta) }),
  };
}

/**
 * Dwork and Roth, "The Algorithmic Foundations of Differential Privacy" (2014), Theorem A.1, solved for epsilon. Above 1 it is no theorem.
 *
 * @param mu - sensitivity ÷ standard deviation of the noise
 * @example
 * ```ts
 * textbookEpsilon(1, 1e-6); // ~5.2988
 * ```
 */
export function textbookEpsilon(mu: number, delta: number): number {
  return mu * Math.sqrt(2 * Math.log(1.25 / delta));
}

type ConcentratedName = 'zcdp classic' | 'zcdp modern' | 'zcdp modern, listed orders' | 'gaussian';

/**
 * Epsilon of rho-zCDP: the classic conversion (Bun and Steinke, arXiv 1605.02065, Proposition 1.3), the modern one at the best order
 * and at the best of a list, and that of the Gaussian mechanism with this rho, below which no conversion can go.
 *
 * @example
 * ```ts
 * const found = rhoEpsilons(7.7, 1e-10);
 * found['zcdp classic']; // ~34.3307
 * found['zcdp modern']; // ~33.2874
 * found['zcdp modern, listed orders']; // ~33.2877
 * found.gaussian; // ~32.0707
 * ```
 */
export function rhoEpsilons(
  rho: number,
  delta: number,
): Required<Pick<ConventionEpsilons, ConcentratedName>> {
  const modern = minimise(logExcess => {
    const order = 1 + Math.exp(logExcess);
    return order > 1 ? modernConversion(rho * order, order, delta) : Infinity;
  });
  return {
    'zcdp classic': rho + 2 * Math.sqrt(-rho * Math.log(delta)),
    'zcdp modern': Math.max(0, modern.value),
    'zcdp modern, listed orders': leastOver(libraryOrders, order =>
      modernConversion(rho * order, order, delta),
    ),
    gaussian: gaussianEpsilon(Math.sqrt(2 * rho), delta),
  };
}

/**
 * Epsilon of mu-Gaussian DP, exactly.
 *
 * @example
 * ```ts
 * gaussianEpsilon(1, 1e-6); // ~4.8866
 * ```
 */
export function gaussianEpsilon(mu: number, delta: number): number {
  if (!(mu < 1e150) || delta === 0) return Infinity;
  const ends = invertDelta(epsilon => gaussianDelta(mu, epsilon), { delta, highest: mu * (mu + 80) });
  return ends.upper;
}

/**
 * mu of the central limit of Bu, Dong, Long and Su (arXiv 1911.11607): rate · sqrt(steps (exp(1/noise²) - 1)).
 *
 * @example
 * ```ts
 * centralLimitMu([{ event: { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 1, samplingProbability: 0.01 }, count: 1000 }]); // ~0.4145
 * ```
 */
export function centralLimitMu(parts: readonly CountedEvent[]): number | undefined {
  let square = 0;
  for (const { event, count } of parts) {
    if (event.kind === 'gaussian') square += count / event.noiseMultiplier ** 2;
    else if (event.kind === 'poisson-subsampled-gaussian')
      square += count * event.samplingProbability ** 2 * Math.expm1(event.noiseMultiplier ** -2);
    else return undefined;
  }
  return Math.sqrt(square);
}

function centralLimit(
  parts: readonly CountedEvent[],
  { delta, neighbours }: ConventionQuestion,
): ConventionEpsilons {
  const isSampled = parts.some(({ event }) => event.kind === 'poisson-subsampled-gaussian');
  const mu = isSampled && neighbours !== 'replace' ? centralLimitMu(parts) : undefined;
  return mu === undefined ? {} : { 'central limit': gaussianEpsilon(mu, delta) };
}
