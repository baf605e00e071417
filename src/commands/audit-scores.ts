import type { Command } from 'commander';
import { auditScores, scoreMethods } from '../../accounting/audit/index.ts';
import { DpError } from '../../accounting/check.ts';
import { type TableFormat, tableFormats } from '../../selection/index.ts';
import { type ArgumentParser, choice, count, nonNegative, positive, share } from '../arguments.ts';
import {
  addReportOptions,
  answerOf,
  checkReportTargets,
  type ReportOptions,
  writeReports,
} from '../audit/deliver.ts';
import { type ClaimOptions, testedClaim } from '../audit/scores-claim.ts';
import { readScores } from '../audit/scores-file.ts';
import { scoresReport } from '../audit/scores-report.ts';
import { scoreOptions, type ScoreSettings } from '../audit/scores-settings.ts';
import { type CommonOptions, createCommand, type Deliver, type Surroundings } from '../command.ts';
import type { Answer } from '../output.ts';

interface AuditScoresOptions extends CommonOptions, ReportOptions, ClaimOptions, ScoreSettings {
  readonly format?: TableFormat;
}

async function audit(path: string, options: AuditScoresOptions, { signal }: Surroundings): Promise<Answer> {
  checkReportTargets(options);
  const claim = testedClaim(options);
  const { scores, header, file } = await readScores(path, { format: options.format, signal });
  const settled = scoreOptions(options, { claim, header, canaries: scores.score.length });
  const subject = claim.subject ?? path;
  const report = scoresReport(auditScores(scores, settled.options), {
    subject,
    files: [file, ...settled.files],
    isRegisteredBeside: header.cut !== undefined,
  });
  await writeReports(report, options, signal);
  return answerOf(report, options);
}

/** Finite numbers, separated by commas. */
const finites: ArgumentParser<number[]> = text =>
  text.split(',').map(part => {
    const value = part.trim() === '' ? Number.NaN : Number(part);
    if (Number.isFinite(value)) return value;
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot read the command line: --grid has ${JSON.stringify(part)}. Give finite numbers, such as 1,0.5,0.25.`,
    );
  });

const units = ['user', 'record'] as const;

function addClaimOptions(command: Command): Command {
  return command
    .optionsGroup('Claim:')
    .option('--claim <file>', 'the claim (YAML or JSON); with --method f-dp its own settings are tested')
    .option('--epsilon <number>', 'claimed epsilon in nats, instead of --claim', nonNegative('--epsilon'))
    .option('--delta <number>', 'claimed delta, in [0, 1)', share('--delta'))
    .option(
      '--claim-unit <kind>',
      `what the claim protects: ${units.join(' or ')} (default: as the claim says, else as --unit)`,
      choice('--claim-unit', units),
    );
}

function addTestOptions(command: Command): Command {
  return command
    .optionsGroup('Test:')
    .option(
      '--method <name>',
      `${scoreMethods.join(', ')} (default: one-run)`,
      choice('--method', scoreMethods),
    )
    .option(
      '--significance <p>',
      'probability of a false refutation, in (0, 0.5) (default: 0.05)',
      positive('--significance'),
    )
    .option('--preregistered <file>', 'k_plus and k_minus, or threshold, fixed before the scores were seen')
    .option('--split', 'choose the cut on one half of the canaries, test on the other')
    .option(
      '--grid <list>',
      'fixed cuts, each at its share of the significance: shares of the canaries guessed at, or thresholds for the other methods (default: shares 1, 1/2, ... 1/128; thresholds by --split)',
      finites,
    )
    .option('--dimension <count>', 'number of parameters, for one-shot', count('--dimension'));
}

function addCanaryOptions(command: Command): Command {
  const inclusions = ['coins', 'fixed'] as const;
  return command
    .optionsGroup('Canaries:')
    .option(
      '--unit <kind>',
      `what one canary is: ${units.join(' or ')} (default: as the file says, else as the claim)`,
      choice('--unit', units),
    )
    .option(
      '--inclusion <how>',
      'how canaries were chosen to go in: coins (a fair one each) or fixed (default: as the file says)',
      choice('--inclusion', inclusions),
    )
    .option('--independent', 'each row is a training of its own (default: where run_id says so)')
    .option(
      '--group',
      'hold canaries with repeats against the epsilon of such a group (default: refuse them)',
    )
    .option(
      '--format <name>',
      `${tableFormats.join(', ')} (default: by the file's extension)`,
      choice('--format', tableFormats),
    );
}

/** `privacy-unit audit scores`. */
export function auditScoresCommand(deliver: Deliver): Command {
  const command = createCommand('scores', {
    summary: 'hold the scores of canaries against a claim',
    description:
      'Reads the columns canary, included, score and maybe unit, repeats, run_id. A proved lower bound above the claim refutes it; nothing confirms it. Ends with exit code 3 where the claim is refuted, with 4 where these scores could not have refuted it.',
    examples: [
      'audit scores scores.csv --epsilon 3 --delta 1e-6',
      'audit scores scores.arrow --claim claim.yaml --method f-dp --preregistered cut.yaml --json',
    ],
  }).argument('<FILE>', 'the scores');
  addCanaryOptions(addTestOptions(addClaimOptions(command)));
  return addReportOptions(command).action((path: string, options: AuditScoresOptions) =>
    deliver(options, surroundings => audit(path, options, surroundings)),
  );
}
