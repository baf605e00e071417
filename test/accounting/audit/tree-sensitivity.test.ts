import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  auditClaim,
  claimOf,
  type ClaimAudit,
  type StatedMechanism,
} from '../../../accounting/audit/index.ts';
import { treeSensitivity, type TreeRun } from '../../../accounting/audit/tree-sensitivity.ts';

/** The largest sum over all complete nodes, by trying every pattern. */
function bruteForce({ steps, restarts, maxParticipations, separation }: TreeRun): number {
  const nodes = nodesOf(steps, restarts);
  let best = 0;
  const tryAll = (taken: readonly number[]): void => {
    const counts = nodes.map(([from, to]) => taken.filter(step => step >= from && step < to).length);
    best = Math.max(
      best,
      counts.reduce((sum, count) => sum + count ** 2, 0),
    );
    if (taken.length === maxParticipations) return;
    const first = taken.length === 0 ? 0 : taken.at(-1)! + separation;
    for (let step = first; step < steps; step += 1) tryAll([...taken, step]);
  };
  tryAll([]);
  return best;
}

function nodesOf(steps: number, restarts: number): [number, number][] {
  const length = Math.ceil(steps / (restarts + 1));
  const nodes: [number, number][] = [];
  for (let start = 0; start < steps; start += length)
    for (let size = 1; size <= Math.min(length, steps - start); size *= 2)
      for (let from = 0; from + size <= Math.min(length, steps - start); from += size)
        nodes.push([start + from, start + from + size]);
  return nodes;
}

/** What left nodes alone reveal, by which a plain tree answers prefix sums, of a unit that comes as early as it may. */
function leftNodes({ steps, restarts, maxParticipations, separation }: TreeRun): number {
  const length = Math.ceil(steps / (restarts + 1));
  const taken = Array.from({ length: maxParticipations }, (_, index) => index * separation).filter(
    step => step < steps,
  );
  let sum = 0;
  for (let end = 1; end <= steps; end += 1) {
    const start = Math.floor((end - 1) / length) * length;
    const inTree = end - start;
    const from = end - (inTree & -inTree);
    sum += taken.filter(step => step >= from && step < end).length ** 2;
  }
  return sum;
}

const runs = fc.record({
  steps: fc.integer({ min: 1, max: 18 }),
  restarts: fc.integer({ min: 0, max: 4 }),
  maxParticipations: fc.integer({ min: 1, max: 4 }),
  separation: fc.integer({ min: 1, max: 7 }),
});

describe('treeSensitivity()', () => {
  it('is 79 for six participations 313 rounds apart in 2,000', () => {
    for (const separation of [313, 314]) {
      const run = { steps: 2000, restarts: 0, maxParticipations: 6, separation };
      expect(treeSensitivity(run).upper ** 2).toBeCloseTo(79, 10);
    }
  });

  it.each([3, 8, 11, 19])('adds up all nodes where a unit is in each of %i steps', steps => {
    const levels = [0, 1, 2, 3, 4].filter(level => (steps >> level) % 2 === 1);
    const all = levels.reduce((sum, level) => sum + 2 ** level * (2 ** (level + 1) - 1), 0);
    const run = { steps, restarts: 0, maxParticipations: 200, separation: 1 };
    expect(treeSensitivity(run).upper ** 2).toBeCloseTo(all, 9);
  });

  it('is the depth of the tree for one participation', () => {
    const run = { steps: 1000, restarts: 0, maxParticipations: 1, separation: 1 };
    expect(treeSensitivity(run).upper ** 2).toBeCloseTo(10, 10);
    expect(treeSensitivity({ ...run, restarts: 9 }).upper ** 2).toBeCloseTo(7, 10);
    expect(treeSensitivity(run).lower).toBe(1);
  });

  it('is the largest sum over all patterns', () => {
    fc.assert(
      fc.property(runs, run => {
        expect(treeSensitivity(run).upper ** 2).toBeCloseTo(bruteForce(run), 9);
      }),
      { numRuns: 200 },
    );
  });

  it('has a lower end below what a plain tree reveals', () => {
    const long = fc.record({
      steps: fc.integer({ min: 1, max: 300 }),
      restarts: fc.integer({ min: 0, max: 6 }),
      maxParticipations: fc.integer({ min: 1, max: 40 }),
      separation: fc.integer({ min: 1, max: 60 }),
    });
    fc.assert(
      fc.property(long, run => {
        const { lower, upper } = treeSensitivity(run);
        const plain = leftNodes(run);
        expect(lower).toBeGreaterThanOrEqual(1);
        expect(lower ** 2).toBeLessThanOrEqual(plain + 1e-9);
        expect(plain).toBeLessThanOrEqual(upper ** 2 + 1e-9);
      }),
      { numRuns: 200 },
    );
  });

  it('bounds what it does not search', () => {
    const run = { steps: 100_000, restarts: 0, maxParticipations: 64, separation: 500 };
    const searched = treeSensitivity(run).upper;
    const bounded = treeSensitivity({ ...run, maxParticipations: 65 }).upper;
    expect(bounded).toBeGreaterThan(searched);
    expect(bounded).toBeLessThan(searched * 1.2);
    const everything = { steps: 1 << 16, restarts: 0, maxParticipations: 1 << 16, separation: 1 };
    expect(treeSensitivity(everything).upper ** 2).toBeCloseTo(2 ** 16 * (2 ** 17 - 1), -2);
  });
});

