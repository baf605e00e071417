import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { auditClaim } from '../../../accounting/audit/index.ts';
import { settingsEpsilon } from '../../../accounting/audit/claim-bounds.ts';
import { settle } from '../../../accounting/audit/claim-settings.ts';
import { honestRuns, printedClaim, roundedPrint, trueClaim, without, type Honest } from './honest.ts';

const accusations = ['refuted', 'privacy_overstated'];

it('auditClaim() never accuses an honest claim, however its settings were rounded', () => {
  fc.assert(
    fc.property(honestRuns, honest => {
      const claim = printedClaim(honest);
      fc.pre(claim !== undefined);
      const { verdict, detail } = auditClaim(claim);
      expect(accusations).not.toContain(verdict);
      if (honest.told === 'counts')
        expect(['consistent', 'privacy_understated', 'conditional', 'borderline']).toContain(detail);
      if (honest.omitted.length === 0) return;
      const { verdict: ofLess } = auditClaim(without(claim, honest));
      expect(accusations).not.toContain(ofLess);
    }),
    { numRuns: 25 },
  );
}, 240_000);

/** A Poisson sampled run of single records, told in numbers that can be counted. */
function plain(honest: Honest): Honest {
  return { ...honest, kind: 'poisson', records: 1, told: 'counts', scale: 'sum', isLoader: false };
}

function trueLower(honest: Honest): number {
  const settings = settle(trueClaim(honest), { choices: {}, fill: {} })!;
  return settingsEpsilon({ relativeGap: 5e-3 })(settings).lower;
}

it('auditClaim() accuses a claim of less than the truth', () => {
  fc.assert(
    fc.property(honestRuns, honest => {
      const exact = { ...plain(honest), rest: 0 };
      const lower = trueLower(exact);
      if (lower < 0.05) return;
      const { verdict } = auditClaim(trueClaim(exact, (lower * 0.9).toFixed(4)));
      expect(verdict).toBe('privacy_overstated');
    }),
    { numRuns: 10 },
  );
});

it('auditClaim() accuses whoever halved the noise, printed in two or three digits', () => {
  fc.assert(
    fc.property(honestRuns, fc.constantFrom(1, 2), (honest, settingDigits) => {
      const run = { ...plain(honest), settingDigits, deltaDigits: 2 };
      const lower = trueLower(run);
      if (lower < 0.05) return;
      const halved = { ...run, multiplier: run.multiplier / 2 };
      expect(auditClaim(roundedPrint(halved, lower.toFixed(3))).verdict).toBe('privacy_overstated');
    }),
    { numRuns: 10 },
  );
}, 60_000);
