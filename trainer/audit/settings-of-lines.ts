import type { Plan } from '../../accounting/plan.ts';
import type { NoisedEntry } from '../ledger.ts';
import { StepClip } from '../step-clip.ts';
import { about, type KeyedStep } from './course.ts';
import type { Finding } from './finding.ts';

/** Powers of e may differ in their last digits from machine to machine. */
const agreement = 1e-12;

/** Noise multiplier and clip of every line against the plan; an adaptive clip has to follow from the shares that were released. */
export function checkSettings(steps: readonly KeyedStep[], plan: Plan): Finding[] {
  const noise = steps.filter(({ entry }) => entry.noiseMultiplier !== plan.noiseMultiplier);
  const text =
    plan.clipping === undefined
      ? `another clip than the plan's ${plan.clipNorm}`
      : 'a clip that does not follow from the plan and the shares released before';
  return [
    ...about(
      linesOf(noise),
      'noise-differs',
      `state another noise multiplier than the plan's ${plan.noiseMultiplier}`,
    ),
    ...about(linesOf(straysFrom(steps, plan)), 'clip-differs', `state ${text}`),
  ];
}

function linesOf(steps: readonly KeyedStep[]): number[] {
  return steps.map(({ line }) => line);
}

function straysFrom(steps: readonly KeyedStep[], plan: Plan): KeyedStep[] {
  const course: NoisedEntry[] = [];
  return steps.filter(({ entry }) => {
    const expected = expectedClip(course[entry.step - 1], { entry, plan });
    course.length = Math.min(course.length, entry.step);
    course[entry.step] = entry;
    return !(Math.abs(entry.clipNorm - expected) <= agreement * expected);
  });
}

/** The clip of a step after the one before it on its course; NaN where the ledger does not tell. */
function expectedClip(
  before: NoisedEntry | undefined,
  { entry, plan }: { entry: NoisedEntry; plan: Plan },
): number {
  if (plan.clipping === undefined || entry.step === 0) return plan.clipNorm;
  const { minimum, maximum } = plan.clipping;
  const { previousFraction } = entry;
  const isKnown = before !== undefined && before.clipNorm >= minimum && before.clipNorm <= maximum;
  if (!isKnown || previousFraction === undefined) return NaN;
  const clip = new StepClip(plan, { clipNorm: before.clipNorm });
  clip.move(previousFraction);
  return clip.norm;
}
