import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import { epsilonOf, groupEpsilon, type Bound, type Interval } from '../../accounting/index.ts';
import type { Check } from '../../accounting/referee.ts';
import { createCommand, type CommonOptions, type Deliver } from '../command.ts';
import { renderInterval, upward, type Answer } from '../output.ts';
import {
  addAccountantOptions,
  addDeltaOption,
  addMechanismOptions,
  addNeighboursOption,
  askingOf,
  boundFacts,
  computedBy,
  deltaOption,
  mechanismFacts,
  renderClaim,
  renderFacts,
  type Asking,
  type AskingOptions,
} from './guarantee-options.ts';
import { mechanismOf, type Mechanism, type MechanismOptions } from './sampling-event.ts';

const verb = 'compute epsilon';

interface EpsilonOptions extends MechanismOptions, AskingOptions, CommonOptions {
  readonly delta?: number;
  readonly check?: true;
}

interface Question extends Asking {
  readonly delta: number;
}

interface Finding {
  readonly epsilon: Interval;
  readonly byAccountant: Readonly<Record<string, Bound>>;
  readonly byConversion?: Readonly<Record<string, Bound>>;
}

function find({ event, group }: Mechanism, question: Question): Finding {
  return group === undefined ? epsilonOf(event, question) : groupEpsilon({ ...group, ...question });
}

function refuseCheckOfEstimate({ check, accountant }: EpsilonOptions): void {
  if (check !== true || accountant !== 'gdp') return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: --check compares bounds, and --accountant gdp has none. Leave one of them out.`,
  );
}

/** Asks the referee, whose arithmetic takes long to load, and accepts no contradiction. */
async function checked(
  { event }: Mechanism,
  { delta, neighbours }: Question,
  epsilon: Interval,
): Promise<Check> {
  const { checkWithReferee } = await import('../../accounting/referee.ts');
  const check = checkWithReferee(event, { delta, neighbours, epsilon });
  if (check.agrees) return check;
  throw new DpError(
    'CHECK_FAILED',
    `Cannot confirm epsilon: the referee has ${check.digits} (${check.detail}), which contradicts ${renderInterval(epsilon)}. Report this; it is a defect.`,
  );
}

function renderCheck({ method, epsilon, digits, detail }: Check): string {
  if (method === 'exact') return `confirmed, the truth is ${digits} (${detail})`;
  if (method === 'rdp') return `not contradicted, at most ${upward(epsilon.upper)} (${detail})`;
  return `nothing to compare with (${detail})`;
}

interface Told {
  readonly mechanism: Mechanism;
  readonly question: Question;
  readonly finding: Finding;
  readonly check?: Check;
}

function statement({ mechanism, question, finding, check }: Told): string {
  const { epsilon: interval, byAccountant, byConversion = {} } = finding;
  const at = `delta ${question.delta}`;
  const bounds = [...Object.values(byAccountant), ...Object.values(byConversion)];
  return renderFacts([
    ['Guarantee', renderClaim({ name: 'epsilon', interval, at, bounds })],
    ...mechanismFacts(mechanism, question.neighbours),
    ...boundFacts('Accountant', byAccountant),
    ...boundFacts('Conversion', byConversion),
    ...(check === undefined ? [] : ([['Check', renderCheck(check)]] as const)),
    computedBy,
  ]);
}

async function epsilon(options: EpsilonOptions): Promise<Answer> {
  refuseCheckOfEstimate(options);
  const mechanism = await mechanismOf(options, verb);
  const question = { delta: deltaOption(options.delta, verb), ...askingOf(options, verb) };
  const finding = find(mechanism, question);
  const check = options.check === true ? { check: await checked(mechanism, question, finding.epsilon) } : {};
  const text = statement({ mechanism, question, finding, ...check });
  const { event } = mechanism;
  return { text, json: { delta: question.delta, ...finding, event, ...check, statement: text } };
}

/** `privacy-unit epsilon`: what a given noise buys. */
export function epsilonCommand(deliver: Deliver): Command {
  const command = createCommand('epsilon', {
    summary: 'epsilon of a given noise, sampling and number of steps',
    description:
      'Computes epsilon with certified bounds on both sides for steps of the Gaussian mechanism over sampled batches, or for any mechanism given as JSON. Of shuffled batches only a lower bound is known.',
    examples: [
      'epsilon --noise-multiplier 1.1 --sampling-probability 0.01 --steps 1000 --delta 1e-6 --neighbours add-or-remove',
      'epsilon --sampling balls-in-bins --noise-multiplier 1 --steps 100 --epochs 5 --delta 1e-5 --neighbours zero-out --json',
    ],
  });
  addAccountantOptions(addNeighboursOption(addDeltaOption(addMechanismOptions(command)))).option(
    '--check',
    'compare with a slow referee in decimal arithmetic; exit code 3 where it disagrees (default: off)',
  );
  return command.action((options: EpsilonOptions) => deliver(options, () => epsilon(options)));
}
