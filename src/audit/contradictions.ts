import type { Claim, ClaimMechanism } from '../../accounting/audit/index.ts';
import { treeBounds } from '../../accounting/audit/claim-tree.ts';
import { downwardDigits } from '../../accounting/audit/safe-digits.ts';
import type { Complaint } from './claim-schema.ts';

/** A check of facts that can't hold together; what it returns is undefined where they can. */
type Check = (mechanism: ClaimMechanism) => { readonly field: string; readonly text: string } | undefined;

/** Room for rounding in printed rates and numbers of steps. */
const room = 0.05;

/** A rate is one of the whole table, except where every step draws from a part of it. */
function rateOfTable({ sampler }: ClaimMechanism): number | null {
  return sampler.kind === 'cyclic_poisson' ? null : sampler.rate;
}

/** Expected size of a batch, stated or worked out. */
function expectedBatch(mechanism: ClaimMechanism): number | null {
  const { n_units: n, sampler } = mechanism;
  const rate = rateOfTable(mechanism);
  return sampler.batch_size ?? (n === null || rate === null ? null : n * rate);
}

const batchFits: Check = ({ n_units: n, sampler: { batch_size: batch } }) => {
  if (n === null || batch === null || batch <= n) return undefined;
  return {
    field: '/sampler/batch_size',
    text: `sampler.batch_size is ${batch}, more than n_units, ${n}. Mend one of them`,
  };
};

const rateFits: Check = mechanism => {
  const { n_units: n, sampler } = mechanism;
  const { batch_size: batch } = sampler;
  const rate = rateOfTable(mechanism);
  if (n === null || batch === null || rate === null || batch > n) return undefined;
  const least = 1 / Math.ceil(n / batch);
  const most = 1 / Math.floor(n / batch);
  if (rate >= least * (1 - room) && rate <= most * (1 + room)) return undefined;
  return {
    field: '/sampler/rate',
    text: `sampler.rate is ${rate}, but sampler.batch_size ÷ n_units is ${batch} ÷ ${n} = ${batch / n}. Mend one of them`,
  };
};

/** Fewest and most steps an epoch. */
function stepsOfEpoch(mechanism: ClaimMechanism): { least: number; most: number } | null {
  const { n_units: n } = mechanism;
  const batch = expectedBatch(mechanism);
  const rate = rateOfTable(mechanism);
  const ratio = n !== null && batch !== null ? n / batch : rate === null ? null : 1 / rate;
  return ratio === null ? null : { least: Math.floor(ratio), most: Math.ceil(ratio) };
}

const stepsFit: Check = mechanism => {
  const { steps, epochs } = mechanism;
  const each = stepsOfEpoch(mechanism);
  if (steps === null || epochs === null || each === null) return undefined;
  const least = Math.floor(epochs * each.least * (1 - room));
  const most = Math.ceil(epochs * each.most * (1 + room));
  if (steps >= least && steps <= most) return undefined;
  return {
    field: '/steps',
    text: `steps is ${steps}, but ${epochs} epochs are ${least} to ${most} steps. Mend one of them`,
  };
};

const capFits: Check = mechanism => {
  const { physical_cap: cap } = mechanism.sampler;
  const batch = expectedBatch(mechanism);
  if (cap === null || batch === null || cap >= Math.floor(batch)) return undefined;
  return {
    field: '/sampler/physical_cap',
    text: `sampler.physical_cap is ${cap}, less than a batch, ${batch}. Mend one of them`,
  };
};

const microbatchFits: Check = mechanism => {
  const { microbatch_size: part } = mechanism.clip;
  const { physical_cap: cap } = mechanism.sampler;
  const largest = cap ?? expectedBatch(mechanism);
  if (part === null || largest === null || part <= Math.ceil(largest)) return undefined;
  return {
    field: '/clip/microbatch_size',
    text: `clip.microbatch_size is ${part}, more than a batch, ${largest}. Mend one of them`,
  };
};

const participationsFit: Check = ({ steps, sampler: { min_separation: gap, max_participations: most } }) => {
  if (steps === null || most === null) return undefined;
  const needed = (most - 1) * (gap ?? 1) + 1;
  if (needed <= steps) return undefined;
  return {
    field: '/sampler/max_participations',
    text: `sampler.max_participations is ${most}, for which ${steps} steps are too few: ${needed} are needed. Mend one of them`,
  };
};

/** A tree that says less of a unit than its own prefix sums do. */
const sensitivityFits: Check = mechanism => {
  const { sensitivity } = mechanism;
  const least = treeBounds(mechanism)?.lower;
  if (sensitivity === null || least === undefined || sensitivity >= least * 0.995) return undefined;
  return {
    field: '/sensitivity',
    text: `sensitivity is ${sensitivity}, but prefix sums alone give at least ${downwardDigits(least)} for the stated steps, restarts and participations. Mend one of them`,
  };
};

const checks: readonly Check[] = [
  batchFits,
  rateFits,
  stepsFit,
  capFits,
  microbatchFits,
  participationsFit,
  sensitivityFits,
];

function resumedTwice({ randomness }: Claim): Complaint[] {
  if (randomness.resumed !== false || randomness.resumed_seed === null) return [];
  const text = `randomness.resumed_seed is ${randomness.resumed_seed}, but randomness.resumed is false. Mend one of them`;
  return [{ field: '/randomness/resumed_seed', text }];
}

/** Facts of a claim that can't hold together. */
export function contradictionsOf(claim: Claim): Complaint[] {
  const inMechanisms = claim.mechanisms.flatMap((mechanism, at) =>
    checks.flatMap(check => {
      const found = check(mechanism);
      if (found === undefined) return [];
      return [{ field: `/mechanisms/${at}${found.field}`, text: `mechanisms[${at}].${found.text}` }];
    }),
  );
  return [...inMechanisms, ...resumedTwice(claim)];
}
