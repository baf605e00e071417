import type { VerdictDetail } from '../../accounting/audit/index.ts';
import type { AuditReport } from './report.ts';

/** What a verdict says to somebody who is no accountant, and what must not be read into it. */
export interface Meaning {
  readonly says: string;
  readonly saysNot: string;
}

const noBlame = 'that anybody’s data was taken, or that somebody meant to deceive.';
const notWatched = 'that the training was run as stated, or that an attack finds nothing.';

const ofClaim: Readonly<Record<VerdictDetail, Meaning>> = {
  refuted: {
    says: 'An attack on the trained model showed more than the claim allows.',
    saysNot: noBlame,
  },
  refuted_for_sampler: {
    says: 'Batches were not formed as the printed number assumes. For the way in which they were formed, a promise as strong as the claim fails for some data.',
    saysNot: `that this model gives so much away: the bound is for the worst data, with every model on the way given out. Nor ${noBlame}`,
  },
  privacy_overstated: {
    says: 'The stated settings protect less than the printed number promises.',
    saysNot: noBlame,
  },
  borderline: {
    says: 'The printed digits do not decide whether the claim holds. More of them would.',
    saysNot: 'that the claim is false.',
  },
  unverifiable: {
    says: 'What is stated is too little to tell whether the claim holds. The questions say what is missing.',
    saysNot: 'that the claim is false.',
  },
  conditional: {
    says: 'The claim holds if a condition was met that is not shown to be. The findings name it.',
    saysNot: 'that the condition was not met.',
  },
  privacy_understated: {
    says: 'The stated settings protect better than the printed number promises.',
    saysNot: notWatched,
  },
  consistent: {
    says: 'The printed number holds for what is stated.',
    saysNot: notWatched,
  },
};

const ofOthers: Readonly<Record<AuditReport['kind'], Partial<Record<VerdictDetail, Meaning>>>> = {
  claim: {},
  scores: {
    unverifiable: {
      says: 'These scores could not have refuted the claim, whatever they had shown.',
      saysNot: 'that the claim is true, or that it is false.',
    },
    consistent: {
      says: 'The trained model gave away no more of the canaries than the claim allows.',
      saysNot: 'that the claim is true: other canaries, or a better attack, may show more.',
    },
  },
  ledger: {
    refuted: {
      says: 'The ledger is that of another training than the claimed one.',
      saysNot: noBlame,
    },
    refuted_for_sampler: {
      says: 'The ledger shows draws that the planned sampling does not give.',
      saysNot: noBlame,
    },
    privacy_overstated: {
      says: 'The steps in the ledger protect less than the claim promises.',
      saysNot: noBlame,
    },
    borderline: {
      says: 'The steps in the ledger come too near to the claim to decide whether it holds.',
      saysNot: 'that the claim is false.',
    },
    unverifiable: {
      says: 'The ledger, with what was given beside it, is too little to tell whether the claim holds.',
      saysNot: 'that the claim is false.',
    },
    privacy_understated: {
      says: 'The steps in the ledger protect better than the claim promises.',
      saysNot: 'that the ledger tells the truth; it proves order, and that nothing was changed later.',
    },
    consistent: {
      says: 'The steps in the ledger cost no more than is claimed.',
      saysNot: 'that the ledger tells the truth; it proves order, and that nothing was changed later.',
    },
  },
};

/** The meaning of the verdict of a report. */
export function meaningOf({ kind, detail }: Pick<AuditReport, 'kind' | 'detail'>): Meaning {
  return ofOthers[kind][detail] ?? ofClaim[detail];
}
