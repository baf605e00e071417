import type { Plan } from '../../../accounting/plan.ts';
import type { LedgerEntry } from '../../ledger.ts';
import { commitmentOf } from '../../randomness.ts';
import { compareRuns, type Compared } from './compare-runs.ts';
import { finding, type Finding } from '../finding.ts';
import { checkNoise } from './noise-samples.ts';
import { repeatRandomSteps } from './random-steps.ts';
import type { RandomAnswer } from './random-words.ts';
import { otherInputs, type ReplayInputs } from './replay-inputs.ts';
import { openCommitments, redraw } from './revealed-key.ts';
import { trainAgain } from './train-again.ts';

export type { ReplayInputs } from './replay-inputs.ts';

/** What the run's secret key, once revealed, made it possible to check. */
export interface ReplayAnswer {
  readonly findings: readonly Finding[];
  /** Steps whose draws were made again and found to be those of the ledger. */
  readonly drawsConfirmed: number;
  /** Steps whose noise, as the run saw itself add it, was made again and found to be the same. */
  readonly noiseConfirmed: number;
  /** Steps whose clipped sums were computed again and found to be those of the ledger. */
  readonly sumsConfirmed: number;
  /** Parameters after noise: checkpoints, and the final model, that came out the same. */
  readonly modelsConfirmed: number;
  /** What came of random steps; null where none were asked for. */
  readonly random: RandomAnswer | null;
}

/** What training again gave. */
type Training = Compared & Pick<ReplayAnswer, 'random'>;

const untrained: Training = { sumsConfirmed: 0, modelsConfirmed: 0, random: null, findings: [] };

/** Opens the commitments with a key, draws again, and trains again where there is something to train with. */
export async function replay(
  entries: readonly LedgerEntry[],
  options: {
    plan: Plan;
    key: Uint8Array;
    inputsFor?: ((plan: Plan) => Promise<ReplayInputs>) | undefined;
  },
): Promise<ReplayAnswer> {
  const { plan, key, inputsFor } = options;
  const opened = openCommitments(entries, key);
  if (opened !== undefined) return { ...untrained, drawsConfirmed: 0, noiseConfirmed: 0, findings: [opened] };
  const draws = redraw(entries, { plan, key });
  const noise = checkNoise(entries, { plan, key });
  const { drawsConfirmed } = draws;
  const { noiseConfirmed } = noise;
  const findings = [...draws.findings, ...noise.findings];
  const isRepeated = inputsFor !== undefined && draws.findings.length === 0;
  const trained = isRepeated ? await repeat(entries, { plan, key, inputsFor }) : untrained;
  return { ...trained, drawsConfirmed, noiseConfirmed, findings: [...findings, ...trained.findings] };
}

async function repeat(
  entries: readonly LedgerEntry[],
  options: { plan: Plan; key: Uint8Array; inputsFor: (plan: Plan) => Promise<ReplayInputs> },
): Promise<Training> {
  const { plan, key, inputsFor } = options;
  const [header] = entries;
  if (header?.kind === 'header' && header.version !== 3) return { ...untrained, findings: [earlierRelease] };
  const inputs = await inputsFor(plan);
  const stray = otherInputs(entries, { plan, inputs });
  if (stray !== undefined) return { ...untrained, findings: [stray] };
  const { random } = inputs;
  if (random !== undefined) return repeatRandomSteps(entries, { plan, key, inputs, random });
  if (!isFromStart(entries, key)) return { ...untrained, findings: [laterKey] };
  const trained = await trainAgain({ plan, key, inputs });
  return { ...compareRuns(entries, { trained, inputs }), random: null };
}

function isFromStart([header]: readonly LedgerEntry[], key: Uint8Array): boolean {
  return header?.kind === 'header' && header.noiseKeyCommitment === commitmentOf(key);
}

const earlierRelease = finding(
  'earlier-release',
  'The ledger was written by an earlier release, whose noise was laid out otherwise: nothing was repeated.',
  { level: 'warning' },
);

const laterKey = finding(
  'later-key',
  'The key is that of a later stretch of the run, which went on from a checkpoint: nothing was repeated. Random steps can be, from checkpoints that were kept.',
  { level: 'warning' },
);
