import { describe, expect, it } from 'vitest';
import {
  auditClaim,
  claimOf,
  type ClaimAudit,
  type StatedClaim,
  type StatedMechanism,
} from '../../../accounting/audit/index.ts';
import { conventionEpsilons, absoluteSeries, rhoEpsilons } from '../../../accounting/audit/conventions.ts';
import { epsilonOf, groupEpsilon, poissonEvent, type Interval } from '../../../accounting/index.ts';

/** The run that all mistakes start from: n 60000, batch 600, noise 1, 1000 steps, delta 1e-5. */
function claimWith(changes: StatedClaim = {}, run: Partial<StatedMechanism> = {}): ClaimAudit {
  const sampler = { kind: 'poisson', batch_size: 600, ...run.sampler } as const;
  return auditClaim(
    claimOf({
      guarantee: { epsilon: '1.83', delta: 1e-5, ...changes.guarantee },
      adjacency: 'add_remove',
      unit: { kind: 'example' },
      ...changes,
      mechanisms: [
        {
          kind: 'dp_sgd',
          n_units: 60000,
          steps: 1000,
          ...run,
          sampler,
          clip: { norm: 1, per: 'example', ...run.clip },
          noise: { multiplier: 1, ...run.noise },
        },
      ],
    }),
  );
}

/** Equal to as many digits as a table prints; of a certified interval the value that it holds. */
function expectPrinted(found: number | Interval, printed: string): void {
  const value = typeof found === 'number' ? found : (found.lower + found.upper) / 2;
  const unit = 10 ** -(printed.split('.')[1] ?? '').length;
  expect(Math.abs(value - Number(printed)), `${value} against ${printed}`).toBeLessThanOrEqual(unit * 0.5001);
}

function guarantee(delta: number): StatedClaim {
  return { guarantee: { epsilon: '1.83', delta } };
}

