import type { Claim, ClaimMechanism } from './claim.ts';
import {
  isCorrelated,
  isGroup,
  isRecordSampled,
  isSampled,
  isSamplerOpen,
  isWorkersOpen,
  neighboursOf,
  numbersOf,
  roundSteps,
  type Choices,
  type OpenFact,
} from './claim-settings.ts';

/** A word that the claim leaves out and that moves epsilon; the first option is the one that is best for privacy. */
export interface OpenChoice {
  readonly key: string;
  /** JSON pointer of the field. */
  readonly field: string;
  readonly question: string;
  readonly options: readonly { readonly value: string; readonly text: string }[];
}

/** A number that the claim leaves out. */
export interface MissingFact {
  readonly fact: OpenFact;
  readonly field: string;
  readonly question: string;
}

type ChoiceMaker = (mechanism: ClaimMechanism, claim: Claim) => Omit<OpenChoice, 'field'> | undefined;

const batchForming: ChoiceMaker = mechanism => {
  const { sampler } = mechanism;
  if (!isSampled(mechanism) || !isSamplerOpen(sampler.kind) || sampler.rate === 1) return undefined;
  return {
    key: 'sampler',
    question: 'How were batches formed: by Poisson sampling, of fixed size, or from a shuffled table?',
    options: [
      { value: 'poisson', text: 'batches were Poisson sampled' },
      { value: 'without_replacement', text: 'batches of fixed size were drawn without replacement' },
      { value: 'shuffle_each_epoch', text: 'batches were cut from a table shuffled for each epoch' },
      { value: 'fixed_order', text: 'batches were cut from a table in a fixed order' },
    ],
  };
};

const clipping: ChoiceMaker = ({ clip, kind, noise }, claim) => {
  const isTold = clip.per === 'unit' || clip.per === 'example';
  const isTraining = kind === 'dp_sgd';
  // A count with noise has a clip norm where its noise is said to be relative to one.
  const isClipped =
    isTraining || (noise.relative_to === 'clip' && (claim.unit.max_records_per_unit ?? 1) > 1);
  if (!isClipped || isTold || !isRecordSampledIfChosen(claim)) return undefined;
  return {
    key: 'clip',
    question: `Was ${isTraining ? 'the gradient' : 'what noise was added to'} clipped once per ${claim.unit.kind}, or per record?`,
    options: [
      { value: 'unit', text: 'all records of a unit were clipped as one' },
      { value: 'example', text: 'each record was sampled and clipped on its own' },
    ],
  };
};

function isRecordSampledIfChosen(claim: Claim): boolean {
  return claim.mechanisms.some(mechanism => isRecordSampled(claim, mechanism, { clip: 'example' }));
}

const rounding: ChoiceMaker = mechanism => {
  if (!isSampled(mechanism) || mechanism.steps !== null || mechanism.rounding !== null) return undefined;
  const { rate } = numbersOf(mechanism, { choices: {}, fill: {} });
  const { epochs } = mechanism;
  if (epochs === null || rate === null) return undefined;
  const [least, most] = [roundSteps(epochs, 1 / rate, 'floor'), roundSteps(epochs, 1 / rate, 'ceil')];
  if (least === most) return undefined;
  return {
    key: 'rounding',
    question: `How many steps were taken: ${least}, ${most}, or between?`,
    options: [
      { value: 'floor', text: `${least} steps were taken` },
      { value: 'ceil', text: `${most} steps were taken` },
    ],
  };
};

const noiseScale: ChoiceMaker = (mechanism, claim) => {
  const { noise, clip } = mechanism;
  const isDoubtful =
    noise.applied_to === 'mean' ||
    clip.per === 'microbatch' ||
    clip.per === 'batch' ||
    isCorrelated(mechanism) ||
    neighboursOf(claim, {}) === 'replace';
  if (noise.relative_to !== null || noise.multiplier === null || !isDoubtful) return undefined;
  const relativeToClip = { value: 'clip', text: 'the noise multiplier is relative to the clip norm' };
  const toSensitivity = { value: 'sensitivity', text: 'the noise multiplier is relative to the sensitivity' };
  return {
    key: 'relative',
    question:
      'Is the noise multiplier relative to the clip norm, or to the sensitivity of what it was added to?',
    // Where a sensitivity is stated in units of the clip norm, that is what is meant, however much better the other one is.
    options:
      noise.applied_to === 'mean' || isCorrelated(mechanism)
        ? [relativeToClip, toSensitivity]
        : [toSensitivity, relativeToClip],
  };
};

