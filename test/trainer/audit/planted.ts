import type { historyOf } from '../../../trainer/step-book.ts';
import type { Mechanism, MechanismOptions, openMechanism } from '../../../trainer/mechanism.ts';

/** A trainer's mistake, as it would look in its source. */
type Plant = (
  right: Mechanism,
  parts: { options: MechanismOptions; open: typeof openMechanism },
) => Mechanism;

/** Far above every gradient: nothing is clipped. */
const loosely = 1e6;

function unclipped({ options, open }: Parameters<Plant>[1]): Mechanism {
  return open({ ...options, plan: { ...options.plan, clipNorm: loosely } });
}

function scale(values: Float64Array, factor: number): void {
  for (let index = 0; index < values.length; index += 1) values[index]! *= factor;
}

function lengthOf(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

/** Users whose records became users of their own. */
function spread({ users, absent = new Set() }: MechanismOptions): Pick<MechanismOptions, 'users' | 'absent'> {
  const parts = users.flatMap(({ user, records }) =>
    records.map(record => ({ of: user, user: `${user}/${record.id}`, records: [record] })),
  );
  return { users: parts, absent: new Set(parts.filter(({ of }) => absent.has(of)).map(({ user }) => user)) };
}

/** Name of a mistake. */
export type Bug =
  | 'no clip'
  | 'clip per batch'
  | 'noise × 0.5'
  | 'noise once per epoch'
  | 'realised batch size as denominator'
  | 'records of one user as several users'
  | 'shuffled batches under a Poisson plan'
  | 'noise reused after resume';

/** Every mistake by name. */
const plants: Readonly<Record<Bug, Plant>> = {
  'no clip': (right, parts) => {
    const loose = unclipped(parts);
    return { ...right, clippedSum: (drawn, step) => loose.clippedSum(drawn, step) };
  },
  'clip per batch': (right, parts) => {
    const loose = unclipped(parts);
    return {
      ...right,
      async clippedSum(drawn, step) {
        const result = await loose.clippedSum(drawn, step);
        scale(result.sum, Math.min(1, parts.options.plan.clipNorm / lengthOf(result.sum)) || 0);
        return result;
      },
    };
  },
  'noise × 0.5': (right, { options, open }) => {
    const { plan } = options;
    const quiet = open({ ...options, plan: { ...plan, noiseMultiplier: plan.noiseMultiplier / 2 } });
    return { ...right, addNoise: (sum, point) => quiet.addNoise(sum, point) };
  },
  'noise once per epoch': (right, { options }) => ({
    ...right,
    addNoise(sum, point) {
      const stepsPerEpoch = Math.round(1 / options.plan.sampler.samplingProbability);
      if (point.step % stepsPerEpoch === 0) right.addNoise(sum, point);
    },
  }),
  'realised batch size as denominator': right => {
    let drawSize = 0;
    return {
      ...right,
      sample(point) {
        const drawn = right.sample(point);
        drawSize = drawn.length;
        return drawn;
      },
      average(sum) {
        scale(sum, 1 / Math.max(1, drawSize));
      },
    };
  },
  'records of one user as several users': (_, { options, open }) => open({ ...options, ...spread(options) }),
  'shuffled batches under a Poisson plan': (_, { options, open }) => {
    const { sampler } = options.plan;
    const stepsPerEpoch = Math.round(1 / sampler.samplingProbability);
    const shuffled = { ...sampler, kind: 'shuffled', stepsPerEpoch } as const;
    return open({ ...options, plan: { ...options.plan, sampler: shuffled } });
  },
  'noise reused after resume': right => ({
    ...right,
    addNoise: (sum, point) => right.addNoise(sum, { ...point, clippedSumDigest: '' }),
  }),
};

/** The mistake that the trainer has at the moment. */
export const planted: { bug: Bug | null } = { bug: null };

/** Opens mechanisms with the mistake in them. */
export function plantIn(open: typeof openMechanism): typeof openMechanism {
  return options => {
    const right = open(options);
    return planted.bug === null ? right : plants[planted.bug](right, { options, open });
  };
}

/** A run that goes on as if nothing had been noised after its checkpoint: same key, same steps, no new attempt. */
export function forgetIn(read: typeof historyOf): typeof historyOf {
  return (entries, options) =>
    planted.bug === 'noise reused after resume'
      ? { recorded: [], step: options.step, attempt: 0 }
      : read(entries, options);
}
