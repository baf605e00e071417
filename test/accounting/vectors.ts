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
  };
  readonly truth?: { readonly value: number };
  readonly peers: Readonly<
    Record<string, { readonly upper?: number; readonly lower?: number; readonly estimate?: number }>
  >;
}

const ours = ['gaussian', 'poisson-gaussian', 'mixture-of-gaussians'];

/** The reference cases whose mechanisms this library has; empty where the reference data is not at hand. */
export function referenceVectors(): Vector[] {
  if (!hasShared) return [];
  const text = readFileSync(sharedPath('vectors/accounting.json'), 'utf8');
  const { cases }: { cases: Vector[] } = JSON.parse(text);
  return cases.filter(({ mechanism }) => mechanism.every(({ kind }) => ours.includes(kind)));
}

/** Options with some replaced by values that the types forbid. */
export function withWrong<T extends object>(good: T, change: object): T {
  return Object.assign({ ...good }, change);
}

/** The event of a case, with another noise multiplier where the case asks for it. */
export function eventOf({ mechanism }: Vector, noise?: number): DpEvent {
  return sequence(mechanism.map(part => partEvent({ ...part, sigma: noise ?? part.sigma })));
}

function partEvent({ kind, sigma, q, group, steps }: Mechanism): DpEvent {
  if (kind === 'gaussian') return repeat(gaussianEvent(sigma), steps);
  const options = { noiseMultiplier: sigma, samplingProbability: q!, steps };
  return group === undefined ? poissonEvent(options) : poissonGroupEvent({ ...options, groupSize: group });
}

/** The case's neighbouring relation in our words. */
export function neighboursOf({ adjacency }: Vector): Neighbours {
  if (adjacency.startsWith('add-remove')) return 'add-or-remove';
  return adjacency === 'zero-out' ? 'zero-out' : 'replace';
}