describe('auditClaim() on every mistake of the catalogue', () => {
  it('recomputes the run without a mistake', () => {
    const { recomputed, verdict, detail } = claimWith();
    expectPrinted(recomputed['exact']!, '1.8282');
    expectPrinted(recomputed['rdp modern']!.upper, '2.1014');
    expectPrinted(recomputed['rdp classic']!.upper, '2.5380');
    expect([verdict, detail]).toEqual(['consistent', 'consistent']);
  });

  it('S1: shuffled for each of ten epochs', () => {
    const { recomputed, detail, reasons } = claimWith({}, { sampler: { kind: 'shuffle_each_epoch' } });
    expectPrinted(recomputed['sampler lower bound']!.lower, '9.36');
    expect(detail).toBe('refuted_for_sampler');
    expect(reasons.find(({ level }) => level === 'error')!.epsilon!.lower).toBeGreaterThan(9);
    expect(reasons.map(({ code }) => code)).toContain('DPC-S1-shuffled-as-poisson');
  });

  it('S1: shuffled once for all epochs', () => {
    const { recomputed } = claimWith({}, { sampler: { kind: 'shuffle_once' } });
    expectPrinted(recomputed['sampler lower bound']!.lower, '17.86');
  });

  it('S2: a fixed order', () => {
    const { recomputed, detail } = claimWith({ adjacency: 'zero_out' }, { sampler: { kind: 'fixed_order' } });
    expectPrinted(recomputed['exact']!.lower, '17.86');
    expectPrinted(recomputed['exact']!, '17.86');
    expect(detail).toBe('refuted_for_sampler');
  });

  it('S3: batches of fixed size, one record replaced', () => {
    const sampler = { kind: 'without_replacement' } as const;
    const audit = claimWith(
      { adjacency: 'replace_one', guarantee: { epsilon: '3.576', delta: 1e-5 } },
      { sampler, noise: { relative_to: 'sensitivity' } },
    );
    expectPrinted(audit.recomputed['rdp modern, fixed-size batches']!, '3.576');
    expect(audit.readings[0]).toMatchObject({
      name: 'stated',
      convention: 'rdp modern, fixed-size batches',
      matches: true,
    });
    expect(audit.recomputed['exact']!.upper).toBeLessThan(2.2);
    const { recomputed, detail } = claimWith(
      { adjacency: 'replace_one' },
      { sampler, noise: { relative_to: 'clip' } },
    );
    expect(recomputed['exact']!.lower).toBeGreaterThan(10);
    expect(detail).toBe('refuted_for_sampler');
  });

  it.each([
    [600, '11.11'],
    [650, '5.17'],
    [700, '1.879'],
    [1000, '1.828'],
  ])('S4: batches cut at %i', (physical_cap, printed) => {
    const guaranteed = { guarantee: { epsilon: printed, delta: 1e-5 } };
    const { recomputed, readings } = claimWith(guaranteed, { sampler: { physical_cap } });
    expectPrinted(recomputed['pld, truncated batches']!, printed);
    expect(readings[0]).toMatchObject({ name: 'stated', matches: true });
    // The library's pair is 4 clip norms apart where 2 are enough, so the bound is below it: 10.92 for 11.11.
    const { upper } = recomputed['exact']!;
    expect(upper).toBeLessThanOrEqual(recomputed['pld, truncated batches']!.upper * 1.0001);
    expect(upper).toBeGreaterThanOrEqual(Number(printed) * 0.98);
  });

  it('A1: replace-one, A2: zero-out', () => {
    const noise = { relative_to: 'clip' } as const;
    expectPrinted(claimWith({ adjacency: 'replace_one' }, { noise }).recomputed['exact']!, '2.843');
    expectPrinted(claimWith({ adjacency: 'zero_out' }).recomputed['exact']!, '1.828');
    expect(
      claimWith().reasons.find(({ code }) => code === 'DPC-A1-replace-one')!.epsilon!.lower,
    ).toBeLessThan(2.843);
  });

  it.each([
    [2, '3.98', '3.66', '4.23'],
    [5, '11.64', '9.14', '18.9'],
    [10, '27.90', '18.28', undefined],
  ])('U1 to U3: a user owns %i records', (records, mixture, times, lemma) => {
    const unit = { kind: 'user', max_records_per_unit: records, enforced_by: 'cap' } as const;
    const { recomputed, detail, readings } = claimWith({ unit, guarantee: { epsilon: times, delta: 1e-5 } });
    expectPrinted(recomputed['exact']!, mixture);
    expect(detail).toBe('privacy_overstated');
    const reading = readings.find(({ name }) => name === `times-${records}`)!;
    const single = claimWith().recomputed['exact']!.lower;
    expectPrinted(single * records, times);
    expect(reading.text).toContain('bounds nothing');
    const run = { noiseMultiplier: 1, samplingProbability: 0.01, steps: 1000 };
    const question = { groupSize: records, delta: 1e-5, neighbours: 'add-or-remove' } as const;
    const { upper } = groupEpsilon({ ...run, ...question }).byConversion.lemma;
    if (lemma === undefined) expect(upper).toBeGreaterThan(1e4);
    else expect(Math.abs(upper / Number(lemma) - 1)).toBeLessThan(3e-3);
  });

  it('U1: a claim for records, read as one for users', () => {
    const { reasons } = claimWith({ unit: { kind: 'example', max_records_per_unit: 2 } });
    const found = reasons.find(({ code }) => code === 'DPC-U1-records-not-users')!;
    expect(found.epsilon!.lower).toBeLessThanOrEqual(3.985);
    expect(found.epsilon!.upper).toBeGreaterThanOrEqual(3.975);
  });

  it('C1: clipped per microbatch', () => {
    const { recomputed, detail } = claimWith(
      {},
      { clip: { per: 'microbatch', microbatch_size: 4 }, noise: { relative_to: 'clip' } },
    );
    expectPrinted(recomputed['exact']!, '13.36');
    expect(detail).toBe('privacy_overstated');
    const single = claimWith({}, { clip: { per: 'microbatch', microbatch_size: 1 } });
    expectPrinted(single.recomputed['exact']!, '1.8282');
  });

  it('N1: noise divided among workers', () => {
    const noise = { per: 'worker', workers: 8, seeds: 'distinct', divided_by: 'workers' } as const;
    expectPrinted(claimWith({}, { noise }).recomputed['exact']!, '41.4');
    const right = claimWith({}, { noise: { ...noise, divided_by: 'sqrt_workers' } });
    expectPrinted(right.recomputed['exact']!, '1.8282');
    const { recomputed } = claimWith({}, { noise: { multiplier: 1 / 8 } });
    // The printed 1953 is an RDP value.
    expectPrinted(recomputed['rdp modern']!, '1953');
    expect(recomputed['exact']!.lower).toBeGreaterThan(700);
  });

  it('E1 and G1: one epoch, accumulation', () => {
    expectPrinted(claimWith({}, { steps: 100 }).recomputed['exact']!, '0.718');
    expectPrinted(claimWith({}, { sampler: { batch_size: 150 } }).recomputed['exact']!, '0.407');
    const fourfold = claimWith({}, { steps: 4000, sampler: { batch_size: 150 } });
    expectPrinted(fourfold.recomputed['exact']!, '0.804');
    const { readings } = claimWith({ guarantee: { epsilon: '0.718', delta: 1e-5 } });
    expect(readings.map(({ name }) => name)).toContain('one-epoch');
  });

  it.each([
    [1e-3, '1.163'],
    [1e-4, '1.513'],
    [1 / 60000, '1.760'],
    [1e-6, '2.125'],
    [1e-8, '2.698'],
  ])('D1: delta %d', (delta, printed) => {
    const { recomputed, reasons } = claimWith(guarantee(delta));
    expectPrinted(recomputed['exact']!, printed);
    const isAbove = reasons.some(({ code }) => code === 'DPC-D1-delta-above-one-over-n');
    expect(isAbove).toBe(delta > 1 / 60000);
  });

  it.each([
    [10, 'logarithmic', '3.52'],
    [10, 'geometric', '4.10'],
    [10, 'poisson', '4.33'],
    [100, 'logarithmic', '4.30'],
    [100, 'geometric', '5.27'],
    [100, 'poisson', '16.40'],
  ] as const)('H1 and H2: the best of a mean of %i runs, %s', (runs, law, printed) => {
    const { recomputed, reasons, verdict } = claimWith({
      selection: { runs, rule: 'best_validation', count_distribution: law },
    });
    const listed = recomputed['rdp modern, with selection']!;
    expectPrinted(listed, printed);
    expectPrinted(recomputed['rdp modern, absolute series, with selection']!, printed);
    // The best real orders are a little better than the best of a list.
    const { upper } = recomputed['exact']!;
    expect(upper).toBeLessThan(listed.upper);
    expect(upper).toBeGreaterThan(listed.upper * 0.999);
    expect(reasons[0]!.code).toBe('DPC-H1-selection-not-accounted');
    expect(verdict).toBe('unverifiable');
  });

  it.each([
    [10, '6.19', '6.71'],
    [100, '25.57', '27.23'],
  ])('H3: all of %i runs composed', (runs, printed, listed) => {
    const selection = { runs, rule: 'best_validation', count_distribution: 'fixed' } as const;
    const { recomputed } = claimWith({ selection });
    expectPrinted(recomputed['exact']!.upper, printed);
    expectPrinted(recomputed['rdp modern, with selection']!, listed);
  });

  it('H1: explains a printed epsilon that pays for the choice', () => {
    const selection = { runs: 10, rule: 'best_validation', count_distribution: 'geometric' } as const;
    const guaranteed = { guarantee: { epsilon: '4.10', delta: 1e-5 } };
    const { readings } = claimWith({ ...guaranteed, selection: { ...selection, accounted: true } });
    expect(readings[0]).toMatchObject({
      name: 'stated',
      convention: 'rdp modern, with selection',
      matches: true,
    });
  });

  it('R1: whole orders from 2 to 32 only', () => {
    expectPrinted(claimWith().recomputed['rdp modern, orders 2 to 32']!.upper, '2.108');
  });
});

