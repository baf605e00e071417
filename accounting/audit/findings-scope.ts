import type { Interval } from '../accountant.ts';
import { isGroup, type Settings } from './claim-settings.ts';
import { inWords, type FindingContext, type FindingRule } from './findings-context.ts';

/** Epsilon of the stated mechanism with something changed; null where the mechanism isn't known. */
function changed(
  { judgement, epsilon }: FindingContext,
  change: (settings: Settings) => Settings,
): Interval | null {
  const { best } = judgement;
  return best === undefined ? null : epsilon(change(best.settings));
}

const recordsAsUsers: FindingRule = context => {
  const { unit, mechanisms } = context.claim;
  const records = unit.max_records_per_unit;
  const isSampledByRecord = mechanisms.some(({ kind }) => kind === 'dp_sgd');
  if (isGroup(unit.kind) || records === null || records < 2 || !isSampledByRecord) return [];
  // A document of several records counts as their group already.
  if (context.judgement.best?.settings.runs.some(({ groupSize }) => groupSize > 1) === true) return [];
  const withGroup = (settings: Settings): Settings => ({
    ...settings,
    runs: settings.runs.map(run => ({ ...run, groupSize: records })),
  });
  const epsilon = changed(context, withGroup);
  return [
    {
      code: 'DPC-U1-records-not-users',
      level: 'warning',
      text: `The guarantee covers one ${unit.kind ?? 'record'}. For whoever owns ${records} of them epsilon is ${epsilon === null ? 'larger' : inWords(epsilon)}; ${records} times the printed number bounds nothing.`,
      epsilon,
      source: 'arXiv:2407.07737, arXiv:2406.14322',
      field: '/unit/kind',
    },
  ];
};

const cap: FindingRule = ({ claim: { unit, mechanisms } }) => {
  const isPerRecord = mechanisms.some(({ clip }) => clip.per !== null && clip.per !== 'unit');
  if (!isGroup(unit.kind) || !isPerRecord || unit.enforced_by !== null) return [];
  return [
    {
      code: 'DPC-U2-cap-not-enforced',
      level: 'warning',
      text: `Records were clipped one by one while a ${unit.kind} is protected, and what kept its records within a cap is not stated.`,
      epsilon: null,
      source: 'arXiv:2407.07737',
      field: '/unit/enforced_by',
    },
  ];
};

const devices: FindingRule = ({ claim: { unit } }) =>
  unit.kind === 'device' && unit.multi_device !== 'merged'
    ? [
        {
          code: 'DPC-U3-device-not-person',
          level: 'note',
          text: 'A device is protected, not a person: who has several is protected less.',
          epsilon: null,
          source: 'auditing catalogue, unit and adjacency',
          field: '/unit/multi_device',
        },
      ]
    : [];

const unitNotStated: FindingRule = ({ claim: { unit } }) =>
  unit.kind !== null
    ? []
    : [
        {
          code: 'DPC-U5-unit-not-stated',
          level: 'warning',
          text: 'What is protected is not stated: one record, or all of one user?',
          epsilon: null,
          source: 'NIST SP 800-226; arXiv:2303.00654 section 5.3',
          field: '/unit/kind',
        },
      ];

const packed: FindingRule = ({ claim: { unit } }) =>
  unit.kind === 'sequence'
    ? [
        {
          code: 'DPC-U6-sequence-not-document',
          level: 'note',
          text: 'A packed sequence is protected; one document can span many of them.',
          epsilon: null,
          source: 'arXiv:2510.15001',
          field: '/unit/kind',
        },
      ]
    : [];

function isBesideThePoint({ upper }: Interval): boolean {
  return upper < 0.01 || upper > 50;
}

const replaced: FindingRule = context => {
  const { claim, judgement } = context;
  if (claim.adjacency === null || claim.adjacency === 'replace_one' || judgement.best === undefined)
    return [];
  // Neither a tiny nor a huge epsilon is made clearer by another one, and far out in the tails accountants are slow.
  if (isBesideThePoint(judgement.best.epsilon)) return [];
  if (judgement.best.settings.runs.some(({ sampling }) => sampling !== 'poisson' && sampling !== 'none'))
    return [];
  const epsilon = changed(context, settings => ({ ...settings, neighbours: 'replace' }));
  if (epsilon === null || epsilon.upper === Infinity) return [];
  return [
    {
      code: 'DPC-A1-replace-one',
      level: 'note',
      text: `Under replacement of one unit, which is what most readers have in mind, epsilon is ${inWords(epsilon)}.`,
      epsilon,
      source: 'arXiv:2405.20769',
      field: '/adjacency',
    },
  ];
};

