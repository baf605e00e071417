import { DpError } from '../../accounting/check.ts';
import {
  type CurateRule,
  type OwnerForm,
  parsePrivacyCost,
  type SelectionChoice,
} from '../../selection/index.ts';
import { required } from '../arguments.ts';
import { readJson } from '../files.ts';
import type { SelectCommandOptions } from './select-options.ts';

const verb = 'select';

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** A cap that was chosen privately, as `--dp-stats --json` printed it. */
function readPrivateCap(path: string): { recordsPerUser: number; choices: SelectionChoice[] } {
  const answer = readJson(path, 'a private cap');
  const cap = isRecord(answer) ? answer['suggestedCap'] : undefined;
  const recordsPerUser = isRecord(cap) ? cap['recordsPerUser'] : undefined;
  const costs = parsePrivacyCost(isRecord(answer) ? answer['privacyCost'] : undefined);
  if (typeof recordsPerUser !== 'number' || costs.length === 0) {
    throw new DpError(
      'INVALID_DATA',
      `Cannot select: ${path} suggests no cap. Give what --dp-stats --json printed.`,
    );
  }
  const choices = costs.map(({ mechanism, release, epsilon, delta, neighbours, unit }) => ({
    name: 'records-per-user' as const,
    origin: { kind: 'private' as const, mechanism, release, epsilon, delta, neighbours, unit },
  }));
  return { recordsPerUser, choices };
}

function capOf({ k, tokens }: SelectCommandOptions): number | null {
  if (k === undefined && tokens !== undefined) return null;
  const caps = required(k, { verb, name: '--k', example: '10' });
  if (caps.length === 1) return caps[0]!;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot select: --k names ${caps.length} caps. Give one, or several with --dry-run.`,
  );
}

/** The rule that the options spell out; k from --k. */
export function capRuleOf(options: SelectCommandOptions): CurateRule {
  const { tokens, truncate, chunkTokens, strategy, seed } = options;
  return {
    strategy: required(strategy, { verb, name: '--strategy', example: 'random' }),
    seed,
    recordsPerUser: capOf(options),
    tokensPerUser: tokens ?? null,
    tokenPolicy: truncate === true ? 'truncate' : 'stop',
    chunkTokens: chunkTokens ?? null,
  };
}

/** What of records with several owners is declared public. */
function ownerChoicesOf({ ownerGraph, ownerOrder }: SelectCommandOptions): SelectionChoice[] {
  const origin = { kind: 'public' } as const;
  return [
    ...(ownerGraph === undefined ? [] : [{ name: 'owner-graph', origin } as const]),
    ...(ownerOrder === undefined ? [] : [{ name: 'owner-order', origin } as const]),
  ];
}

/** Refuses a private cap for owners: its cost was stated for a user who takes along no record of others. */
function checkNoOwners({ owners }: SelectCommandOptions, name: string): void {
  if (owners === undefined) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot select: ${name} costs what it says where a record has one user, and --owners names several. Fix k beforehand, or give --user.`,
  );
}

/** How the owners of a record are written; undefined where a record has one user. */
export function ownersOf(options: SelectCommandOptions): OwnerForm | undefined {
  const { owners, user, ownerSeparator, ownerGraph, ownerOrder, dpStats } = options;
  if (owners === undefined) {
    const given = {
      '--owner-separator': ownerSeparator,
      '--owner-graph': ownerGraph,
      '--owner-order': ownerOrder,
    };
    const [name] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
    if (name === undefined) return undefined;
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot select: ${name} stands without --owners. Give both or neither.`,
    );
  }
  if (user !== undefined)
    throw new DpError('INVALID_ARGUMENT', 'Cannot select: --user and --owners both name users. Give one.');
  if (dpStats !== undefined) checkNoOwners(options, '--dp-stats');
  return { separator: ownerSeparator ?? null };
}

/** The rule, and the choices behind it that cost privacy or are declared public. */
export function sourcedRuleOf(options: SelectCommandOptions): {
  rule: CurateRule;
  choices: readonly SelectionChoice[];
} {
  const { k, kFrom } = options;
  if (kFrom === undefined) return { rule: capRuleOf(options), choices: ownerChoicesOf(options) };
  checkNoOwners(options, '--k-from');
  if (k !== undefined) {
    throw new DpError('INVALID_ARGUMENT', 'Cannot select: --k and --k-from both name a cap. Give one.');
  }
  const { recordsPerUser, choices } = readPrivateCap(kFrom);
  return { rule: capRuleOf({ ...options, k: [recordsPerUser] }), choices };
}
