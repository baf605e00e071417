import type { Plan } from '../../accounting/plan.ts';
import type { HeaderEntry, LedgerEntry } from '../ledger.ts';
import { auditedPlan, type AuditedPlan } from './audited-plan.ts';
import { DrawRepeats, DrawRuns, OrderCheck, PointCheck, StepReader } from './course.ts';
import { SettingsCheck } from './settings-of-lines.ts';
import { EpsilonCheck } from './spent-epsilon.ts';

/** What lines are held against that have a plan. */
export interface PlanChecks {
  readonly settings: SettingsCheck;
  readonly draws: DrawRuns;
  readonly repeats: DrawRepeats;
  readonly along: EpsilonCheck;
}

function checksOf(plan: Plan): PlanChecks {
  return {
    settings: new SettingsCheck(plan),
    draws: new DrawRuns(plan),
    repeats: new DrawRepeats(),
    along: new EpsilonCheck(),
  };
}

/** Takes a ledger in line by line. The lines themselves are kept only where there is a key to open them with. */
export class LedgerReading {
  header: HeaderEntry | undefined;
  audited: AuditedPlan = { plan: undefined, findings: [] };
  /** Undefined without a plan. */
  against: PlanChecks | undefined;
  readonly entries: LedgerEntry[] = [];
  readonly order: OrderCheck = new OrderCheck();
  readonly points: PointCheck = new PointCheck();
  readonly #steps = new StepReader();
  readonly #given: unknown;
  readonly #keepsLines: boolean;

  /** @param options - plan: one that was given; key: of the run */
  constructor({ plan, key }: { plan?: unknown; key?: Uint8Array | undefined }) {
    this.#given = plan;
    this.#keepsLines = key !== undefined;
  }

  add(entry: LedgerEntry, line: number): void {
    if (entry.kind === 'header') this.#open(entry);
    if (this.#keepsLines) this.entries.push(entry);
    this.order.add(entry, line);
    const step = this.#steps.read(entry, line);
    if (step === undefined) return;
    this.points.add(step);
    const { settings, draws, repeats, along } = this.against ?? {};
    settings?.add(step);
    draws?.add(step);
    repeats?.add(step);
    along?.add(step);
  }

  #open(header: HeaderEntry): void {
    this.header = header;
    this.audited = auditedPlan(header, this.#given);
    const { plan } = this.audited;
    if (plan !== undefined) this.against = checksOf(plan);
  }
}
