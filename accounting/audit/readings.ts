import { asPoisson } from './claim-judge.ts';
import { roundSteps, type RunSettings, type Settings } from './claim-settings.ts';

/** One hypothesis of how a printed epsilon came about. */
export interface Reading {
  readonly name: string;
  /** As the end of "the printed number is what comes out ...". */
  readonly text: string;
  /** How far-fetched it is: 0 is what was stated. Of two that fit the simpler one is named. */
  readonly cost: number;
  readonly settings: Settings;
  /** By what epsilon was multiplied afterwards. */
  readonly times: number;
  /** The text without the number of steps, where a second change can follow. */
  readonly stem?: string;
}

/** The run that is read in other ways: the last one that samples, or the last. */
function mainOf({ runs }: Settings): number {
  const sampled = runs.findLastIndex(({ sampling }) => sampling !== 'none');
  return sampled === -1 ? runs.length - 1 : sampled;
}

type Variation = Pick<Reading, 'name' | 'text' | 'cost' | 'stem'> & { readonly run: RunSettings };

/**
 * Every way to read settings that has been seen to explain a printed epsilon.
 *
 * Accountants of the time saw one record, Poisson sampling and a single run, so this is where all readings start.
 *
 * @param options - records: of one unit, where several are possible
 */
export function readingsOf(settings: Settings, { records }: { readonly records: number | null }): Reading[] {
  const seen = asPoisson(settings);
  const stated = { ...seen, selection: null, runs: seen.runs.map(run => ({ ...run, groupSize: 1 })) };
  const main = mainOf(stated);
  const replaced = (run: RunSettings): Settings => ({ ...stated, runs: stated.runs.with(main, run) });
  const variations = stated.runs[main]!.sampling === 'poisson' ? variationsOf(stated.runs[main]!) : [];
  const found = [
    { name: 'stated', text: 'from the stated settings', cost: 0, settings: stated, times: 1 },
    ...variations.map(({ run, ...rest }) => ({ ...rest, settings: replaced(run), times: 1 })),
    ...noiseReadings(stated, main),
    ...deltaReadings(stated, main),
    ...multiplied(stated, records),
  ];
  return distinct(found);
}

/** Of readings with the same settings the simplest one is kept. */
function distinct(readings: readonly Reading[]): Reading[] {
  const known = new Set<string>();
  return readings
    .toSorted((a, b) => a.cost - b.cost)
    .filter(({ settings, times }) => {
      const key = JSON.stringify([settings.delta, settings.neighbours, times, settings.runs.map(shapeOf)]);
      return !known.has(key) && known.add(key) !== undefined;
    });
}

function shapeOf({ noise, rate, steps }: RunSettings): number[] {
  return [noise, rate, steps];
}

function variationsOf(run: RunSettings): Variation[] {
  return [
    ...stepVariations(run),
    ...loaderVariations(run),
    ...tableVariations(run),
    ...batchVariations(run),
    ...accumulations(run),
  ];
}

const roundings = {
  floor: 'an incomplete last batch of each epoch was dropped',
  ceil: 'an incomplete last batch of each epoch was a step',
  round: 'the steps of an epoch were rounded',
  total_floor: 'the steps of all epochs together were rounded down',
} as const;

function epochsOf({ epochs, steps, rate }: RunSettings): number {
  return epochs ?? Math.max(1, Math.round(steps * rate));
}

function stepVariations(run: RunSettings): Variation[] {
  const epochs = epochsOf(run);
  const perEpoch = 1 / run.rate;
  const rounded = Object.entries(roundings).map(([rounding, why]): Variation => {
    const steps = Math.max(1, roundSteps(epochs, perEpoch, rounding));
    return {
      name: `steps-${rounding}`,
      text: `with ${steps} steps: ${why}`,
      cost: 1,
      run: { ...run, steps },
    };
  });
  const near = rounded.filter(({ run: { steps } }) => Math.abs(steps - run.steps) <= 0.2 * run.steps);
  const one = Math.max(1, Math.round(perEpoch));
  return [
    ...near,
    stepsOf(run, { name: 'one-epoch', steps: one, text: `for one epoch of ${one} steps`, cost: 2 }),
    stepsOf(run, {
      name: 'one-epoch-short',
      steps: Math.max(1, run.steps - one),
      text: `one epoch before the end, after ${Math.max(1, run.steps - one)} steps`,
      cost: 3,
    }),
  ];
}

function stepsOf(
  run: RunSettings,
  { steps, ...rest }: Pick<Reading, 'name' | 'text' | 'cost'> & { readonly steps: number },
): Variation {
  return { ...rest, run: { ...run, steps } };
}

/** Libraries take one over the length of the loader for the sampling probability. */
function loaderVariations(run: RunSettings): Variation[] {
  return [Math.ceil(1 / run.rate), Math.floor(1 / run.rate)].map(batches => ({
    name: `rate-one-of-${batches}`,
    text: `with the sampling probability 1/${batches}, one over the number of batches`,
    cost: 1,
    run: { ...run, rate: 1 / batches },
  }));
}

const shares = [
  [0.9, '90 % of the units: the rest was held out'],
  [0.8, '80 % of the units: the rest was held out'],
  [5 / 6, 'five sixths of the units: the rest was held out'],
  [10 / 9, 'all units where 90 % were trained on'],
] as const;

