import { readFileSync } from 'node:fs';
import {
  claimOf,
  type Claim,
  type ClaimSamplerKind,
  type StatedMechanism,
} from '../../../accounting/audit/index.ts';
import { sharedPath } from '../../support/shared.ts';

/** The fields of a published claim that are read. */
export interface Published {
  readonly id: string;
  readonly model: string;
  readonly source: string;
  readonly unit: string;
  readonly adjacency?: string;
  readonly sampler_actual?: string;
  readonly accounted_as?: string;
  readonly n?: number | null;
  readonly batch_or_cohort?: number | string | null;
  readonly clip?: number | null;
  readonly delta?: number | string;
  readonly epochs?: number;
  readonly claimed_epsilon?: number;
  readonly claimed_epsilon_kind?: string;
  readonly claimed_rho?: number;
  readonly audited_lower_bound?: number;
  readonly sigma_needed?: { readonly pld: number };
  readonly shuffle_lower_bound?: { readonly epochs: number; readonly epsilon: number };
  readonly mechanism?: readonly {
    readonly type: string;
    readonly sampling_rate: number;
    readonly noise_multiplier: number;
    readonly steps: number;
  }[];
  readonly recomputed?: Readonly<Record<string, number>>;
  readonly verdict: string;
}

/** Every published claim of the reference file. */
export function publishedClaims(): Published[] {
  const file: unknown = JSON.parse(readFileSync(sharedPath('reference/claims.json'), 'utf8'));
  // oxlint-disable-next-line no-unsafe-type-assertion -- a file of our own, whose fields the tests check by using them
  return (file as { readonly claims: Published[] }).claims;
}

/** How batches were formed, as far as the publisher says; a shuffled buffer is no shuffled table. */
function samplerOf({ sampler_actual: told = '' }: Published): ClaimSamplerKind {
  if (/^shuffle_buffer_60000|^shuffled fixed/.test(told)) return 'shuffle_each_epoch';
  if (told.includes('poisson')) return 'poisson';
  return told === '' ? 'poisson' : 'unknown';
}

function mechanismsOf(published: Published): StatedMechanism[] {
  const { mechanism, accounted_as: accounted, n = null, clip = null } = published;
  if (accounted === 'tree_aggregation')
    return [{ kind: 'dp_ftrl_tree', noise: { multiplier: 7 }, sensitivity: Math.sqrt(79), steps: 2000 }];
  const batch = typeof published.batch_or_cohort === 'number' ? published.batch_or_cohort : null;
  const epochs = published.epochs ?? published.shuffle_lower_bound?.epochs ?? null;
  const shared = { n_units: n, epochs, clip: { norm: clip, per: 'example' as const } };
  if (mechanism === undefined)
    return batch === null
      ? []
      : [{ ...shared, kind: 'dp_sgd', sampler: { kind: 'poisson', batch_size: batch } }];
  return mechanism.map(({ type, sampling_rate: rate, noise_multiplier: multiplier, steps }) =>
    type === 'gaussian'
      ? { kind: 'gaussian', steps, noise: { multiplier } }
      : {
          ...shared,
          kind: 'dp_sgd',
          steps,
          sampler: {
            kind: samplerOf(published),
            rate,
            batch_size: batch,
            partial_last: published.id.startsWith('tfp') ? 'dropped' : null,
          },
          noise: { multiplier },
        },
  );
}

/** Half of the claims print a whole number where their source has "3.0". */
function printed(epsilon: number): string {
  return Number.isInteger(epsilon) && epsilon < 10 ? epsilon.toFixed(1) : String(epsilon);
}

/** A published claim in our own format. */
export function claimOfPublished(published: Published): Claim {
  const { claimed_epsilon: epsilon, claimed_epsilon_kind: kind = 'equals', delta, unit } = published;
  const adjacency = published.adjacency?.startsWith('zero_out') === true ? 'zero_out' : published.adjacency;
  return claimOf({
    subject: { name: published.model, source: published.source },
    guarantee: {
      epsilon: epsilon === undefined ? null : printed(epsilon),
      relation: kind === 'equals' ? '=' : '<=',
      delta: typeof delta === 'number' ? delta : null,
      rho: published.claimed_rho ?? null,
    },
    unit: { kind: unit === 'device' ? 'device' : unit.startsWith('sequence') ? 'sequence' : 'example' },
    adjacency: adjacency === 'zero_out' || adjacency === 'add_remove' ? adjacency : null,
    mechanisms: mechanismsOf(published),
    evidence:
      published.audited_lower_bound === undefined
        ? {}
        : { kind: 'lower_bound', epsilon: published.audited_lower_bound },
  });
}
