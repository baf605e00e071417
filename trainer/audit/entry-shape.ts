import type { LedgerEntry } from '../ledger.ts';

type Check = (value: unknown) => boolean;

const isText: Check = value => typeof value === 'string';
const isCount: Check = value => Number.isSafeInteger(value) && Number(value) >= 0;
const isPositive: Check = value => typeof value === 'number' && Number.isFinite(value) && value > 0;
const orAbsent =
  (check: Check): Check =>
  value =>
    value === undefined || check(value);

function isCanaries(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { count, commitment }: { count?: unknown; commitment?: unknown } = value;
  return isCount(count) && isText(commitment);
}

function isSoFar(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { steps, epsilonUpper }: { steps?: unknown; epsilonUpper?: unknown } = value;
  return isCount(steps) && (epsilonUpper === null || (typeof epsilonUpper === 'number' && epsilonUpper >= 0));
}

const shapes: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  header: {
    format: value => value === 'privacy-unit/ledger',
    version: value => value === 1 || value === 2,
    planHash: isText,
    tableDigest: isText,
    modelDigest: isText,
    codeVersion: isText,
    noiseKeyCommitment: isText,
    samplingKeyCommitment: orAbsent(isText),
    stepsPerEpoch: orAbsent(isPositive),
    canaries: orAbsent(isCanaries),
  },
  noised: {
    step: isCount,
    attempt: orAbsent(isCount),
    drawSize: isCount,
    participationDigest: orAbsent(isText),
    clippedSumDigest: orAbsent(isText),
    noiseMultiplier: isPositive,
    clipNorm: isPositive,
    previousFraction: orAbsent(Number.isFinite),
    soFar: orAbsent(isSoFar),
  },
  checkpoint: { step: isCount, digest: isText },
  resumed: {
    step: isCount,
    stepsCounted: isCount,
    noiseKeyCommitment: isText,
    samplingKeyCommitment: orAbsent(isText),
  },
  finished: { stepsCounted: isCount, modelDigest: isText },
};

/** The first field of a line that is not what a ledger writes there; undefined for a sound line. Fields of later releases pass. */
export function strayField(entry: LedgerEntry): string | undefined {
  const shape = Object.hasOwn(shapes, entry.kind) ? shapes[entry.kind] : undefined;
  if (shape === undefined) return 'kind';
  const fields = new Map<string, unknown>(Object.entries(entry));
  return Object.keys(shape).find(name => !shape[name]!(fields.get(name)));
}
