import { judgedPoints } from './claim-judge.ts';
import { bestChoices } from './claim-open.ts';
import { deltaStands, evidenceStands, roundedClaim } from './claim-rounding.ts';
import { settle, type Settings } from './claim-settings.ts';
import { conventionText, isStatedMatch } from './explain.ts';
import { readPrinted } from './claim-printed.ts';
import { deltaWords } from './claim-statement.ts';
import { isNeverPure } from './pure.ts';
import { inWords, isAccusation, type FindingRule } from './findings-context.ts';
import { isNoiseOnMean } from './findings-mechanism.ts';
import type { ClaimReading } from './claim.ts';
import type { Reason } from './verdict.ts';

const exact: FindingRule = ({ judgement, claimed }) => {
  const { best } = judgement;
  if (best === undefined || claimed === null) return [];
  const { lower, upper } = best.epsilon;
  const isBeyond = lower > claimed.stands.upper;
  const told = `Recomputed for the stated mechanism, epsilon is ${inWords(best.epsilon)}`;
  const against = isBeyond
    ? `more than the ${claimed.text} that is claimed.`
    : upper <= claimed.stands.upper
      ? `within the ${claimed.text} that is claimed.`
      : `which does not settle the ${claimed.text} that is claimed.`;
  return [
    {
      code: 'DPC-V1-recomputed',
      level: isBeyond ? (isAccusation(judgement) ? 'error' : 'warning') : 'note',
      text: `${told}, ${against}`,
      epsilon: best.epsilon,
      source: 'certified interval by inversion of the privacy loss',
      field: '/guarantee/epsilon',
    },
  ];
};

const implied: FindingRule = ({ claim, judgement, claimed }) => {
  const { range } = judgement;
  if (claim.mechanisms.length > 0 || range === null || claimed === null) return [];
  const { rho, mu } = claim.guarantee;
  if (rho === null && mu === null) return [];
  const isBeyond = range.lower > claimed.stands.upper;
  return [
    {
      code: 'DPC-V2-conversion',
      level: isBeyond ? 'warning' : 'note',
      text: `What was claimed as ${rho === null ? `mu ${mu}` : `rho ${rho}`} is epsilon ${inWords(range)} at the stated delta.${isBeyond ? ` The ${claimed.text} that is claimed does not follow from it; it needs a proof of its own.` : ''}`,
      epsilon: range,
      source: 'arXiv:1605.02065, arXiv:2004.00010',
      field: rho === null ? '/guarantee/mu' : '/guarantee/rho',
    },
  ];
};

const readings: FindingRule = ({ judgement: { others, detail }, claimed }) =>
  others
    .filter(
      ({ epsilon }) => claimed !== null && epsilon.upper > claimed.stands.upper && detail === 'conditional',
    )
    .map(({ text, field, epsilon }) => ({
      code: 'DPC-V3-holds-under-one-reading',
      level: 'warning',
      text: `The claim does not follow if ${text}: then epsilon is ${epsilon.upper === Infinity ? `only known to be ${inWords(epsilon)}` : inWords(epsilon)}.`,
      epsilon,
      source: 'auditing decision table',
      field,
    }));

const missing: FindingRule = ({ judgement }) =>
  judgement.missing.map(({ question, field }, index): Reason => {
    const needs = index === 0 && judgement.needs.length > 0 ? ` The claim needs ${judgement.needs[0]}.` : '';
    return {
      code: 'DPC-M1-not-stated',
      level: 'warning',
      text: `A number that moves epsilon is not stated. ${question}${needs}`,
      epsilon: judgement.range,
      source: 'arXiv:2303.00654 section 5.3; NIST SP 800-226',
      field,
    };
  });