describe('the lower bound for shuffled batches', () => {
  it.each([
    [0.3, '18.14', '19.13'],
    [0.4, '7.01', '13.21'],
    [0.6, '1.43', '7.99'],
    [1, '.149', '2.88'],
  ])('one epoch of 1000 steps, noise %d', (multiplier, poisson, shuffled) => {
    const run = { steps: 1000, n_units: 1e6, noise: { multiplier } } as const;
    const { recomputed } = claimWith(
      {},
      { ...run, sampler: { kind: 'shuffle_each_epoch', batch_size: 1000 } },
    );
    const found = recomputed['sampler lower bound']!.lower;
    expectPrinted(found, shuffled);
    const event = poissonEvent({ noiseMultiplier: multiplier, samplingProbability: 1e-3, steps: 1000 });
    const { epsilon } = epsilonOf(event, { delta: 1e-5, neighbours: 'add-or-remove', accountant: 'exact' });
    expectPrinted(epsilon, poisson);
  });
});

describe('conventions', () => {
  it('convert rho as the census did', () => {
    const found = rhoEpsilons(7.7, 1e-10);
    expectPrinted(found['zcdp classic'], '34.3307');
    expectPrinted(found['zcdp modern, listed orders'], '33.2877');
    expectPrinted(found['zcdp modern'], '33.2874');
    expectPrinted(found.gaussian, '32.0707');
    expectPrinted(rhoEpsilons(0.2, 1e-10)['zcdp modern, listed orders'], '4.1675');
    expectPrinted(rhoEpsilons(2, 1e-10)['zcdp modern, listed orders'], '14.8708');
    // The rho that gives 13.69 is printed as 1.73.
    expect(rhoEpsilons(1.725, 1e-10)['zcdp modern, listed orders']).toBeLessThan(13.69);
    expect(rhoEpsilons(1.735, 1e-10)['zcdp modern, listed orders']).toBeGreaterThan(13.69);
  });

  it('give the fractional orders as dp_accounting has them', () => {
    const step = {
      kind: 'poisson-subsampled-gaussian',
      noiseMultiplier: 0.39066894531249996,
      samplingProbability: 1 / 98,
    } as const;
    expectPrinted(absoluteSeries(step, 1.5), '.0140005');
  });

  it('give the central limit, which is below the truth', () => {
    const event = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 1000 });
    const { 'central limit': value } = conventionEpsilons(event, {
      delta: 1e-5,
      neighbours: 'add-or-remove',
    });
    const mu = 0.01 * Math.sqrt(1000 * Math.expm1(1));
    expect(value!).toBeCloseTo(rhoEpsilons(mu ** 2 / 2, 1e-5).gaussian, 12);
    expect(value!).toBeLessThan(1.828);
  });
});