function auditTree(run: Partial<StatedMechanism>, noise = 7): ClaimAudit {
  return auditClaim(
    claimOf({
      guarantee: { epsilon: '8.9', delta: 1e-10, relation: '=' },
      unit: { kind: 'device' },
      adjacency: 'zero_out',
      mechanisms: [
        {
          kind: 'dp_ftrl_tree',
          steps: 2000,
          clip: { per: 'unit' },
          noise: { multiplier: noise, relative_to: 'clip' },
          ...run,
        },
      ],
    }),
  );
}

describe('auditClaim() of a tree without a stated sensitivity', () => {
  const sampler = { kind: 'min_separation', min_separation: 313, max_participations: 6 } as const;

  it('computes it from restarts and participations', () => {
    const { recomputed, detail, readings } = auditTree({ sampler, restarts: 0 });
    const stated = auditTree({ sampler, sensitivity: Math.sqrt(79) }).recomputed;
    expect(recomputed['exact']!.upper).toBeCloseTo(stated['exact']!.upper, 9);
    // Four participations before step 1,024, which one node holds.
    const certain = auditTree({ sampler, sensitivity: 4 }).recomputed['exact']!;
    expect(recomputed['exact']!.lower).toBeCloseTo(certain.lower, 9);
    expect(detail).toBe('consistent');
    expect(readings[0]).toMatchObject({ name: 'stated', convention: 'rdp modern' });
    expect(recomputed['rdp modern']!.upper).toBeCloseTo(8.8986, 4);
  });

  it('accuses by the lower end only', () => {
    expect(auditTree({ sampler, restarts: 0 }, 5).detail).toBe('borderline');
    expect(auditTree({ sampler, restarts: 0 }, 2).detail).toBe('privacy_overstated');
  });

  it('asks where restarts or participations are not stated', () => {
    for (const run of [
      { sampler },
      { restarts: 0 },
      { sampler: { kind: 'min_separation' } as const, restarts: 0 },
    ]) {
      const { detail, questions } = auditTree(run);
      expect(detail).toBe('unverifiable');
      expect(questions.join(' ')).toContain('sensitivity of the whole release');
    }
  });

  it('takes one participation each epoch where the order is fixed', () => {
    const fixed = { kind: 'fixed_order', batch_size: 100 } as const;
    const run = { sampler: fixed, n_units: 20_000, epochs: 10, steps: null, restarts: 9 };
    const { upper } = auditTree(run).recomputed['exact']!;
    // Each epoch is a tree of 200 steps, with 8 levels above its first one.
    const one = auditTree({ sampler: fixed, sensitivity: Math.sqrt(80) }).recomputed['exact']!;
    expect(upper).toBeCloseTo(one.upper, 9);
  });
});
