import type { Bound } from '../accountant.ts';
import type { RepeatedLoss, Saddle } from '../laws/cumulants.ts';
import type { Profile } from './profile.ts';

/** A bound from both sides. */
export interface CertifiedBound extends Bound {
  readonly lower: number;
}

/** What a profile is to show. */
export interface ProfileRequest {
  /** Exponent of the tilt exp(tilt·loss). */
  readonly tilt: number;
  /** ε that must lie well inside. */
  readonly epsilon: number;
  /** Wanted distance of upper and lower bound in ε. */
  readonly gap: number;
}

/** A way to compose laws numerically; the search knows nothing else of it. */
export interface Composer<P extends Profile> {
  compose(parts: readonly RepeatedLoss[], request: ProfileRequest): P;
  /** How the profile was got, for the statement. */
  describe(profile: P): string;
  /** Whether a finer request would give the same profile. */
  isFinest(profile: P): boolean;
  /** Gap relative to ε that is aimed at where none is asked for. */
  usualGap(parts: readonly RepeatedLoss[], saddle: Saddle): number;
  /** Gap that is good enough where none is asked for. */
  readonly acceptedGap: number;
}

/** What δ has beside that of the finite losses in the tables: at most `outside`, and `infinite`. */
export function leftOut(parts: readonly RepeatedLoss[]): { outside: number; infinite: number } {
  const outside = parts.reduce((total, { count, table }) => total + count * table.outside, 0);
  const log = parts.reduce((total, { count, table }) => total + count * Math.log1p(-table.infinite), 0);
  return { outside, infinite: log < 0 ? -Math.expm1(log) : 0 };
}

/** Most of exp(-tilt·x) (1 - exp(-x)) over x >= 0. */
export function highestWeight(tilt: number): number {
  return Math.exp(-tilt * Math.log1p(1 / tilt)) / (1 + tilt);
}