const drift: FindingRule = ({ judgement: { best, detail }, claimed, explanation }) => {
  if (best === undefined || claimed === null || explanation === undefined) return [];
  const [nearest] = explanation.readings;
  if (nearest === undefined) return [];
  const isOther = nearest.matches && !isStatedMatch(nearest);
  if (detail !== 'consistent' || (nearest.matches && !isOther)) return [];
  return [
    {
      code: 'DPC-G1-settings-drift',
      level: 'warning',
      text: isOther
        ? `The stated settings do not give the printed number. ${explanation.text ?? ''}`
        : `No accountant gives ${claimed.text} from the stated settings${nearestWords(nearest)}.`,
      epsilon: best.epsilon,
      source: 'auditing catalogue',
      field: '/guarantee/epsilon',
    },
  ];
};

/** A reading that is farther off than this helps nobody. */
const helpful = 0.25;

function nearestWords({ name, text, epsilon, difference, convention }: ClaimReading): string {
  if (!(Math.abs(difference) <= helpful)) return ', nor from any of the readings that were tried';
  const number = epsilon.toPrecision(4);
  return name === 'stated'
    ? `; the nearest number is ${number}, by ${conventionText(convention)}`
    : `; the nearest reading gives ${number}: ${text}`;
}

/** A recomputed epsilon so far below the claim points to another unit, such as tokens for sequences. */
const mixUp = 20;

const unitMixUp: FindingRule = ({ claim, judgement: { best }, claimed }) => {
  if (best === undefined || claimed === null || !(best.epsilon.upper * mixUp < claimed.value)) return [];
  // Noise on a mean has an explanation of its own.
  if (claim.mechanisms.some(isNoiseOnMean)) return [];
  return [
    {
      code: 'DPC-U4-unit-mix-up',
      level: 'warning',
      text: `The stated settings give ${inWords(best.epsilon)}, far below the ${claimed.text} that is claimed. Are batch and table counted in the same unit?`,
      epsilon: best.epsilon,
      source: 'auditing catalogue, unit and adjacency',
      field: '/mechanisms/0/n_units',
    },
  ];
};

const delta: FindingRule = ({ claim }) => {
  const { delta: stated } = claim.guarantee;
  const units = Math.max(0, ...claim.mechanisms.map(({ n_units: count }) => count ?? 0));
  if (stated === null || units === 0) return [];
  const { lower } = deltaStands(claim, { field: '/guarantee/delta', value: stated });
  if (lower * units <= 1 + 1e-9) return [];
  return [
    {
      code: 'DPC-D1-delta-above-one-over-n',
      level: 'error',
      text: `Delta ${deltaWords(stated)} is ${Number((stated * units).toPrecision(3))} times one over the ${units} units: publishing each unit's data with that probability would satisfy it.`,
      epsilon: null,
      source: 'arXiv:2303.00654 section 5.3; NIST SP 800-226',
      field: '/guarantee/delta',
    },
  ];
};

const pure: FindingRule = ({ claim }) => {
  if (!isNeverPure(claim)) return [];
  return [
    {
      code: 'DPC-D2-gaussian-is-never-pure',
      level: 'error',
      text: 'Pure differential privacy, delta 0, is claimed of Gaussian noise. The log ratio of two Gaussian densities has no bound, so no epsilon holds at delta 0, whatever the settings are. State a delta above 0.',
      epsilon: { lower: Infinity, upper: Infinity },
      source: 'arXiv:1605.02065 section 1; arXiv:1805.06394',
      field: '/guarantee/delta',
    },
  ];
};

const published: FindingRule = ({ claim, claimed }) => {
  const { kind, epsilon, confidence, source } = claim.evidence;
  if (kind === null || epsilon === null || claimed === null) return [];
  const isBound = kind === 'lower_bound';
  const isBeyond = isBound && evidenceStands(claim).lower > claimed.stands.upper;
  const trust = confidence === null ? 'at a confidence that is not stated' : `with confidence ${confidence}`;
  return [
    {
      code: isBound ? 'DPC-B1-published-lower-bound' : 'DPC-B2-published-estimate',
      level: isBeyond ? 'error' : 'note',
      text: isBound
        ? `An attack on the trained model shows that epsilon is at least ${epsilon}, ${trust}.`
        : `An attack estimates epsilon as ${epsilon}; an estimate refutes nothing.`,
      epsilon: isBound ? { lower: epsilon, upper: Infinity } : null,
      source: source ?? 'stated in the claim',
      field: '/evidence/epsilon',
    },
  ];
};

