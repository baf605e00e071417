import { describe, expect, it } from 'vitest';
import type { Accountant, Bound } from '../../accounting/accountant.ts';
import { accountants } from '../../accounting/epsilon.ts';
import { eventOf, everyVector, neighboursOf, type PeerAnswer, type Vector } from './vectors.ts';

function answer(accountant: Accountant, vector: Vector): Bound {
  const { query } = vector;
  const neighbours = neighboursOf(vector);
  if (query.delta !== undefined)
    return accountant.epsilon(eventOf(vector), { delta: query.delta, neighbours });
  return accountant.delta(eventOf(vector), { epsilon: query.epsilon!, neighbours });
}

const asked = everyVector().filter(
  ({ query }) => query.solve === undefined && query.order === undefined && query.ask === undefined,
);

describe.each(accountants.filter(({ name }) => name !== 'gdp'))(
  '$name on the reference cases',
  accountant => {
    const supported = asked.filter(
      vector => accountant.unsupported(eventOf(vector), neighboursOf(vector)) === undefined,
    );

    it('supports most of them', () => {
      expect(supported.length).toBeGreaterThanOrEqual(asked.length - 2);
    });

    it.each(supported.filter(({ truth }) => truth !== undefined))('$id: is on the right side', vector => {
      const { lower = 0, upper } = answer(accountant, vector);
      const truth = vector.truth!.value;
      // How well the reference itself is known.
      const slack = truth * (vector.truth!.method!.includes('contour') ? 1e-9 : 2e-13);
      expect(upper).toBeGreaterThanOrEqual(truth - slack);
      expect(lower).toBeLessThanOrEqual(truth + slack);
    });

    const open = supported.filter(({ truth, peers }) => truth === undefined && peersOf(peers).length > 0);
    it.each(open)('$id: contradicts no bound of another tool', vector => {
      const { lower = 0, upper } = answer(accountant, vector);
      for (const peer of peersOf(vector.peers)) {
        expect(lower).toBeLessThanOrEqual(peer.upper ?? Infinity);
        expect(upper).toBeGreaterThanOrEqual(peer.lower ?? 0);
      }
    });

    const fine = supported.filter(({ peers }) => peers['dp_accounting.pld-fine'] !== undefined);
    // By how much an interval of the usual width may stick out.
    const gap = accountant.name === 'exact' ? 1e-4 : 1e-3;
    it.runIf(accountant.name !== 'rdp').each(fine)(
      '$id: lies within that of a fine grid elsewhere',
      vector => {
        const { lower = 0, upper } = answer(accountant, vector);
        const peer = vector.peers['dp_accounting.pld-fine']!;
        expect(lower).toBeGreaterThanOrEqual(peer.lower! - gap * upper);
        expect(upper).toBeLessThanOrEqual(peer.upper! * (1 + gap));
      },
    );
  },
);

/** None of these cases is one of those on which another tool is known to be wrong; those have a truth. */
function peersOf(peers: Vector['peers']): PeerAnswer[] {
  return Object.values(peers);
}

describe('the reference cases', () => {
  it.runIf(asked.length > 0)('cover every kind of mechanism that is read', () => {
    const kinds = new Set(everyVector().flatMap(({ mechanism }) => mechanism.map(({ kind }) => kind)));
    expect([...kinds].sort()).toEqual(
      [
        'banded-mf',
        'discrete-gaussian',
        'eps-delta',
        'fixed-size-gaussian',
        'gaussian',
        'laplace',
        'mixture-of-gaussians',
        'poisson-gaussian',
        'pure-dp',
        'random-allocation-gaussian',
        'randomized-response',
        'truncated-poisson-gaussian',
      ].sort(),
    );
  });
});
