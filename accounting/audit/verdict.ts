import type { Interval } from '../accountant.ts';

/**
 * What an audit may say, by direction. `privacy_overstated`: the claimed epsilon is too small, so more privacy was
 * promised than the settings give; `privacy_understated`: it is larger than it had to be.
 */
export type Verdict =
  'consistent' | 'privacy_understated' | 'unverifiable' | 'privacy_overstated' | 'refuted';

/** The finer names behind a {@link Verdict}, strongest first: where several hold, the first of them is said. */
export const verdictDetails = [
  'refuted',
  'refuted_for_sampler',
  'privacy_overstated',
  'borderline',
  'unverifiable',
  'conditional',
  'privacy_understated',
  'consistent',
] as const;

/** One of {@link verdictDetails}. */
export type VerdictDetail = (typeof verdictDetails)[number];

const verdictOf: Readonly<Record<VerdictDetail, Verdict>> = {
  refuted: 'refuted',
  refuted_for_sampler: 'refuted',
  privacy_overstated: 'privacy_overstated',
  borderline: 'unverifiable',
  unverifiable: 'unverifiable',
  conditional: 'unverifiable',
  privacy_understated: 'privacy_understated',
  consistent: 'consistent',
};

/** How much a finding weighs: an error breaks the guarantee, a warning may, a note explains. */
export type FindingLevel = 'error' | 'warning' | 'note';

/** One thing that an audit found. */
export interface Reason {
  /** Stable name, such as `DPC-S1-shuffled-as-poisson`. */
  readonly code: string;
  readonly level: FindingLevel;
  readonly text: string;
  /** What was recomputed for this reason; null where nothing was. */
  readonly epsilon: Interval | null;
  /** Paper and section, or address, that the rule comes from. */
  readonly source?: string;
  /** The field of the claim that it is about, as a JSON pointer: `/sampler/kind`. */
  readonly field?: string;
}

/** The {@link Verdict} that a finer one belongs to. */
export function verdictFor(detail: VerdictDetail): Verdict {
  return verdictOf[detail];
}

/** The strongest of several finer verdicts; `consistent` where there is none. */
export function strongestVerdict(details: readonly VerdictDetail[]): VerdictDetail {
  return verdictDetails.find(detail => details.includes(detail)) ?? 'consistent';
}