/** rho of plain Gaussians, in units of the move that neighbours make. */
function rhoOfRuns({ runs, neighbours }: Settings): number {
  const move = neighbours === 'replace' ? 2 : 1;
  return runs.reduce((sum, { noise, steps }) => sum + (steps * (move / noise) ** 2) / 2, 0);
}

const rho: FindingRule = ({ claim, judgement: { best, open }, explanation }) => {
  const { guarantee } = claim;
  const isGaussian = explanation?.stated['zcdp modern'] !== undefined;
  if (guarantee.rho === null || best === undefined || !isGaussian) return [];
  const recomputed = rhoOfRuns(best.settings);
  const printed = readPrinted(guarantee.rho, guarantee.relation);
  const rounded = settle(roundedClaim(claim, 'best').claim, { choices: bestChoices(open), fill: {} })!;
  const limit = printed.stands.upper * (1 + 1e-12);
  return [
    {
      code: 'DPC-V4-rho',
      level: rhoOfRuns(rounded) > limit ? 'error' : recomputed > limit ? 'warning' : 'note',
      text: `Recomputed, rho is ${recomputed.toPrecision(4)}; ${printed.text} is claimed.`,
      epsilon: null,
      source: 'arXiv:1605.02065',
      field: '/guarantee/rho',
    },
  ];
};

/** Of more points that hold than this only their number is told. */
const mostPoints = 10;

const profile: FindingRule = ({ claim, judgement, epsilon }) => {
  const judged = judgedPoints(claim, { ...judgement, epsilon });
  const held = judged.filter(({ isBeyond }) => !isBeyond).length;
  const isShort = held > mostPoints;
  const told = judged.flatMap(({ point, found, isBeyond, isProved }, index): Reason[] =>
    isShort && !isBeyond
      ? []
      : [
          {
            code: 'DPC-V5-profile-point',
            level: isProved ? 'error' : isBeyond ? 'warning' : 'note',
            text: `At delta ${deltaWords(point.delta)} epsilon is ${inWords(found)}; ${point.epsilon} is claimed.`,
            epsilon: found,
            source: 'certified interval by inversion of the privacy loss',
            field: `/guarantee/profile/${index}`,
          },
        ],
  );
  return isShort ? [...told, pointsHeld(held, judged.length)] : told;
};

function pointsHeld(held: number, all: number): Reason {
  return {
    code: 'DPC-V5-profile-point',
    level: 'note',
    text: `${held === all ? `All ${all}` : `${held} of ${all}`} points of the profile are not below what was recomputed.`,
    epsilon: null,
    source: 'certified interval by inversion of the privacy loss',
    field: '/guarantee/profile',
  };
}

const centralLimit: FindingRule = ({ claim, explanation }) => {
  const isUsed = /gdp|clt|central/i.test(claim.accounting.method ?? '');
  const value = explanation?.stated['central limit'];
  if (!isUsed) return [];
  return [
    {
      code: 'DPC-R1-central-limit',
      level: 'warning',
      text: 'The central limit of Gaussian DP was used. It is no bound and can be below the truth.',
      epsilon: value === undefined ? null : { lower: value, upper: value },
      source: 'arXiv:2106.02848, arXiv:1911.11607',
      field: '/accounting/method',
    },
  ];
};

const nothingClaimed: FindingRule = ({ claimed }) =>
  claimed !== null
    ? []
    : [
        {
          code: 'DPC-M3-no-epsilon',
          level: 'warning',
          text: 'No epsilon is claimed.',
          epsilon: null,
          source: 'NIST SP 800-226',
          field: '/guarantee/epsilon',
        },
      ];

/** What was computed, and what could not be. */
export const numberRules: readonly FindingRule[] = [
  exact,
  published,
  implied,
  readings,
  missing,
  nothingClaimed,
  delta,
  pure,
  drift,
  unitMixUp,
  rho,
  profile,
  centralLimit,
];
