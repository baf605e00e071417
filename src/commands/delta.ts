import type { Command } from 'commander';
import { deltaOf } from '../../accounting/index.ts';
import { nonNegative, required } from '../arguments.ts';
import { createCommand, type CommonOptions, type Deliver } from '../command.ts';
import type { Answer } from '../output.ts';
import {
  addAccountantOptions,
  addMechanismOptions,
  addNeighboursOption,
  askingOf,
  boundFacts,
  computedBy,
  mechanismFacts,
  renderClaim,
  renderFacts,
  type AskingOptions,
} from './guarantee-options.ts';
import { mechanismOf, type MechanismOptions } from './sampling-event.ts';

const verb = 'compute delta';

interface DeltaOptions extends MechanismOptions, AskingOptions, CommonOptions {
  readonly epsilon?: number;
}

async function delta(options: DeltaOptions): Promise<Answer> {
  const mechanism = await mechanismOf(options, verb);
  const epsilon = required(options.epsilon, { verb, name: '--epsilon', example: '2' });
  const asking = askingOf(options, verb);
  const { delta: interval, byAccountant } = deltaOf(mechanism.event, { ...asking, epsilon });
  const at = `epsilon ${epsilon}`;
  const statement = renderFacts([
    ['Guarantee', renderClaim({ name: 'delta', interval, at, bounds: Object.values(byAccountant) })],
    ...mechanismFacts(mechanism, asking.neighbours),
    ...boundFacts('Accountant', byAccountant),
    computedBy,
  ]);
  return { text: statement, json: { epsilon, delta: interval, byAccountant, statement } };
}

/** `privacy-unit delta`: the failure probability at a given epsilon. */
export function deltaCommand(deliver: Deliver): Command {
  const command = createCommand('delta', {
    summary: 'delta of a given noise, sampling and number of steps at an epsilon',
    description:
      'Computes delta at a given epsilon, with certified bounds on both sides, for the mechanisms that epsilon takes.',
    examples: [
      'delta --epsilon 2 --noise-multiplier 1.1 --sampling-probability 0.01 --steps 1000 --neighbours add-or-remove',
      'delta --epsilon 8 --noise-multiplier 2 --sampling-probability 0.01 --steps 500 --group-size 10 --neighbours add-or-remove --json',
    ],
  });
  addMechanismOptions(command)
    .optionsGroup('Guarantee:')
    .option('--epsilon <e>', 'in nats, at least 0 (required)', nonNegative('--epsilon'));
  addAccountantOptions(addNeighboursOption(command));
  return command.action((options: DeltaOptions) => deliver(options, () => delta(options)));
}
