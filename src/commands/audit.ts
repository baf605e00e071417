import type { Command } from 'commander';
import { claimTemplate } from '../audit/claim-template.ts';
import { addCommonOptions, createCommand, type CommonOptions, type Deliver } from '../command.ts';
import { auditClaimCommand } from './audit-claim.ts';
import { auditLedgerCommand } from './audit-ledger.ts';
import { auditScoresCommand } from './audit-scores.ts';

function templateCommand(deliver: Deliver): Command {
  return createCommand('template', {
    summary: 'print an empty claim file, with what each field means',
    description:
      'Prints a claim file (YAML, schema dp-claim/1) in which nothing is stated yet. Fill in what was published; what stays null counts as "not stated", never as a default.',
    examples: ['audit template > claim.yaml', 'audit template --json'],
  }).action((options: CommonOptions) =>
    deliver(options, () => ({ text: claimTemplate(), json: { template: claimTemplate() } })),
  );
}

/** `privacy-unit audit`: takes a claim, the ledger of a training or the scores of canaries, and gives a verdict. */
export function auditCommand(deliver: Deliver): Command {
  const audit = createCommand('audit', {
    summary: 'check a claim of privacy, the ledger of a training, or the scores of canaries',
    description:
      'Gives a verdict with its reasons. Ends with exit code 3 where the claim is refuted or overstates the privacy, with 4 where nothing can be concluded.',
    examples: ['audit claim claim.yaml', 'audit scores scores.csv --epsilon 3 --delta 1e-6'],
  });
  for (const make of [auditClaimCommand, auditLedgerCommand, auditScoresCommand, templateCommand]) {
    audit.addCommand(addCommonOptions(make(deliver)));
  }
  return audit;
}
