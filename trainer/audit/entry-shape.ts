import type { LedgerEntry } from '../ledger.ts';

type Check = (value: unknown) => boolean;

const isText: Check = value => typeof value === 'string';
const isSample: Check = value => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
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

function isSettings(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !isShallow(value)) return false;
  const { schedule, optimizer }: { schedule?: unknown; optimizer?: unknown } = value;
  return (
    hasFields(schedule, { learningRate: isPositive, warmupSteps: isCount, decay: isText }) &&
    hasFields(optimizer, { kind: isText })
  );
}

function hasFields(value: unknown, checks: Readonly<Record<string, Check>>): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(checks).every(([name, isSound]) => isSound(Reflect.get(value, name)));
}

/** What lies deeper than any plan does would end in an overflow of the stack. */
function isShallow(value: unknown, levels = 32): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every(part => isShallow(part, levels - 1));
}

const shapes: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  header: {
    format: value => value === 'privacy-unit/ledger',
    version: value => value === 1 || value === 2 || value === 3,
    planHash: isText,
    plan: value => isShallow(value),
    tableDigest: isText,
    modelDigest: isText,
    manifestDigest: orAbsent(isText),
    codeVersion: isText,
    noiseKeyCommitment: isText,
    samplingKeyCommitment: orAbsent(isText),
    trainedValues: orAbsent(isCount),
    settings: orAbsent(isSettings),
    stepsPerEpoch: orAbsent(isPositive),
    canaries: orAbsent(isCanaries),
  },
  noised: {
    step: isCount,
    attempt: orAbsent(isCount),
    drawSize: isCount,
    notFinite: orAbsent(isCount),
    participationDigest: orAbsent(isText),
    clippedSumDigest: orAbsent(isText),
    noiseMultiplier: isPositive,
    clipNorm: isPositive,
    previousFraction: orAbsent(Number.isFinite),
    previousNoise: orAbsent(isSample),
    soFar: orAbsent(isSoFar),
  },
  checkpoint: { step: isCount, digest: isText, previousNoise: orAbsent(isSample) },
  resumed: {
    step: isCount,
    stepsCounted: isCount,
    noiseKeyCommitment: isText,
    samplingKeyCommitment: orAbsent(isText),
    settings: orAbsent(isSettings),
  },
  finished: { stepsCounted: isCount, modelDigest: isText },
};

const checksByKind = new Map(Object.entries(shapes).map(([kind, shape]) => [kind, Object.entries(shape)]));

/** The first field of a line that is not what a ledger writes there; undefined for a sound line. Fields of later releases pass. */
export function strayField(entry: LedgerEntry): string | undefined {
  const checks = checksByKind.get(entry.kind);
  if (checks === undefined) return 'kind';
  for (const [name, isSound] of checks) {
    const value: unknown = Reflect.get(entry, name);
    if (!isSound(value)) return name;
  }
  return undefined;
}
