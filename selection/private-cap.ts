import { checkChoice, checkDelta, DpError } from '../accounting/check.ts';
import type { PrivateHistogram } from './private-histogram.ts';
import { originOfRelease } from './private-statistics.ts';
import { type Estimate, shareKept, shareUpTo, type Tails, tailsOf } from './private-tails.ts';
import type { PrivateOrigin } from './safety.ts';

/** What a cap should leave as it is: `users` who lose no record, or `records` kept. */
export type Coverage = 'users' | 'records';

export interface PrivateCapOptions {
  /** Share that the cap should cover, strictly between 0 and 1; default 0.95. */
  readonly share?: number | undefined;
  /** Default `users`. */
  readonly of?: Coverage | undefined;
  /** Probability with which the interval holds; default 0.95. */
  readonly level?: number | undefined;
}

/** A cap that was chosen from the table, with what the choice cost; a `SourcedCap` of `safety.ts`. */
export interface PrivateCap extends PrivateOrigin {
  /** The least edge of the release that seems to cover the share. */
  readonly recordsPerUser: number;
  readonly of: Coverage;
  readonly share: number;
  /** The share that it covers, as far as the release tells. */
  readonly coverage: Estimate;
  readonly level: number;
}

const verb = 'choose a cap privately';

function coverageOf(tails: Tails, recordsPerUser: number, of: Coverage): Estimate {
  return of === 'users' ? shareUpTo(tails, recordsPerUser) : shareKept(tails, recordsPerUser);
}

/**
 * The smallest cap that leaves a share of the users uncut, or that keeps a share of the records, chosen from a noisy
 * histogram of contributions. It costs what the release cost, and nothing more where that is paid for already.
 *
 * Why no quantile mechanism of its own: the exponential mechanism over the same public edges errs in rank by about
 * 2·ln(edges)/ε (Smith, STOC 2011), the sum of up to 60 discrete Laplace noises by about 11/ε, so at a like error the
 * histogram gives every other statistic besides and an interval. That a quantile is a good cap: Amin, Kulesza, Muñoz
 * Medina and Vassilvitskii, ICML 2019.
 *
 * `users` is the question to ask: one user moves its answer by 1 in the number of users. `records` is moved by as many
 * records as one user may have, so its interval is wide unless users are very many or `largest` is small; records of a
 * user beyond the largest edge are not counted.
 *
 * @throws DpError `INVALID_ARGUMENT`; `BUDGET_UNREACHABLE` where no edge seems to cover the share, or where what seems to
 *   may cover less than half of it: no cap is a guess. That answer spends nothing more than the release did
 * @example
 * ```ts
 * import { releaseContributions } from 'privacy-unit/selection';
 * const table = new Map([[1, 80_000], [7, 18_000], [500, 2000]]);
 * const cap = privateCap(releaseContributions(table, { epsilon: 1 }), { share: 0.95 });
 * [cap.recordsPerUser, cap.epsilon, cap.delta]; // [7, 1, 0]
 * ```
 */
export function privateCap(release: PrivateHistogram, options: PrivateCapOptions = {}): PrivateCap {
  const share = checkDelta(options.share ?? 0.95, { verb, name: 'share' });
  const of = checkChoice(options.of ?? 'users', { verb, name: 'of', choices: ['users', 'records'] });
  const level = checkDelta(options.level ?? 0.95, { verb, name: 'level' });
  const tails = tailsOf(release, level);
  const recordsPerUser = release.edges.find(edge => coverageOf(tails, edge, of).estimate >= share);
  if (recordsPerUser === undefined) {
    throw unreachable(
      release,
      `not even ${release.edges.at(-1)} records per user seem to cover ${share} of the ${of}`,
    );
  }
  const coverage = coverageOf(tails, recordsPerUser, of);
  const { lower } = coverage.interval;
  if (lower < share / 2) {
    const found = `the cap ${recordsPerUser} seems to cover ${share} of the ${of} but may cover only ${lower.toPrecision(2)}`;
    throw unreachable(release, found);
  }
  return { ...originOfRelease(release), recordsPerUser, of, share, coverage, level };
}

function unreachable({ epsilon }: PrivateHistogram, reason: string): DpError {
  return new DpError(
    'BUDGET_UNREACHABLE',
    `Cannot ${verb}: at epsilon ${epsilon} ${reason}. Ask for a share of users rather than records, or release with more epsilon or other edges.`,
  );
}