function tableVariations(run: RunSettings): Variation[] {
  const { units, rate } = run;
  return shares.flatMap(([share, text]): Variation[] => {
    const size = units === null ? null : Math.round(units * share);
    const told = size === null ? `with ${text}` : `with a table of ${size}, ${text}`;
    const [name, moved] = [
      `n-${size ?? share.toFixed(2)}`,
      { ...run, units: size, rate: Math.min(1, rate / share) },
    ];
    const steps = Math.max(1, Math.round(run.steps * share));
    return [
      { name, text: told, stem: told, cost: 2, run: moved },
      {
        name: `${name}-epochs`,
        text: `${told}, for as many epochs`,
        stem: told,
        cost: 3,
        run: { ...moved, steps, epochs: epochsOf(run) },
      },
    ];
  });
}

const usualSizes: readonly number[] = [
  ...Array.from({ length: 14 }, (_, index) => 2 ** (index + 3)),
  100,
  200,
  250,
  400,
  500,
  600,
  800,
  1000,
  1200,
];

function batchVariations(run: RunSettings): Variation[] {
  const { batch, units } = run;
  if (batch === null || units === null) return [];
  const sizes = [batch * 2, batch / 2, ...usualSizes].filter(
    size => size >= 1 && size <= units && size !== batch,
  );
  return sizes.flatMap((size): Variation[] => {
    const rate = Math.min(1, size / units);
    const steps = Math.max(1, roundSteps(epochsOf(run), 1 / rate, 'floor'));
    const text = `with batch size ${size} instead of ${Number(batch.toPrecision(6))}`;
    const kept = { ...run, rate, batch: size };
    return [
      { name: `batch-${size}`, text: `${text}, for ${run.steps} steps`, stem: text, cost: 4, run: kept },
      {
        name: `batch-${size}-epochs`,
        text: `${text}, for as many epochs, which are ${steps} steps`,
        stem: text,
        cost: 4,
        run: { ...kept, steps, epochs: epochsOf(run) },
      },
    ];
  });
}

function accumulations(run: RunSettings): Variation[] {
  return [2, 4, 8, 16].flatMap((parts): Variation[] => {
    const [fewer, more] = [Math.max(1, Math.round(run.steps / parts)), run.steps * parts];
    const told = `where gradients were accumulated over ${parts} batches`;
    const small = run.rate / parts;
    const large = Math.min(1, run.rate * parts);
    return [
      {
        name: `accumulation-${parts}-rate`,
        text: `${told} and one of them was accounted`,
        cost: 5,
        run: { ...run, rate: small },
      },
      {
        name: `accumulation-${parts}-all`,
        text: `${told} and each was accounted as a step`,
        cost: 5,
        run: { ...run, rate: small, steps: more },
      },
      {
        name: `accumulation-${parts}-steps`,
        text: `${told} and only every ${parts}th step was accounted`,
        cost: 5,
        run: { ...run, steps: fewer },
      },
      {
        name: `accumulation-${parts}-batch`,
        text: `${told} into a batch ${parts} times as large`,
        cost: 5,
        run: { ...run, rate: large },
      },
    ];
  });
}

/**
 * Readings of two changes: another batch or table size, and one over the number of batches for the sampling probability, as libraries
 * take it from a loader.
 */
export function refinementsOf({ name, stem, cost, settings, times }: Reading): Reading[] {
  if (stem === undefined) return [];
  const main = mainOf(settings);
  const run = settings.runs[main]!;
  return loaderVariations(run).map(({ name: second, run: moved, text, cost: added }) => {
    const steps = name.endsWith('-epochs') ? Math.round(epochsOf(run) / moved.rate) : run.steps;
    return {
      name: `${name}+${second}`,
      text: `after two changes, ${stem}, and ${text}, for ${steps} steps`,
      cost: cost + added + 1,
      settings: { ...settings, runs: settings.runs.with(main, { ...moved, steps }) },
      times,
    };
  });
}

function noiseReadings(stated: Settings, main: number): Reading[] {
  const scaled = (factor: number): Settings => {
    const run = stated.runs[main]!;
    return { ...stated, runs: stated.runs.with(main, { ...run, noise: run.noise * factor }) };
  };
  const other = stated.neighbours === 'replace' ? 'add-or-remove' : 'replace';
  const replaced = { ...stated, neighbours: other } as const;
  return [
    { name: `neighbours-${other}`, text: `under ${other} neighbours`, cost: 4, settings: replaced, times: 1 },
    {
      name: 'noise-halved',
      text: 'with half the noise, as for sums of several clipped units',
      cost: 5,
      settings: scaled(0.5),
      times: 1,
    },
    { name: 'noise-doubled', text: 'with twice the noise', cost: 5, settings: scaled(2), times: 1 },
  ];
}

function deltaReadings(stated: Settings, main: number): Reading[] {
  const { units } = stated.runs[main]!;
  const own = units === null ? [] : [{ delta: 1 / units, text: 'one over the number of units' }];
  const usual = [1e-5, 1e-6, 1e-4].map(delta => ({ delta, text: delta.toExponential() }));
  return [...own, ...usual]
    .filter(({ delta }) => delta !== stated.delta)
    .map(({ delta, text }) => ({
      name: `delta-${Number(delta.toPrecision(4))}`,
      text: `at delta ${text}`,
      cost: 4,
      times: 1,
      settings: {
        ...stated,
        delta,
      },
    }));
}

/** Epsilon of one record times the records of a unit, which is no bound. */
function multiplied(stated: Settings, records: number | null): Reading[] {
  if (records === null || records < 2) return [];
  const text = `as ${records} times the epsilon of one record, which bounds nothing`;
  return [{ name: `times-${records}`, text, cost: 2, settings: stated, times: records }];
}
