import type {
  CutRule,
  Inclusion,
  ScoreMethod,
  ScoreOptions,
  ScoreUnit,
} from '../../accounting/audit/index.ts';
import { DpError } from '../../accounting/check.ts';
import type { AuditedFile } from './report.ts';
import type { TestedClaim } from './scores-claim.ts';
import { agreed, readRegistration, type ScoreHeader } from './scores-header.ts';

/** How scores are audited, as commander hands it over. */
export interface ScoreSettings {
  readonly method?: ScoreMethod;
  readonly significance?: number;
  readonly preregistered?: string;
  readonly split?: true;
  readonly grid?: readonly number[];
  readonly unit?: ScoreUnit;
  readonly claimUnit?: ScoreUnit;
  readonly inclusion?: 'coins' | 'fixed';
  readonly independent?: true;
  readonly group?: true;
  readonly dimension?: number;
}

function refuse(reason: string, advice: string): never {
  throw new DpError('INVALID_ARGUMENT', `Cannot audit the scores: ${reason}. ${advice}.`);
}

const guessing: readonly (ScoreMethod | undefined)[] = [undefined, 'one-run', 'f-dp'];

/** The one rule by which cuts are chosen; undefined for the usual one. */
function cutsOf(
  { split, grid, preregistered }: ScoreSettings,
  { cuts, method }: { readonly cuts: readonly ScoreHeader[]; readonly method: ScoreMethod | undefined },
): CutRule | undefined {
  const registered = cuts.flatMap(({ cut }) => (cut === undefined ? [] : [cut]));
  const ways = registered.length + Number(split === true) + Number(grid !== undefined);
  if (ways > 1)
    refuse(
      `${ways} ways to choose cuts are given`,
      'Keep to the registered one, or give --split or --grid alone',
    );
  if (preregistered !== undefined && registered.length === 0)
    refuse('the registration has 0 cuts', 'Register k_plus and k_minus, or a threshold');
  if (registered[0] !== undefined) return { rule: 'preregistered', cut: registered[0] };
  const [shares, thresholds] = guessing.includes(method) ? [grid, undefined] : [undefined, grid];
  if (shares !== undefined) return { rule: 'grid', shares };
  if (thresholds !== undefined) return { rule: 'grid', thresholds };
  return split === true ? { rule: 'split' } : undefined;
}

const inclusionOf = { coins: 'fair-coins', fixed: 'fixed' } as const satisfies Record<string, Inclusion>;

/** Smallest rate that a curve is wanted for. */
function leastRate(significance: number, canaries: number): number {
  return Math.max(1e-9, Math.min(0.01, significance / canaries / 10));
}

/** The options of the audit, and the files that they came from. */
export function scoreOptions(
  settings: ScoreSettings,
  from: { readonly claim: TestedClaim; readonly header: ScoreHeader; readonly canaries: number },
): { readonly options: ScoreOptions; readonly files: readonly AuditedFile[] } {
  const { claim, header, canaries } = from;
  const registration =
    settings.preregistered === undefined ? undefined : readRegistration(settings.preregistered);
  const headers = registration === undefined ? [header] : [header, registration.header];
  const inclusion = settings.inclusion && inclusionOf[settings.inclusion];
  const method = agreed('method', [settings.method, ...headers.map(each => each.method)]);
  const significance = agreed('significance', [
    settings.significance,
    ...headers.map(each => each.significance),
  ]);
  const delta = agreed('delta', [claim.delta, ...headers.map(each => each.delta)]);
  if (delta === undefined) return refuse('delta is stated nowhere', 'Give --delta');
  const curve = method === 'f-dp' ? claim.curve(leastRate(significance ?? 0.05, canaries)) : undefined;
  const unit = agreed('unit', [settings.unit, ...headers.map(each => each.unit)]);
  const options: ScoreOptions = {
    epsilon: claim.epsilon,
    delta,
    method,
    significance,
    cuts: cutsOf(settings, { cuts: headers, method }),
    unit: unit ?? claim.unit,
    claimUnit: agreed('unit', [settings.claimUnit, claim.unit]),
    inclusion: agreed('inclusion', [inclusion, ...headers.map(each => each.inclusion)]),
    independentTrials: settings.independent,
    group: settings.group,
    curve,
    dimension: agreed('dimension', [settings.dimension, ...headers.map(each => each.dimension)]),
  };
  const files = [claim.file, registration?.file].filter(file => file !== undefined);
  return { options, files };
}