const sensitivityScope: ChoiceMaker = (mechanism, claim) =>
  mechanism.noise.relative_to !== 'sensitivity' ||
  claim.unit.max_records_per_unit === 1 ||
  !isRecordSampled(claim, mechanism, { clip: 'example' })
    ? undefined
    : {
        key: 'scope',
        question: `Is the sensitivity that of one ${claim.unit.kind} with all its records, or of one record?`,
        options: [
          { value: 'unit', text: `the sensitivity is that of one ${claim.unit.kind} with all its records` },
          { value: 'record', text: 'the sensitivity is that of one record' },
        ],
      };

const microbatches: ChoiceMaker = ({ clip }, { unit }) =>
  clip.per !== 'microbatch' || (clip.microbatch_size !== null && !isGroup(unit.kind))
    ? undefined
    : {
        key: 'microbatch',
        question: 'How many examples had a microbatch that was clipped as a whole?',
        options: [
          { value: 'one', text: 'each microbatch held one example, or those of one unit' },
          { value: 'many', text: 'a microbatch held examples of several units' },
        ],
      };

const layers: ChoiceMaker = ({ clip }) =>
  clip.per !== 'layer'
    ? undefined
    : {
        key: 'layer',
        question: 'Is the clip norm that of all layers together, or of each layer, and of how many?',
        options: [
          { value: 'total', text: 'the clip norm is that of all layers together' },
          { value: 'each', text: 'each layer had the whole clip norm' },
        ],
      };

const workerSeeds: ChoiceMaker = ({ noise }) =>
  noise.per !== 'worker' || noise.seeds !== null || (noise.workers ?? 1) === 1
    ? undefined
    : {
        key: 'seeds',
        question: 'Did the workers draw their noise from different seeds?',
        options: [
          { value: 'same', text: 'all workers drew the same noise' },
          { value: 'distinct', text: 'the workers drew different noise' },
        ],
      };

const workerDivision: ChoiceMaker = ({ noise }) =>
  noise.per !== 'worker' || noise.divided_by !== null || (noise.workers ?? 1) === 1
    ? undefined
    : {
        key: 'division',
        question: 'By what did each worker divide its noise?',
        options: [
          { value: 'none', text: 'no worker divided its noise' },
          { value: 'sqrt_workers', text: 'each worker divided its noise by the root of their number' },
          { value: 'workers', text: 'each worker divided its noise by their number' },
        ],
      };

/** Which choice belongs to which field of a mechanism. */
const makers: readonly (readonly [field: string, maker: ChoiceMaker])[] = [
  ['sampler/kind', batchForming],
  ['clip/per', clipping],
  ['rounding', rounding],
  ['noise/relative_to', noiseScale],
  ['noise/relative_to', sensitivityScope],
  ['clip/microbatch_size', microbatches],
  ['clip/norm', layers],
  ['noise/seeds', workerSeeds],
  ['noise/divided_by', workerDivision],
];

/**
 * The words that a claim leaves open, each once, in the order in which they weigh.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * openChoices(claimOf({ mechanisms: [{ kind: 'dp_sgd' }] })).map(({ key }) => key); // ['adjacency', 'sampler']
 * ```
 */
export function openChoices(claim: Claim): OpenChoice[] {
  const found = new Map<string, OpenChoice>();
  if (claim.adjacency === null && claim.mechanisms.length > 0) found.set('adjacency', adjacencyChoice);
  for (const [field, maker] of makers) {
    claim.mechanisms.forEach((mechanism, index) => {
      const choice = maker(mechanism, claim);
      if (choice === undefined || found.has(choice.key)) return;
      found.set(choice.key, { ...choice, field: `/mechanisms/${index}/${field}` });
    });
  }
  return [...found.values()];
}

const adjacencyChoice: OpenChoice = {
  key: 'adjacency',
  field: '/adjacency',
  question: 'Are neighbouring tables those with one unit more, or those with one unit replaced?',
  options: [
    { value: 'add_remove', text: 'neighbouring tables have one unit more or less' },
    { value: 'replace_one', text: 'neighbouring tables have one unit replaced' },
  ],
};

