import { readFileSync } from 'node:fs';
import {
  gaussianEvent,
  poissonEvent,
  poissonGroupEvent,
  repeat,
  sequence,
  type DpEvent,
  type Neighbours,
} from '../../accounting/event.ts';
import { hasShared, sharedPath } from '../support/shared.ts';

/** One mechanism of a reference case; `q` is the sampling probability, `group` the records of one user. */
interface Mechanism {
  readonly kind: string;
  readonly sigma: number;
  readonly q?: number;
  readonly group?: number;
  readonly steps: number;
  readonly scale?: number;
  readonly sensitivity?: number;
  readonly dataset?: number;
  readonly batch?: number;
  readonly batch_cap?: number;
  readonly epsilon?: number;
  readonly delta?: number;
  readonly noise?: number;
  readonly buckets?: number;
  readonly bins?: number;
}

/** What another tool answers. */
export interface PeerAnswer {
  readonly upper?: number;
  readonly lower?: number;
  readonly estimate?: number;
}

/** A reference case; `truth` is absent where only bounds of other tools are known. */
export interface Vector {
  readonly id: string;
  readonly mechanism: readonly Mechanism[];
  readonly adjacency: string;
  readonly query: {
    readonly delta?: number;
    readonly epsilon?: number;
    readonly order?: number;
    readonly solve?: string;
    readonly alpha?: number;
    readonly ask?: string;
  };
  readonly truth?: { readonly value: number; readonly method?: string };
  readonly peers: Readonly<Record<string, PeerAnswer>>;
}

type EventMaker = (mechanism: Mechanism) => DpEvent;

const makers: Readonly<Record<string, EventMaker>> = {
  gaussian: ({ sigma, steps }) => repeat(gaussianEvent(sigma), steps),
  'poisson-gaussian': poisson,
  'mixture-of-gaussians': part => poissonGroupEvent({ ...poissonOptions(part), groupSize: part.group! }),
  laplace: ({ scale, q, steps }) => repeat(laplaceEvent(scale!, q!), steps),
  'discrete-gaussian': ({ sigma, sensitivity, steps }) =>
    repeat({ kind: 'discrete-gaussian', scale: sigma, sensitivity: sensitivity! }, steps),
  'pure-dp': ({ epsilon, steps }) => repeat({ kind: 'guarantee', epsilon: epsilon!, delta: 0 }, steps),
  'eps-delta': ({ epsilon, delta, steps }) =>
    repeat({ kind: 'guarantee', epsilon: epsilon!, delta: delta! }, steps),
  'randomized-response': ({ noise, buckets, steps }) =>
    repeat({ kind: 'randomised-response', randomProbability: noise!, buckets: buckets! }, steps),
  'truncated-poisson-gaussian': ({ sigma, q, dataset, batch_cap, steps }) =>
    repeat(
      {
        kind: 'truncated-poisson-gaussian',
        noiseMultiplier: sigma,
        samplingProbability: q!,
        datasetSize: dataset!,
        maximumBatchSize: batch_cap!,
      },
      steps,
    ),
  'random-allocation-gaussian': ({ sigma, bins, steps }) =>
    repeat({ kind: 'balls-in-bins-gaussian', noiseMultiplier: sigma, stepsPerEpoch: bins! }, steps),
  // The other tool's noise is relative to what one replaced record changes; ours to the length of one record, half of it.
  'fixed-size-gaussian': ({ sigma, dataset, batch, steps }) =>
    repeat(
      {
        kind: 'fixed-size-gaussian',
        noiseMultiplier: 2 * sigma,
        datasetSize: dataset!,
        batchSize: batch!,
        groupSize: 1,
      },
      steps,
    ),
  'banded-mf': poisson,
};

function poissonOptions({ sigma, q, steps }: Mechanism): Parameters<typeof poissonEvent>[0] {
  return { noiseMultiplier: sigma, samplingProbability: q!, steps };
}

function poisson(mechanism: Mechanism): DpEvent {
  return poissonEvent(poissonOptions(mechanism));
}

function laplaceEvent(noiseMultiplier: number, samplingProbability: number): DpEvent {
  if (samplingProbability === 1) return { kind: 'laplace', noiseMultiplier };
  return { kind: 'poisson-subsampled-laplace', noiseMultiplier, samplingProbability };
}

const gaussianKinds = ['gaussian', 'poisson-gaussian', 'mixture-of-gaussians'];

/** The reference cases of Gaussians and mixtures of them; empty where the reference data is not at hand. */
export function referenceVectors(): Vector[] {
  return everyVector().filter(({ mechanism }) => mechanism.every(({ kind }) => gaussianKinds.includes(kind)));
}

/** The reference cases of all mechanisms that this library has; empty where the reference data is not at hand. */
export function everyVector(): Vector[] {
  if (!hasShared) return [];
  const text = readFileSync(sharedPath('vectors/accounting.json'), 'utf8');
  const { cases }: { cases: Vector[] } = JSON.parse(text);
  return cases.filter(({ mechanism }) => mechanism.every(({ kind }) => Object.hasOwn(makers, kind)));
}

/** Options with some replaced by values that the types forbid. */
export function withWrong<T extends object>(good: T, change: object): T {
  return Object.assign({ ...good }, change);
}

/** The event of a case, with another noise multiplier where the case asks for it. */
export function eventOf({ mechanism }: Vector, noise?: number): DpEvent {
  return sequence(mechanism.map(part => makers[part.kind]!({ ...part, sigma: noise ?? part.sigma })));
}

/** The case's neighbouring relation in our words. */
export function neighboursOf({ adjacency }: Vector): Neighbours {
  if (adjacency.startsWith('add-remove')) return 'add-or-remove';
  return adjacency === 'zero-out' ? 'zero-out' : 'replace';
}
