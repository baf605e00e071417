import type { StepOutcome } from './compare-stretch.ts';
import { finding, type Finding } from '../finding.ts';

/** What came of repeating steps picked at random. */
export interface RandomAnswer {
  /** What they were picked by. */
  readonly seed: string;
  /** Steps that could have been picked, of all under the key. */
  readonly repeatable: number;
  readonly of: number;
  /** Steps that were picked. */
  readonly picked: number;
  /** Steps trained, those on the way to the picked ones included. */
  readonly trained: number;
  /** Of the picked ones those that were repeated, in the order of the ledger. */
  readonly steps: readonly StepOutcome[];
}

/** What was picked and what came of it; of its own it says nothing against the run. */
export function outcomeNote(answer: RandomAnswer): Finding {
  const { seed, repeatable, of, picked, trained, steps } = answer;
  if (repeatable === 0) return nothingToRepeat(of);
  const repeated = steps.length === picked ? 'and repeated' : `and ${steps.length} of them repeated`;
  const start = `${picked} of ${repeatable} steps were picked at random by the seed ${JSON.stringify(seed)} ${repeated}, ${trained} with those on the way to them.`;
  const out =
    repeatable === of
      ? ''
      : ` ${of - repeatable} others under the key cannot be repeated: no checkpoint on their way is at hand.`;
  return finding('random-steps', [start + out, ...told(steps), ...chance(answer)].join(' '));
}

function nothingToRepeat(of: number): Finding {
  const text = `None of the ${of} steps under the key can be repeated: neither the start nor a checkpoint on their way is at hand.`;
  return finding('nothing-to-repeat', text, { level: 'warning' });
}

function told(steps: readonly StepOutcome[]): string[] {
  return outcomes.flatMap(({ holds, words }) => {
    const own = steps.filter(holds).map(({ step }) => step);
    if (own.length === 0) return [];
    return [`${own.length === 1 ? 'Step' : 'Steps'} ${own.join(', ')}: ${words}.`];
  });
}

const outcomes: readonly { holds: (step: StepOutcome) => boolean; words: string }[] = [
  {
    holds: ({ sum, noise }) => sum === true && noise === true,
    words: 'draw, clipped sum and noise are those of the ledger',
  },
  {
    holds: ({ sum, noise }) => sum === true && noise === null,
    words: 'draw and clipped sum are those of the ledger; the noise shows in nothing that follows',
  },
  {
    holds: ({ sum, noise }) => sum === true && noise === false,
    words: 'draw and clipped sum are those of the ledger, the noise or what was made of it is not',
  },
  { holds: ({ sum }) => sum === false, words: 'the clipped sum is not that of the ledger' },
  { holds: ({ sum }) => sum === null, words: 'nothing can be said, because a step before it differs' },
];

const share = 0.1;

/** What so many steps would have missed; each that was drawn without putting back misses no more. */
function chance({ steps, picked, repeatable }: RandomAnswer): string[] {
  const whole = steps.filter(({ sum, noise }) => sum === true && noise === true).length;
  if (whole < picked || whole === 0) return [];
  const missed = ((1 - share) ** whole * 100).toPrecision(2);
  return [
    `Had a share f of those ${repeatable} been made otherwise, ${whole} random ones would have missed them all with a chance of at most (1 - f)^${whole}: ${Number(missed)} % at f = ${share * 100} %.`,
  ];
}
