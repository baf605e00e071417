import { claimOf, type Claim, type StatedClaim, type StatedMechanism } from '../accounting/audit/index.ts';

/** Numbers in [0, 1), the same ones for the same seed. */
function uniforms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Random choices of one claim. */
class Draw {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = uniforms(seed);
  }

  isTrue(probability: number): boolean {
    return this.#next() < probability;
  }

  of<T>(values: readonly T[]): T {
    return values[Math.floor(this.#next() * values.length)]!;
  }

  /** Log-uniform. */
  between(least: number, most: number): number {
    return least * (most / least) ** this.#next();
  }

  count(least: number, most: number): number {
    return Math.round(this.between(least, most));
  }

  /** A fact that the claim may leave out. */
  stated<T>(value: T, probability = 0.93): T | null {
    return this.isTrue(probability) ? value : null;
  }
}

const samplers = [
  'poisson',
  'poisson',
  'poisson',
  'shuffle_each_epoch',
  'shuffle_once',
  'fixed_order',
  'without_replacement',
  'cyclic_poisson',
  'balls_in_bins',
  'min_separation',
  'unknown',
  null,
] as const;

const kinds = [...Array<'dp_sgd'>(5).fill('dp_sgd'), 'gaussian', 'laplace', 'dp_ftrl_tree'] as const;

function mechanismOf(draw: Draw): StatedMechanism {
  const kind = draw.of(kinds);
  const units = draw.count(10, 1e7);
  const batch = Math.min(units, Math.max(1, Math.round(units * draw.between(1e-6, 1))));
  const length = draw.isTrue(0.5)
    ? { epochs: draw.of([draw.count(1, 1000), draw.between(0.5, 1000)]) }
    : { steps: draw.count(1, 1e6) };
  const rate = { rate: draw.between(1e-7, 1) };
  return {
    kind,
    n_units: draw.stated(units),
    ...(draw.isTrue(0.97) ? length : {}),
    ...(kind === 'dp_ftrl_tree' && { sensitivity: draw.stated(draw.between(0.5, 100)) }),
    rounding: draw.of([null, 'floor', 'ceil']),
    sampler: {
      kind: draw.of(samplers),
      ...(draw.isTrue(0.8) ? { batch_size: draw.stated(batch) } : rate),
      physical_cap: draw.isTrue(0.1) ? Math.max(1, Math.round(batch * draw.between(0.5, 4))) : null,
      partial_last: draw.of([null, 'none', 'dropped', 'kept']),
      min_separation: draw.isTrue(0.2) ? draw.count(1, 1000) : null,
    },
    clip: {
      norm: 1,
      per: draw.of(['example', 'example', 'example', 'unit', 'unit', 'microbatch', 'layer', 'batch', null]),
      microbatch_size: draw.stated(draw.count(1, 64), 0.5),
    },
    noise: {
      multiplier: draw.stated(draw.between(0.05, 50)),
      relative_to: draw.of(['clip', 'clip', 'sensitivity', null]),
      applied_to: draw.of(['sum', 'sum', 'sum', 'mean', null]),
      per: draw.of(['logical_batch', 'logical_batch', 'microbatch', 'worker', null, null]),
      workers: draw.stated(draw.count(1, 64), 0.5),
    },
  };
}

function selectionOf(draw: Draw): NonNullable<StatedClaim['selection']> {
  if (draw.isTrue(0.85)) return {};
  return {
    runs: draw.count(2, 200),
    rule: 'best_validation',
    count_distribution: draw.of(['fixed', 'poisson', 'geometric', 'logarithmic', null]),
  };
}

/** A claim with every fact drawn at random, over more than anybody would print. */
export function randomClaim(seed: number): Claim {
  const draw = new Draw(seed);
  const count = draw.of([1, 1, 1, 1, 1, 1, 2, 3]);
  return claimOf({
    guarantee: {
      epsilon: draw.stated(draw.between(0.01, 200).toPrecision(draw.of([2, 3]))),
      delta: draw.stated(draw.isTrue(0.8) ? draw.between(1e-10, 1e-3) : draw.between(1e-30, 0.1)),
      relation: draw.of(['=', '<=', null]),
    },
    unit: {
      kind: draw.of(['example', 'example', 'user', 'user', 'document', null]),
      max_records_per_unit: draw.isTrue(0.7) ? draw.of([1, draw.count(2, 20), draw.count(2, 1e4)]) : null,
    },
    adjacency: draw.of(['add_remove', 'add_remove', 'replace_one', 'replace_one', 'zero_out', null]),
    mechanisms: Array.from({ length: count }, () => mechanismOf(draw)),
    selection: selectionOf(draw),
  });
}
