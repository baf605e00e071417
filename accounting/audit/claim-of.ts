import type {
  Claim,
  ClaimGuarantee,
  ClaimMechanism,
  Printed,
  StatedClaim,
  StatedPromise,
  StatedMechanism,
} from './claim.ts';
import { hasOwnDigits, readPrinted } from './claim-printed.ts';

/** Reads numbers that may be texts, and keeps the digits that the number alone would lose. */
class DigitReader {
  readonly digits: Record<string, string> = {};

  /** Null stays null. */
  number(field: string, printed: Printed): number;
  number(field: string, printed: Printed | null | undefined): number | null;
  number(field: string, printed: Printed | null | undefined): number | null {
    if (typeof printed !== 'string') return printed ?? null;
    const { text, value } = readPrinted(printed, '=');
    if (hasOwnDigits(text)) this.digits[field] = text;
    return value;
  }
}

/**
 * A whole claim from the facts that were stated: everything else becomes null.
 *
 * @param stated - numbers may be texts, which keep their digits: noise of `'1.10'` is known better than that of 1.1
 * @throws DpError `INVALID_ARGUMENT` for a text that is no number
 * @example
 * ```ts
 * claimOf({ guarantee: { epsilon: '3.0' } }).guarantee.delta; // null
 * ```
 */
export function claimOf(stated: StatedClaim): Claim {
  const reader = new DigitReader();
  const claim = wholeClaim(stated, reader);
  return Object.keys(reader.digits).length === 0 ? claim : { ...claim, digits: reader.digits };
}

function wholeClaim(stated: StatedClaim, reader: DigitReader): Claim {
  return {
    schema: 'dp-claim/1',
    subject: { name: null, digest: null, source: null, ...stated.subject },
    guarantee: guaranteeOf(stated.guarantee, reader),
    unit: { kind: null, max_records_per_unit: null, enforced_by: null, multi_device: null, ...stated.unit },
    adjacency: stated.adjacency ?? null,
    release: { what: null, checkpoints: null, other_outputs: null, ...stated.release },
    mechanisms: (stated.mechanisms ?? []).map((mechanism, index) =>
      mechanismOf(mechanism, { reader, at: `/mechanisms/${index}` }),
    ),
    accounting: {
      method: null,
      orders: null,
      library: null,
      version: null,
      sampler: null,
      ...stated.accounting,
    },
    selection: {
      runs: null,
      rule: null,
      validation_private: null,
      count_distribution: null,
      shape: null,
      accounted: null,
      ...stated.selection,
    },
    data: { pretraining: null, overlap_checked: null, duplicates: null, ...stated.data },
    randomness: { generator: null, resumed: null, resumed_seed: null, ...stated.randomness },
    evidence: {
      kind: null,
      delta: null,
      confidence: null,
      source: null,
      ...stated.evidence,
      epsilon: reader.number('/evidence/epsilon', stated.evidence?.epsilon),
    },
  };
}

function guaranteeOf(stated: StatedPromise | undefined, reader: DigitReader): ClaimGuarantee {
  const at = '/guarantee';
  const points = stated?.profile?.map(({ epsilon, delta }, index) => ({
    epsilon: reader.number(`${at}/profile/${index}/epsilon`, epsilon),
    delta: reader.number(`${at}/profile/${index}/delta`, delta),
  }));
  return {
    epsilon: null,
    relation: null,
    rho: null,
    mu: null,
    ...stated,
    delta: reader.number(`${at}/delta`, stated?.delta),
    profile: points ?? null,
  };
}

function mechanismOf(
  stated: StatedMechanism,
  { reader, at }: { readonly reader: DigitReader; readonly at: string },
): ClaimMechanism {
  const { epochs, sensitivity, sampler, noise, ...rest } = stated;
  const read = (name: string, printed: Printed | null | undefined): number | null =>
    reader.number(`${at}/${name}`, printed);
  return {
    n_units: null,
    steps: null,
    rounding: null,
    normalise_by: null,
    settings: null,
    restarts: null,
    ...rest,
    epochs: read('epochs', epochs),
    sensitivity: read('sensitivity', sensitivity),
    sampler: {
      kind: null,
      physical_cap: null,
      partial_last: null,
      min_separation: null,
      max_participations: null,
      ...sampler,
      rate: read('sampler/rate', sampler?.rate),
      batch_size: read('sampler/batch_size', sampler?.batch_size),
    },
    clip: {
      norm: null,
      per: null,
      microbatch_size: null,
      adaptive: null,
      ...stated.clip,
    },
    noise: {
      relative_to: null,
      applied_to: null,
      per: null,
      workers: null,
      seeds: null,
      divided_by: null,
      ...noise,
      multiplier: read('noise/multiplier', noise?.multiplier),
    },
  };
}
