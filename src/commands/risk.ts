import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import { attackRisk, flattenEvent, type AttackRisk, type DpEvent } from '../../accounting/index.ts';
import { delta, rates } from '../arguments.ts';
import { createCommand, type CommonOptions, type Deliver } from '../command.ts';
import { renderInterval, renderTable, upward, type Answer } from '../output.ts';
import {
  addGapOption,
  addMechanismOptions,
  addNeighboursOption,
  askingOf,
  computedBy,
  mechanismFacts,
  renderFacts,
  type AskingOptions,
  type Fact,
} from './guarantee-options.ts';
import { mechanismOf, type MechanismOptions } from './sampling-event.ts';

const verb = 'compute the attack risk';

interface RiskOptions extends MechanismOptions, AskingOptions, CommonOptions {
  readonly fpr: readonly number[];
  readonly prior: number;
}

/** Bounds from below alone would come out as an attacker who always succeeds. */
function refuseUnbounded(event: DpEvent): void {
  const shuffled = flattenEvent(event).find(part => part.event.kind === 'shuffled-gaussian');
  if (shuffled === undefined) return;
  throw new DpError(
    'UNSUPPORTED_EVENT',
    `Cannot ${verb}: no upper bound is known for ${shuffled.event.kind}. Give another sampling, such as --sampling balls-in-bins.`,
  );
}

function renderRates({ truePositiveRates }: AttackRisk): string {
  const align = 'right' as const;
  return renderTable(
    [
      { title: 'false positive rate', align },
      { title: 'true positive rate at most', align },
    ],
    truePositiveRates.map(({ falsePositiveRate, upper }) => [String(falsePositiveRate), upward(upper)]),
  );
}

function statement(found: AttackRisk, about: readonly Fact[]): string {
  const { advantage, bayesError, prior } = found;
  const facts = renderFacts([
    ['Attacker', 'anybody who sees all releases and tells two neighbouring tables apart'],
    [
      'Advantage',
      `at most ${upward(advantage.upper)} (the best attacker's is in ${renderInterval(advantage)})`,
    ],
    [
      'Bayes error',
      `at prior ${prior} the best guess is wrong with probability in ${renderInterval(bayesError)}`,
    ],
    ...about,
    computedBy,
  ]);
  const note = 'Rates are upper bounds on any attacker who sees all releases; no actual attack does better.';
  return [facts, '', renderRates(found), '', note].join('\n');
}

async function risk(options: RiskOptions): Promise<Answer> {
  const mechanism = await mechanismOf(options, verb);
  const { neighbours, relativeGap } = askingOf(options, verb);
  refuseUnbounded(mechanism.event);
  const { fpr: falsePositiveRates, prior } = options;
  const found = attackRisk(mechanism.event, { neighbours, relativeGap, falsePositiveRates, prior });
  const { advantage, truePositiveRates, bayesError } = found;
  const tprAtFpr = Object.fromEntries(
    truePositiveRates.map(({ falsePositiveRate, upper }) => [String(falsePositiveRate), upper]),
  );
  const text = statement(found, mechanismFacts(mechanism, neighbours));
  const bounds = { advantageBounds: advantage, bayesError };
  return {
    text,
    json: { advantage: advantage.upper, tprAtFpr, ...bounds, prior: found.prior, statement: text },
  };
}

/** `privacy-unit risk`: what a guarantee means for an attacker. */
export function riskCommand(deliver: Deliver): Command {
  const command = createCommand('risk', {
    summary: 'how well any attacker can tell who took part',
    description:
      'Bounds the advantage, the detection rates and the Bayes error of every membership attack, for the mechanisms that epsilon takes, except shuffled batches.',
    examples: [
      'risk --noise-multiplier 1.1 --sampling-probability 0.01 --steps 1000 --neighbours add-or-remove',
      'risk --sampling none --noise-multiplier 5 --steps 10 --fpr 0.01,0.001 --prior 0.1 --neighbours replace --json',
    ],
  });
  addMechanismOptions(command)
    .optionsGroup('Attacker:')
    .option(
      '--fpr <list>',
      'shares of non-members that may be accused, in (0, 1), commas between',
      rates('--fpr'),
      [0.01, 0.001, 0.0001],
    )
    .option('--prior <p>', 'belief beforehand that the unit took part, in (0, 1)', delta('--prior'), 0.5);
  addGapOption(addNeighboursOption(command));
  return command.action((options: RiskOptions) => deliver(options, () => risk(options)));
}
