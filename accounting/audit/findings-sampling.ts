import type { ClaimMechanism } from './claim.ts';
import { asPoisson } from './claim-judge.ts';
import { isSampled } from './claim-settings.ts';
import { inWords, isAccusation, type FindingContext, type FindingRule } from './findings-context.ts';
import type { FindingLevel, Reason } from './verdict.ts';

/** Whether the settings as they were run are certainly beyond what was claimed. */
function isBeyond({ judgement, claimed }: FindingContext): boolean {
  const { best } = judgement;
  if (best === undefined || claimed === null || !isAccusation(judgement)) return false;
  return best.epsilon.lower > claimed.stands.upper;
}

function eachSampled(
  { claim }: FindingContext,
  find: (mechanism: ClaimMechanism, index: number) => Reason | undefined,
): Reason[] {
  return claim.mechanisms
    .map((mechanism, index) => (isSampled(mechanism) ? find(mechanism, index) : undefined))
    .filter(reason => reason !== undefined);
}

/** What Poisson accounting would have said, for comparison. */
function poissonEpsilon({ judgement, epsilon }: FindingContext): string {
  return judgement.best === undefined ? '' : inWords(epsilon(asPoisson(judgement.best.settings)));
}

const shuffled: FindingRule = context =>
  eachSampled(context, ({ sampler }, index) => {
    const { best } = context.judgement;
    if (sampler.kind !== 'shuffle_each_epoch' && sampler.kind !== 'shuffle_once') return undefined;
    const bound =
      best === undefined
        ? ''
        : ` The guarantee of the shuffled steps is ${inWords(best.epsilon)}; Poisson accounting gives ${poissonEpsilon(context)}.`;
    return {
      code: 'DPC-S1-shuffled-as-poisson',
      level: isBeyond(context) ? 'error' : 'warning',
      text: `Batches were cut from a shuffled table. No proof covers Poisson accounting for them, and the bound is for worst-case data and all intermediate models.${bound}${tableNote(sampler.batch_size, context.claim.mechanisms[index]!)}`,
      epsilon: best?.epsilon ?? null,
      source: 'arXiv:2403.17673, arXiv:2411.04205',
      field: `/mechanisms/${index}/sampler/kind`,
    };
  });

/** The bound is a theorem where the batch size divides the table. */
function tableNote(batch: number | null, { n_units: units, sampler }: ClaimMechanism): string {
  if (batch === null || units === null || units % batch === 0 || sampler.partial_last !== 'dropped')
    return '';
  return ` It is taken for a table of ${units - (units % batch)}, the nearest size that the batch divides.`;
}

function bestInWords({ judgement }: FindingContext): string {
  return inWords(judgement.best?.epsilon ?? { lower: 0, upper: Infinity });
}

const fixedOrder: FindingRule = context =>
  eachSampled(context, ({ sampler }, index) =>
    sampler.kind !== 'fixed_order'
      ? undefined
      : {
          code: 'DPC-S2-fixed-order',
          level: isBeyond(context) ? 'error' : 'warning',
          text: `Batches were cut in a fixed order, so sampling amplifies nothing: epsilon is ${bestInWords(context)}.`,
          epsilon: context.judgement.best?.epsilon ?? null,
          source: 'arXiv:2403.17673',
          field: `/mechanisms/${index}/sampler/kind`,
        },
  );

const fixedSize: FindingRule = context =>
  eachSampled(context, ({ sampler }, index) =>
    sampler.kind !== 'without_replacement'
      ? undefined
      : {
          code: 'DPC-S3-fixed-size-batches',
          level: isBeyond(context) ? 'error' : 'note',
          text: `Batches had a fixed size: a record drawn displaces another, so the sum moves by twice the clip norm. Epsilon is ${bestInWords(context)}; Poisson accounting gives ${poissonEpsilon(context)}.`,
          epsilon: context.judgement.best?.epsilon ?? null,
          source: 'arXiv:1808.00087, arXiv:2405.20769',
          field: `/mechanisms/${index}/sampler/kind`,
        },
  );

const truncated: FindingRule = context =>
  eachSampled(context, ({ sampler }, index) => {
    const { best } = context.judgement;
    if (sampler.physical_cap === null || sampler.kind !== 'poisson') return undefined;
    const isCovered = best !== undefined && best.epsilon.upper <= (context.claimed?.stands.upper ?? 0);
    return {
      code: 'DPC-S4-truncated-batches',
      level: isCovered ? 'note' : 'warning',
      text: `At most ${sampler.physical_cap} units of a Poisson sample were used, so a unit can push another out. Epsilon is ${inWords(best?.epsilon ?? { lower: 0, upper: Infinity })}; without the cut it is ${poissonEpsilon(context)}.`,
      epsilon: best?.epsilon ?? null,
      source: 'arXiv:2508.15089',
      field: `/mechanisms/${index}/sampler/physical_cap`,
    };
  });

const partialLast: FindingRule = context =>
  eachSampled(context, ({ sampler }, index) => {
    const isPoisson = sampler.kind === 'poisson' || sampler.kind === 'cyclic_poisson';
    if (sampler.partial_last === null || sampler.partial_last === 'none' || !isPoisson) return undefined;
    return {
      code: 'DPC-S5-partial-last-batch',
      level: 'warning',
      text: 'Poisson sampling has no incomplete last batch. If there was one, batches were cut from a list.',
      epsilon: null,
      source: 'auditing catalogue, sampling; arXiv:2403.17673',
      field: `/mechanisms/${index}/sampler/partial_last`,
    };
  });

const unstated: FindingRule = ({ judgement: { open, others, best } }) =>
  open
    .filter(({ key }) => key === 'sampler')
    .map(({ field, options }) => {
      const stated = best === undefined ? [] : [{ text: options[0]!.text, epsilon: best.epsilon }];
      const readings = [...stated, ...others.filter(world => world.field === field)];
      const told = readings.map(({ text, epsilon }) => `${inWords(epsilon)} if ${text}`);
      return {
        code: 'DPC-S6-sampler-not-stated',
        level: 'warning',
        text: `How batches were formed is not stated.${told.length === 0 ? '' : ` Epsilon is ${told.join(', ')}.`}`,
        epsilon: null,
        source: 'arXiv:2403.17673, arXiv:2303.00654 section 5.3',
        field,
      };
    });

const assumedOtherwise: FindingRule = ({ claim }) => {
  const { sampler: assumed } = claim.accounting;
  const used = claim.mechanisms.find(isSampled)?.sampler.kind ?? null;
  if (assumed === null || assumed === 'unknown' || used === null || used === 'unknown') return [];
  if (assumed === used) return [];
  const level: FindingLevel = 'warning';
  return [
    {
      code: 'DPC-S7-other-sampler-accounted',
      level,
      text: `The accountant assumed ${assumed}, the run used ${used}.`,
      epsilon: null,
      source: 'arXiv:2303.00654 section 5.3',
      field: '/accounting/sampler',
    },
  ];
};

/** How batches were formed. */
export const samplingRules: readonly FindingRule[] = [
  shuffled,
  fixedOrder,
  fixedSize,
  truncated,
  partialLast,
  unstated,
  assumedOtherwise,
];
