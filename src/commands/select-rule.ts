import { DpError } from '../../accounting/check.ts';
import { type CurateRule, parsePrivacyCost, type SelectionChoice } from '../../selection/index.ts';
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

/** The rule, and the choices behind it that cost privacy. */
export function sourcedRuleOf(options: SelectCommandOptions): {
  rule: CurateRule;
  choices: readonly SelectionChoice[];
} {
  const { k, kFrom } = options;
  if (kFrom === undefined) return { rule: capRuleOf(options), choices: [] };
  if (k !== undefined) {
    throw new DpError('INVALID_ARGUMENT', 'Cannot select: --k and --k-from both name a cap. Give one.');
  }
  const { recordsPerUser, choices } = readPrivateCap(kFrom);
  return { rule: capRuleOf({ ...options, k: [recordsPerUser] }), choices };
}
