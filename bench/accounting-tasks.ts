import {
  calibrateNoise,
  epsilonOf,
  poissonEvent,
  poissonGroupEvent,
  privacyCurve,
  rdpAccountant,
  sequence,
  type DpEvent,
  type Interval,
} from '../accounting/index.ts';

/** What a task answers: one number, and bounds on it where there are any. */
export interface TaskAnswer {
  readonly value: number;
  readonly lower?: number;
  readonly upper?: number;
}

/** A question that other libraries are asked too, in the same words. */
export interface Task {
  readonly about: string;
  readonly run: () => TaskAnswer;
}

const neighbours = 'add-or-remove';
const delta = 1e-6;

function exact(event: DpEvent, at: number): TaskAnswer {
  const { byAccountant } = epsilonOf(event, { delta: at, neighbours, accountant: 'exact' });
  const { value, lower, upper } = byAccountant.exact!;
  return { value: value!, lower: lower!, upper };
}

function logSpaced(from: number, to: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from * (to / from) ** (index / (count - 1)));
}

function ofInterval({ lower, upper }: Interval): TaskAnswer {
  return { value: upper, lower, upper };
}

function noiseFor(epsilon: number): number {
  return calibrateNoise({ epsilon, delta, samplingProbability: 1, steps: 1, neighbours }).noiseMultiplier;
}

function renyiGrid(): number {
  let sum = 0;
  for (const noiseMultiplier of logSpaced(0.5, 5, 50)) {
    for (const samplingProbability of logSpaced(1e-4, 0.1, 50)) {
      const event = poissonEvent({ noiseMultiplier, samplingProbability, steps: 1000 });
      sum += rdpAccountant.epsilon(event, { delta, neighbours }).upper;
    }
  }
  return sum;
}

/** The eight tasks by name. */
export const tasks: Readonly<Record<string, Task>> = {
  'psg-1e4': {
    about: 'epsilon at delta 1e-6: 10^4 steps of the Poisson-subsampled Gaussian, noise 1, probability 0.01',
    run: () => exact(poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 10_000 }), delta),
  },
  'psg-1e5': {
    about: 'epsilon at delta 1e-8: 10^5 steps, noise 0.8, probability 0.001',
    run: () =>
      exact(poissonEvent({ noiseMultiplier: 0.8, samplingProbability: 0.001, steps: 100_000 }), 1e-8),
  },
  calibrate: {
    about: 'noise multiplier for epsilon 1 at delta 1e-6: 10^4 steps, probability 0.01',
    run: () => {
      const options = { epsilon: 1, delta, samplingProbability: 0.01, steps: 10_000, neighbours } as const;
      return { value: calibrateNoise(options).noiseMultiplier };
    },
  },
  'rdp-grid': {
    about: 'sum of 2,500 Renyi epsilons at delta 1e-6 after 1000 steps: noise 0.5..5, probability 1e-4..0.1',
    run: () => ({ value: renyiGrid() }),
  },
  'mog-8': {
    about: 'epsilon at delta 1e-6: a group of 8 records, 1000 steps, noise 2, probability 0.01',
    run: () =>
      exact(
        poissonGroupEvent({ noiseMultiplier: 2, samplingProbability: 0.01, steps: 1000, groupSize: 8 }),
        delta,
      ),
  },
  'hetero-10': {
    about: 'epsilon at delta 1e-6: 10 segments of 500 steps, noise 1, probability 0.001 to 0.010',
    run: () => {
      const segments = Array.from({ length: 10 }, (_, index) =>
        poissonEvent({ noiseMultiplier: 1, samplingProbability: (index + 1) / 1000, steps: 500 }),
      );
      return exact(sequence(segments), delta);
    },
  },
  'curve-100': {
    about:
      'delta at 100 epsilons from 0.05 to 5: 1000 steps, noise 1, probability 0.01; the value is their sum',
    run: () => {
      const event = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 1000 });
      const epsilons = Array.from({ length: 100 }, (_, index) => 0.05 * (index + 1));
      const points = privacyCurve(event, { epsilons, neighbours }).map(point => point.delta);
      return ofInterval({
        lower: points.reduce((sum, { lower }) => sum + lower, 0),
        upper: points.reduce((sum, { upper }) => sum + upper, 0),
      });
    },
  },
  'gauss-1000': {
    about:
      '1000 noise calibrations of one Gaussian, epsilon 0.1..10 log-spaced, delta 1e-6; the value is their sum',
    run: () => ({ value: logSpaced(0.1, 10, 1000).reduce((sum, epsilon) => sum + noiseFor(epsilon), 0) }),
  },
};
