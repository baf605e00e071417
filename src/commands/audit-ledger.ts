import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import { auditLedger, type LedgerAudit } from '../../trainer/index.ts';
import { fileDigest } from '../../selection/digest.ts';
import { delta, positive } from '../arguments.ts';
import { createCommand, type CommonOptions, type Deliver, type Surroundings } from '../command.ts';
import {
  addReportOptions,
  answerOf,
  checkReportTargets,
  writeReports,
  type ReportOptions,
} from '../audit/deliver.ts';
import {
  contradictedFacts,
  statedGuarantee,
  type LedgerClaimOptions,
  type StatedGuarantee,
} from '../audit/ledger-claim.ts';
import { addLedgerReplayOptions, ledgerReplay, type LedgerReplayOptions } from '../audit/ledger-replay.ts';
import type { AuditReport } from '../audit/report.ts';
import { readJson } from '../files.ts';
import type { Answer } from '../output.ts';

interface AuditLedgerCommandOptions
  extends CommonOptions, ReportOptions, LedgerClaimOptions, LedgerReplayOptions {
  readonly plan?: string;
  readonly key?: string;
  readonly manifest?: string;
  readonly significance?: number;
}

const keyBytes = 32;

function readKeyFile(path: string): Uint8Array {
  if (!existsSync(path))
    throw new DpError('MISSING_FILE', `Cannot read the key: there is no file ${path}. Check the name.`);
  const bytes = new Uint8Array(readFileSync(path));
  if (bytes.length === keyBytes) return bytes;
  throw new DpError(
    'INVALID_DATA',
    `Cannot read the key: ${path} has ${bytes.length} bytes. Give the secret.key of a run that kept it, ${keyBytes} bytes.`,
  );
}

async function reportOf(
  path: string,
  found: { audit: LedgerAudit; guarantee: StatedGuarantee },
): Promise<AuditReport> {
  const { audit, guarantee } = found;
  const { verdict, detail, statement, recomputed, questions, reasons, plan: _plan, ...details } = audit;
  const { claim, file } = guarantee;
  const { sha256 } = await fileDigest(path);
  const files = [{ path, sha256 }, ...(file === undefined ? [] : [file])];
  return {
    kind: 'ledger',
    subject: path,
    verdict,
    detail,
    statement,
    claimed: { epsilon: claim?.epsilon ?? null, delta: claim === undefined ? null : audit.delta },
    reasons: [...reasons, ...factsAgainst(found)],
    recomputed,
    explanation: coverageText(audit),
    questions,
    evidence: null,
    files,
    details,
  };
}

function coverageText({ checked, notChecked }: LedgerAudit): string {
  return `This audit checked ${listed(checked)}. It did not check ${listed(notChecked)}.`;
}

/** Items with commas of their own, as one list. */
function listed(items: readonly string[]): string {
  return items.length === 1 ? items.join('') : `${items.slice(0, -1).join('; ')}; and ${items.at(-1)}`;
}

/** Facts of a published claim against the plan in the ledger, where the chain holds. */
function factsAgainst({
  audit,
  guarantee,
}: {
  audit: LedgerAudit;
  guarantee: StatedGuarantee;
}): AuditReport['reasons'] {
  const { published } = guarantee;
  if (published === undefined || !audit.chain.holds || audit.plan === null) return [];
  return contradictedFacts(published, audit.plan);
}

/** A chain that does not hold is a check that failed, whatever else can be said. */
function brokenChain({ chain }: LedgerAudit): DpError | undefined {
  if (chain.broken === null) return undefined;
  return new DpError(
    'CHECK_FAILED',
    `Cannot trust the ledger: ${chain.broken.text.replace(/\.$/, '')}. Ask for an unchanged copy; nothing is concluded from this one.`,
  );
}

async function audit(
  path: string,
  options: AuditLedgerCommandOptions,
  surroundings: Surroundings,
): Promise<Answer> {
  checkReportTargets(options);
  const { plan, key, manifest, significance } = options;
  const guarantee = statedGuarantee(options);
  if (options.table !== undefined && key === undefined)
    throw new DpError(
      'INVALID_ARGUMENT',
      'Cannot repeat the run: --table comes without --key. Give the secret.key of a run that kept it.',
    );
  const found = await auditLedger(path, {
    claim: guarantee.claim,
    plan: plan === undefined ? undefined : readJson(plan, 'the plan'),
    key: key === undefined ? undefined : readKeyFile(key),
    replay: ledgerReplay(options, surroundings),
    manifest,
    significance,
  });
  const report = await reportOf(path, { audit: found, guarantee });
  await writeReports(report, options, surroundings.signal);
  const answer = answerOf(report, options);
  return { ...answer, failure: brokenChain(found) ?? answer.failure };
}

/** `privacy-unit audit ledger`. */
export function auditLedgerCommand(deliver: Deliver): Command {
  const command = createCommand('ledger', {
    summary: 'check the ledger of a training against its plan and a claim',
    description:
      'Checks the hash chain, the order and number of steps, the settings, and the sizes of draws against the planned sampler; computes epsilon anew, and compares it with what was claimed. With the secret key of a run that kept it, draws are made again; with table and model as well, the run is repeated. Ends with exit code 3 where the chain does not hold, the ledger refutes its plan or the claim overstates the privacy, with 4 where lines or facts are missing. A ledger proves order and integrity, not honesty.',
    examples: [
      'audit ledger run/ledger.jsonl --claim run/statement.json',
      'audit ledger run/ledger.jsonl --epsilon 8 --delta 1e-5 --key run/secret.key --json',
    ],
  })
    .argument('<FILE>', 'ledger.jsonl of a run')
    .optionsGroup('Claim:')
    .option('--claim <file>', 'statement.json of a run, or a claim file (default: the plan alone)')
    .option('--epsilon <e>', 'claimed epsilon, instead of --claim', positive('--epsilon'))
    .option('--delta <d>', 'its delta (default: that of the plan)', delta('--delta'))
    .optionsGroup('Evidence:')
    .option('--plan <file>', 'plan of the run (default: the one in the ledger)')
    .option('--key <file>', 'secret key of the run, revealed to you (default: commitments stay closed)')
    .option('--manifest <file>', 'manifest of the selected table (default: not checked)')
    .option(
      '--significance <a>',
      'chance at most that honest draws are refuted, between 0 and 1 (default: 1e-6)',
      delta('--significance'),
    );
  return addReportOptions(addLedgerReplayOptions(command)).action(
    (path: string, options: AuditLedgerCommandOptions) =>
      deliver(options, surroundings => audit(path, options, surroundings)),
  );
}
