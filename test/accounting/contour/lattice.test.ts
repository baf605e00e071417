import { describe, expect, it } from 'vitest';
import { exactDeltas, exactEpsilon, type ExactBound } from '../../../accounting/contour/contour.ts';
import { repeat, type DpEvent, type Neighbours } from '../../../accounting/event.ts';

/** P and losses of one step. */
type Law = readonly (readonly [loss: number, mass: number])[];

/** δ(ε) of `count` steps of a law on three losses at most, by the multinomial sum; factorials by logarithms. */
function composedDelta(law: Law, { count, epsilon }: { count: number; epsilon: number }): number {
  const logs = [0];
  for (let k = 1; k <= count; k += 1) logs.push(logs[k - 1]! + Math.log(k));
  const [[up, p], [down, r], [stay, s]] = [law[0]!, law[1]!, law[2] ?? [0, 0]];
  let total = 0;
  for (let i = 0; i <= count; i += 1)
    for (let j = 0; i + j <= count; j += 1) {
      const k = count - i - j;
      if (k > 0 && s === 0) continue;
      const loss = i * up + j * down + k * stay;
      if (loss <= epsilon) continue;
      const log =
        logs[count]! -
        logs[i]! -
        logs[j]! -
        logs[k]! +
        i * Math.log(p) +
        j * Math.log(r) +
        (k && k * Math.log(s));
      total += Math.exp(log) * -Math.expm1(epsilon - loss);
    }
  return total;
}

function solve(delta: (epsilon: number) => number, target: number): number {
  let [low, high] = [0, 1000];
  for (let round = 0; round < 90; round += 1) {
    const middle = (low + high) / 2;
    if (delta(middle) > target) low = middle;
    else high = middle;
  }
  return high;
}

function expectTruth({ lower, upper, value }: ExactBound, truth: number): void {
  expect(lower).toBeLessThanOrEqual(truth * (1 + 1e-12));
  expect(upper).toBeGreaterThanOrEqual(truth * (1 - 1e-12));
  expect(Math.abs(value! / truth - 1)).toBeLessThanOrEqual(1e-10);
}

interface LatticeCase {
  readonly name: string;
  readonly event: DpEvent;
  readonly neighbours: Neighbours;
  readonly law: Law;
  /** Mass of an infinite loss per step. */
  readonly infinite: number;
}

function guarantee(epsilon: number, delta: number): LatticeCase {
  const share = (1 - delta) / (1 + Math.exp(-epsilon));
  return {
    name: `guarantee (${epsilon}, ${delta})`,
    event: { kind: 'guarantee', epsilon, delta },
    neighbours: 'add-or-remove',
    law: [
      [epsilon, share],
      [-epsilon, share * Math.exp(-epsilon)],
    ],
    infinite: delta,
  };
}

function response(randomProbability: number, buckets: number): LatticeCase {
  const other = randomProbability / buckets;
  const truth = 1 - randomProbability + other;
  const loss = Math.log(truth / other);
  return {
    name: `randomised response ${randomProbability} of ${buckets}`,
    event: { kind: 'randomised-response', randomProbability, buckets },
    neighbours: 'replace',
    law: [
      [loss, truth],
      [-loss, other],
      [0, other * (buckets - 2)],
    ],
    infinite: 0,
  };
}

const cases = [
  guarantee(0.1, 0),
  guarantee(1, 0),
  guarantee(0.02, 1e-9),
  response(0.5, 2),
  response(0.8, 5),
  response(0.1, 3),
];

describe.each(cases)('$name', ({ event, neighbours, law, infinite }) => {
  it.each([2, 7, 60])('%d times is the exact sum', count => {
    const composed = repeat(event, count);
    const revealed = -Math.expm1(count * Math.log1p(-infinite));
    const delta = (epsilon: number): number => revealed + composedDelta(law, { count, epsilon });
    const epsilons = [0, 0.3, 0.55].map(share => share * count * law[0]![0]);
    exactDeltas(composed, { epsilons, neighbours }).forEach((bound, index) => {
      expectTruth(bound, delta(epsilons[index]!));
      expect(bound.detail).toContain('lattice');
    });
    for (const target of [1e-3, 1e-6])
      if (delta(0) > target)
        expectTruth(exactEpsilon(composed, { delta: target, neighbours }), solve(delta, target));
  });
});

describe('the discrete Gaussian', () => {
  it.each([
    [1, 1, 2],
    [3, 1, 9],
    [2, 3, 4],
  ])('scale %d, sensitivity %d, %d times is the exact convolution', (scale, sensitivity, count) => {
    const reach = Math.ceil(14 * scale);
    const weight = (k: number): number => Math.exp(-((k / scale) ** 2) / 2);
    const one = Array.from({ length: 2 * reach + 1 }, (_, index) => weight(index - reach));
    const mass = one.reduce((a, b) => a + b, 0);
    let sums = [1];
    for (let step = 0; step < count; step += 1) {
      const next = Array.from({ length: sums.length + 2 * reach }, () => 0);
      sums.forEach((have, at) => one.forEach((more, by) => (next[at + by]! += (have * more) / mass)));
      sums = next;
    }
    const delta = (epsilon: number): number =>
      sums.reduce((total, have, at) => {
        const shift = at - count * reach;
        const loss = (sensitivity * (2 * shift + count * sensitivity)) / (2 * scale * scale);
        return loss > epsilon ? total - have * Math.expm1(epsilon - loss) : total;
      }, 0);
    const event = repeat({ kind: 'discrete-gaussian', scale, sensitivity }, count);
    for (const target of [1e-2, 1e-6, 1e-12])
      expectTruth(exactEpsilon(event, { delta: target, neighbours: 'add-or-remove' }), solve(delta, target));
  });
});