/**
 * The readings that are best for privacy, one for each open choice.
 *
 * @example
 * ```ts
 * bestChoices([]); // {}
 * ```
 */
export function bestChoices(open: readonly OpenChoice[]): Choices {
  return Object.fromEntries(open.map(({ key, options }) => [key, options[0]!.value]));
}

/**
 * The numbers without which nothing can be recomputed.
 *
 * @example
 * ```ts
 * import { claimOf } from 'privacy-unit/accounting/audit';
 * const claim = claimOf({ guarantee: { delta: 1e-5 }, mechanisms: [{ kind: 'gaussian' }] });
 * missingFacts(claim, {}).map(({ fact }) => fact); // ['noise']
 * ```
 */
export function missingFacts(claim: Claim, choices: Choices): MissingFact[] {
  const found = new Map<OpenFact, MissingFact>();
  const add = (fact: OpenFact, field: string): void => {
    const question = questionsOfFields[field.replace(/^\/mechanisms\/\d+\//, '')] ?? questions[fact];
    if (!found.has(fact)) found.set(fact, { fact, field, question });
  };
  if (claim.guarantee.delta === null) add('delta', '/guarantee/delta');
  claim.mechanisms.forEach((mechanism, index) => {
    for (const [fact, field] of missingOf(claim, mechanism, choices))
      add(fact, field.startsWith('/') ? field : `/mechanisms/${index}/${field}`);
  });
  return [...found.values()];
}

const questions: Readonly<Record<OpenFact, string>> = {
  noise: 'What was the noise multiplier?',
  units: 'How many units (or records, where those are sampled) did the training table have?',
  batch: 'What was the batch size?',
  rate: 'With what probability did a unit enter a step: which batch size, out of how many units?',
  steps: 'How many steps were taken?',
  delta: 'At which delta does epsilon hold?',
  records: 'How many records could one unit have, and what enforced it?',
  sensitivity:
    'What is the sensitivity of the whole release: tree or matrix, restarts, participations of a unit?',
};

const questionsOfFields: Readonly<Record<string, string>> = {
  'noise/workers': 'How many workers added noise, and what was the noise multiplier of all of it?',
  'sampler/min_separation':
    'Into how many classes were units divided: how many steps apart could one take part?',
};

function missingOf(claim: Claim, mechanism: ClaimMechanism, choices: Choices): [OpenFact, string][] {
  const { noise, units, batch, rate, steps, sensitivity } = numbersOf(mechanism, { choices, fill: {} });
  const missing: [OpenFact, string][] = [];
  if (noise === null)
    missing.push(['noise', isWorkersOpen(mechanism) ? 'noise/workers' : 'noise/multiplier']);
  if (sensitivity === null && isCorrelated(mechanism)) missing.push(['sensitivity', 'sensitivity']);
  const isCycleOpen = isSampled(mechanism) && isCyclicOpen(mechanism);
  if (rate === null && !isCycleOpen) missing.push(missingRate(units, batch));
  const isEpochs = mechanism.epochs !== null && rate === null;
  if (isCycleOpen) missing.push(['steps', 'sampler/min_separation']);
  else if (steps === null && !isEpochs) missing.push(['steps', 'steps']);
  if (isNoiseOnMean(mechanism, choices) && batch === null && (units === null || rate === null))
    missing.push(['batch', 'sampler/batch_size']);
  const hasRecords = claim.unit.max_records_per_unit !== null || !isRecordSampled(claim, mechanism, choices);
  if (!hasRecords) missing.push(['records', '/unit/max_records_per_unit']);
  return missing;
}

function isCyclicOpen({ sampler }: ClaimMechanism): boolean {
  return sampler.kind === 'cyclic_poisson' && sampler.min_separation === null;
}

function missingRate(units: number | null, batch: number | null): [OpenFact, string] {
  if (batch !== null) return ['units', 'n_units'];
  return units === null ? ['rate', 'sampler/rate'] : ['batch', 'sampler/batch_size'];
}

function isNoiseOnMean({ noise }: ClaimMechanism, choices: Choices): boolean {
  return noise.applied_to === 'mean' && (noise.relative_to ?? choices['relative']) !== 'sensitivity';
}
