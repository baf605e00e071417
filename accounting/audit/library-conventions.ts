import {
  flattenEvent,
  type BasicEvent,
  type CountedEvent,
  type FixedSizeGaussianEvent,
  type Neighbours,
} from '../event.ts';
import { refusalOf } from '../rdp/refusal.ts';
import { runsParameter } from '../rdp/repeat-select.ts';
import { upperEvent } from './claim-bounds.ts';
import type { SelectionSettings, Settings } from './claim-settings.ts';
import {
  absoluteSeries,
  composedAt,
  leastOver,
  libraryOrders,
  modernConversion,
  valueAt,
  type ConventionEpsilons,
} from './conventions.ts';
import { truncatedLibraryEpsilon } from './truncated-convention.ts';
import { fixedSizeSeries, type FixedSizeSeries } from './fixed-size-series.ts';

/** RDP of everything at each of the default orders of dp_accounting. */
type Listed = readonly number[];

/**
 * What dp_accounting prints for batches of fixed size, for truncated ones and for the best of several runs. Other conventions see none
 * of the three.
 *
 * @param options - most: an upper bound on the true epsilon, to tell what is far out
 */
export function libraryEpsilons(settings: Settings, options: { readonly most: number }): ConventionEpsilons {
  if (settings.delta === 0) return {};
  const truncated = settings.selection === null ? truncatedLibraryEpsilon(settings, options) : undefined;
  return {
    ...listedEpsilons(settings),
    ...(truncated !== undefined && { 'pld, truncated batches': truncated }),
  };
}

function listedEpsilons(settings: Settings): ConventionEpsilons {
  const { neighbours, delta, selection, runs } = settings;
  const isFixed = neighbours === 'replace' && runs.some(({ sampling }) => sampling === 'without_replacement');
  if (!isFixed && selection === null) return {};
  const parts = partsOf(settings);
  if (parts === undefined) return {};
  const exact = listedOf(parts, exactCurve(neighbours));
  return {
    ...(isFixed && { 'rdp modern, fixed-size batches': least(exact, delta) }),
    ...(selection !== null && {
      'rdp modern, with selection': least(selectedOf(exact, selection), delta),
      ...(neighbours !== 'replace' && {
        'rdp modern, absolute series, with selection': least(
          selectedOf(listedOf(parts, absoluteSeries), selection),
          delta,
        ),
      }),
    }),
  };
}

function least(listed: Listed, delta: number): number {
  return leastOver([...listed.keys()], index =>
    modernConversion(listed[index]!, libraryOrders[index]!, delta),
  );
}

function partsOf(settings: Settings): readonly CountedEvent[] | undefined {
  const event = upperEvent(settings);
  if (event === undefined || refusalOf(event, settings.neighbours) !== undefined) return undefined;
  return flattenEvent(event);
}

type StepCurve = (event: BasicEvent, order: number) => number;

function listedOf(parts: readonly CountedEvent[], at: StepCurve): Listed {
  return libraryOrders.map(order => composedAt(parts, order, at));
}

function exactCurve(neighbours: Neighbours): StepCurve {
  const series = new Map<BasicEvent, FixedSizeSeries>();
  return (event, order) => {
    if (neighbours !== 'replace' || event.kind !== 'fixed-size-gaussian')
      return valueAt(event, neighbours, order);
    const known = series.get(event) ?? replacementSeries(event);
    series.set(event, known);
    return known(order);
  };
}

/** There the sensitivity is 2, and what the library calls noise is relative to it. */
function replacementSeries({
  batchSize,
  datasetSize,
  noiseMultiplier,
}: FixedSizeGaussianEvent): FixedSizeSeries {
  return fixedSizeSeries({ rate: batchSize / datasetSize, noise: noiseMultiplier / 2 });
}

/** Papernot and Steinke (arXiv 2110.03620), Theorems 2 and 6, with both orders from the list. */
function selectedOf(listed: Listed, { runs, shape }: SelectionSettings): Listed {
  if (shape === 'fixed') return listed.map(rdp => rdp * Math.ceil(runs));
  if (shape === 'poisson')
    return listed.map((rdp, index) => {
      const order = libraryOrders[index]!;
      return rdp + runs * deltaOf(listed, Math.log1p(1 / (order - 1))) + Math.log(runs) / (order - 1);
    });
  const logInverse = runsParameter({ meanRuns: runs, shape });
  const costs = listed.map(
    (rdp, index) => (1 - 1 / libraryOrders[index]!) * rdp + logInverse / libraryOrders[index]!,
  );
  const added = (1 + shape) * Math.min(...costs);
  const raw = listed.map((rdp, index) => rdp + Math.log(runs) / (libraryOrders[index]! - 1) + added);
  // RDP never falls with the order.
  return raw.map((_, index) => Math.min(...raw.slice(index)));
}

/** Delta of one run at an epsilon: the best of the conversion and of total variation, at any order of the list. */
function deltaOf(listed: Listed, epsilon: number): number {
  const logs = listed.map((rdp, index) => {
    const order = libraryOrders[index]!;
    const converted = (order - 1) * (rdp - epsilon + Math.log1p(-1 / order)) - Math.log(order);
    return Math.min(converted, 0.5 * Math.log(-Math.expm1(-rdp)));
  });
  return Math.min(1, Math.exp(Math.min(...logs)));
}
