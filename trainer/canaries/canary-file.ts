import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cut } from '../../accounting/audit/scores/thresholds.ts';
import { DpError } from '../../accounting/check.ts';
import { sha256 } from '../digest.ts';
import { writeAtomically } from '../durable.ts';
import type { Canary, CanarySet } from './canaries.ts';

/**
 * How canaries will be told apart, as it is registered: so many of the highest scores are taken for included and so many of the lowest
 * for left out, or all from a threshold on for included and the others for left out.
 */
type Registration = { readonly kPlus: number; readonly kMinus: number } | { readonly threshold: number };

function registrationOf(cut: Cut): Registration {
  return 'threshold' in cut ? { threshold: cut.threshold } : { kPlus: cut.highest, kMinus: cut.lowest };
}

/** The cut of a registration. */
export function registeredCut(registration: Registration): Cut {
  if ('threshold' in registration) return { threshold: registration.threshold };
  return { highest: registration.kPlus, lowest: registration.kMinus };
}

/** What the first line of a ledger says of canaries, before the first step. */
export type CanaryCommitment = Registration & {
  readonly count: number;
  readonly recordsPerCanary: number;
  /** SHA-256 of the file of canaries, coins and all. */
  readonly commitment: string;
};

/** In the folder of a run; holds the coins, for its owner alone. */
export const canaryFileName = 'canaries.jsonl';

type FileHeader = Registration & {
  readonly format: 'privacy-unit/canaries';
  readonly version: 1;
  readonly count: number;
  readonly recordsPerCanary: number;
  readonly salt: string;
};

interface FileLine {
  readonly canary: string;
  readonly included: boolean;
  readonly tokens: readonly number[];
}

/** The file of canaries: a header, then a line each. Equal sets have equal texts. */
export function renderCanaries({ canaries, recordsPerCanary, cut, salt }: CanarySet): string {
  const header: FileHeader = {
    format: 'privacy-unit/canaries',
    version: 1,
    count: canaries.length,
    recordsPerCanary,
    ...registrationOf(cut),
    salt,
  };
  const lines = canaries.map(({ name, isIncluded, tokens }): FileLine => ({
    canary: name,
    included: isIncluded,
    tokens: [...tokens],
  }));
  return [header, ...lines].map(line => `${JSON.stringify(line)}\n`).join('');
}

/** What a ledger says of these canaries. */
export function commitmentOfCanaries(set: CanarySet): CanaryCommitment {
  const { canaries, recordsPerCanary, cut } = set;
  const commitment = sha256(renderCanaries(set));
  return { count: canaries.length, recordsPerCanary, ...registrationOf(cut), commitment };
}

/** Writes the canaries of a run, readable by its owner alone; on the disk when it returns. */
export function writeCanaries(folder: string, set: CanarySet): void {
  writeAtomically(join(folder, canaryFileName), Buffer.from(renderCanaries(set)), { mode: 0o600 });
}

function broken(path: string, reason: string): DpError {
  return new DpError(
    'CHECK_FAILED',
    `Cannot read the canaries: ${path} ${reason}. Give the unchanged ${canaryFileName} of the run.`,
  );
}

/**
 * Reads the canaries that `writeCanaries` wrote.
 *
 * @param commitment - of the run's ledger; where given, the file has to be the one that it is of
 * @throws DpError `MISSING_FILE`; `CHECK_FAILED` for another file
 */
export function readCanaries(path: string, commitment?: string): CanarySet {
  if (!existsSync(path))
    throw new DpError(
      'MISSING_FILE',
      `Cannot read the canaries: there is no file ${path}. Without it nobody knows which of them were trained on.`,
    );
  const text = readFileSync(path, 'utf8');
  if (commitment !== undefined && sha256(text) !== commitment)
    throw broken(
      path,
      `has digest ${sha256(text).slice(0, 12)}, the ledger is bound to ${commitment.slice(0, 12)}`,
    );
  const set = parseCanaries(text);
  if (set === undefined || renderCanaries(set) !== text) throw broken(path, 'is not what a run writes');
  return set;
}

function parseCanaries(text: string): CanarySet | undefined {
  try {
    const [first = '', ...rest] = text.split('\n').slice(0, -1);
    const header: FileHeader = JSON.parse(first);
    const { recordsPerCanary, salt } = header;
    const canaries = rest.map((line): Canary => {
      const { canary, included, tokens }: FileLine = JSON.parse(line);
      return { name: canary, isIncluded: included, tokens: Int32Array.from(tokens) };
    });
    return { recordsPerCanary, cut: registeredCut(header), salt, canaries };
  } catch {
    return undefined;
  }
}
