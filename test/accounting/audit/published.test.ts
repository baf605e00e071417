import { describe, expect, it } from 'vitest';
import { auditClaim, type ClaimAudit, type VerdictDetail } from '../../../accounting/audit/index.ts';
import { hasShared } from '../../support/shared.ts';
import { claimOfPublished, publishedClaims, type Published } from './published.ts';

/** The verdicts of the reference file are coarser. */
const allowed: Readonly<Record<string, readonly VerdictDetail[]>> = {
  consistent: ['consistent', 'privacy_understated'],
  consistent_if_poisson: ['consistent', 'privacy_understated', 'conditional'],
  refuted_for_shuffled_batches: ['refuted_for_sampler', 'refuted'],
  settings_do_not_reproduce: ['privacy_understated'],
  privacy_overstated: ['privacy_overstated'],
  unverifiable: ['unverifiable'],
};

/** One audit serves all tests of a claim. */
const audits = new Map<string, ClaimAudit>();

function auditOf(published: Published): ClaimAudit {
  const known = audits.get(published.id) ?? auditClaim(claimOfPublished(published));
  audits.set(published.id, known);
  return known;
}

const names: Readonly<Record<string, string>> = {
  rdp_modern_conversion: 'rdp modern, absolute series',
  rdp_modern_exact_fractional_orders: 'rdp modern',
  rdp_classic_conversion: 'rdp classic, absolute series',
  zcdp_classic: 'zcdp classic',
  rdp_modern: 'zcdp modern, listed orders',
  gaussian_exact_pld: 'gaussian',
};

describe.runIf(hasShared)('auditClaim() on published claims', () => {
  const claims = hasShared ? publishedClaims() : [];

  it('reads all 21', () => {
    expect(claims).toHaveLength(21);
  });

  it.each(claims)('$id: the same class of verdict', published => {
    const { detail, reasons } = auditOf(published);
    expect(allowed[published.verdict]).toContain(detail);
    if (published.verdict === 'settings_do_not_reproduce')
      expect(reasons.map(({ code }) => code)).toContain('DPC-G1-settings-drift');
  });

  it.each(claims.filter(({ recomputed }) => recomputed !== undefined))(
    '$id: the same numbers within 1 %',
    published => {
      const { recomputed } = auditOf(published);
      for (const [name, value] of Object.entries(published.recomputed ?? {})) {
        const ours =
          recomputed[names[name] ?? name] ?? (name === 'exact' ? recomputed['if Poisson'] : undefined);
        if (ours === undefined) continue;
        expect(Math.abs(ours.upper / value - 1), `${name} ${ours.upper}`).toBeLessThan(0.01);
      }
    },
  );

  it('gives every RDP and exact value of the file', () => {
    const checked = claims.flatMap(published => {
      const { recomputed } = auditOf(published);
      return Object.keys(published.recomputed ?? {}).filter(name => (names[name] ?? name) in recomputed);
    });
    // 14 claims have both conversions and the exact fractional orders; 9 of the stated mechanisms have an exact value.
    expect(checked.filter(name => name.startsWith('rdp')).length).toBeGreaterThanOrEqual(3 * 14);
    expect(checked.filter(name => name === 'exact').length).toBeGreaterThanOrEqual(9);
  });

  const shuffled = claims.filter(
    ({ shuffle_lower_bound: bound, sampler_actual: told }) =>
      bound !== undefined && !told!.startsWith('shuffle_buffer('),
  );
  it.each(shuffled)(
    '$id: the shuffle bound is at least the published one, but for a coarser grid',
    published => {
      const { recomputed } = auditOf(published);
      const bound = recomputed['sampler lower bound']!;
      const { epsilon } = published.shuffle_lower_bound!;
      expect(bound.upper).toBe(Infinity);
      // Where the last batch is open our epochs have one step more, which hides more.
      expect(Math.abs(bound.lower / epsilon - 1)).toBeLessThan(0.02);
    },
  );

  it('finds 45,000 of 50,000 records behind an epsilon of 1', () => {
    const published = claims.find(({ id }) => id === 'de2022-cifar10-wrn16-4-eps1-v1')!;
    const { explanation, readings } = auditOf(published);
    expect(readings[0]).toMatchObject({ name: 'n-45000', convention: 'rdp modern' });
    expect(readings[0]!.epsilon).toBeCloseTo(1.0007, 3);
    expect(explanation).toContain('45000');
  });

  it('says which noise multiplier the claim would need', () => {
    const published = claims.find(({ sigma_needed: needed }) => needed !== undefined)!;
    const { needs, range } = auditOf(published);
    const multiplier = Number(/([\d.]+)$/.exec(needs[0]!)![1]);
    expect(Math.abs(multiplier / published.sigma_needed!.pld - 1)).toBeLessThan(0.002);
    expect(range).toEqual({ lower: 0, upper: Infinity });
  });

  it('finds the unit mix-up in the press figure', () => {
    const published = claims.find(({ id }) => id === 'vaultgemma-1b-tokens-trap')!;
    const { reasons } = auditOf(published);
    expect(reasons.map(({ code }) => code)).toContain('DPC-U4-unit-mix-up');
  });
});