const selection: FindingRule = context => {
  const { runs, rule, count_distribution: law, accounted } = context.claim.selection;
  if (runs === null || runs <= 1 || rule === 'last' || rule === 'fixed' || accounted === true) return [];
  const { best } = context.judgement;
  const epsilon = best?.epsilon ?? null;
  const isOfTheorem = law !== null && law !== 'fixed';
  const how = isOfTheorem
    ? 'a random number of runs has a bound of its own'
    : law === null
      ? 'unless their number was random, all of them have to be composed'
      : 'for a fixed number of runs all of them have to be composed';
  return [
    {
      code: 'DPC-H1-selection-not-accounted',
      level: 'error',
      text: `The best of ${runs} runs was released: ${how}.${epsilon === null ? '' : ` With the choice epsilon is ${inWords(epsilon)}.`}`,
      epsilon,
      source: 'arXiv:2110.03620, Theorems 2 and 6',
      field: '/selection/runs',
    },
  ];
};

const tuning: FindingRule = ({ claim: { selection: stated } }) =>
  stated.rule !== 'best_validation' && stated.rule !== 'best_training'
    ? []
    : stated.runs !== null
      ? []
      : [
          {
            code: 'DPC-H3-runs-not-stated',
            level: 'warning',
            text: 'A best run was chosen, out of how many is not stated.',
            epsilon: null,
            source: 'arXiv:2110.03620',
            field: '/selection/runs',
          },
        ];

const checkpoints: FindingRule = ({ claim: { selection: stated } }) => {
  const isPrivate = stated.rule === 'best_training' || stated.validation_private === true;
  if (!isPrivate || stated.rule === null || stated.rule === 'last' || stated.rule === 'fixed') return [];
  return [
    {
      code: 'DPC-H2-chosen-on-private-data',
      level: 'error',
      text: 'The checkpoint or run was chosen by its score on private data, which no step covers.',
      epsilon: null,
      source: 'auditing catalogue, composition',
      field: '/selection/validation_private',
    },
  ];
};

const outputs: FindingRule = ({ claim: { release } }) => {
  const others = release.other_outputs ?? [];
  if (others.length === 0) return [];
  return [
    {
      code: 'DPC-O1-other-outputs',
      level: 'warning',
      text: `Also given out: ${others.join(', ')}. Each that is computed from private data has to be accounted for.`,
      epsilon: null,
      source: 'arXiv:2303.00654 section 5.3; jax_privacy pitfalls',
      field: '/release/other_outputs',
    },
  ];
};

const resumed: FindingRule = ({ claim: { randomness } }) => {
  if (randomness.resumed !== true || randomness.resumed_seed === 'fresh') return [];
  if (randomness.resumed_seed === 'continued') return [];
  const isSame = randomness.resumed_seed === 'same';
  return [
    {
      code: 'DPC-Q1-resumed-with-same-seed',
      level: isSame ? 'error' : 'warning',
      text: isSame
        ? 'Training was resumed with the same seed, so noise and batches repeat: the difference of two steps has no noise.'
        : 'Training was resumed; whether noise and batches were drawn anew is not stated.',
      epsilon: null,
      source: 'auditing catalogue, seeds',
      field: '/randomness/resumed_seed',
    },
  ];
};

const insecure = /mt19937|mersenne|math\.random|xorshift|pcg|numpy|torch default/i;

const generator: FindingRule = ({ claim: { randomness } }) =>
  insecure.test(randomness.generator ?? '')
    ? [
        {
          code: 'DPC-Q2-generator',
          level: 'warning',
          text: `Noise came from ${randomness.generator}, which is not made to be unpredictable.`,
          epsilon: null,
          source: 'arXiv:2307.03543; Mironov 2012',
          field: '/randomness/generator',
        },
      ]
    : [];

const pretraining: FindingRule = ({ claim: { data } }) =>
  data.pretraining !== null && data.pretraining !== 'none' && data.overlap_checked !== true
    ? [
        {
          code: 'DPC-P1-pretraining-overlap',
          level: 'note',
          text: `The guarantee covers fine-tuning only. Whether ${data.pretraining} holds private records too was not checked.`,
          epsilon: null,
          source: 'arXiv:2212.06470',
          field: '/data/overlap_checked',
        },
      ]
    : [];

const duplicates: FindingRule = ({ claim: { data } }) =>
  data.duplicates === 'kept'
    ? [
        {
          code: 'DPC-P2-duplicates-kept',
          level: 'warning',
          text: 'Duplicates were kept: a text that stands in several records is protected as their group only.',
          epsilon: null,
          source: 'auditing catalogue, unit and adjacency',
          field: '/data/duplicates',
        },
      ]
    : [];

/** Unit, neighbours, choice among runs, other outputs, data and random numbers. */
export const scopeRules: readonly FindingRule[] = [
  recordsAsUsers,
  cap,
  devices,
  unitNotStated,
  packed,
  replaced,
  selection,
  tuning,
  checkpoints,
  outputs,
  resumed,
  generator,
  pretraining,
  duplicates,
];
