import type { Plan } from '../../accounting/plan.ts';
import type { NoisedEntry } from '../ledger.ts';
import { StepClip } from '../step-clip.ts';
import { about, type KeyedStep } from './course.ts';
import type { Finding } from './finding.ts';

/** Powers of e may differ in their last digits from machine to machine. */
const agreement = 1e-12;

/** Noise multiplier and clip of every line against the plan; an adaptive clip has to follow from the shares that were released. */
export class SettingsCheck {
  readonly #plan: Plan;
  readonly #noise: number[] = [];
  readonly #clip: number[] = [];
  /** Clips of the course, where they adapt. */
  readonly #course: number[] = [];
  #least: number;
  #most: number;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#least = plan.noiseMultiplier;
    this.#most = plan.noiseMultiplier;
  }

  /** The least and the most noise that the plan or a line states. */
  get noise(): readonly [least: number, most: number] {
    return [this.#least, this.#most];
  }

  add({ entry, line }: KeyedStep): void {
    const { noiseMultiplier, clipNorm, step } = entry;
    const plan = this.#plan;
    this.#least = Math.min(this.#least, noiseMultiplier);
    this.#most = Math.max(this.#most, noiseMultiplier);
    if (noiseMultiplier !== plan.noiseMultiplier) this.#noise.push(line);
    const expected = expectedClip(this.#course[step - 1], { entry, plan });
    if (!(Math.abs(clipNorm - expected) <= agreement * expected)) this.#clip.push(line);
    if (plan.clipping === undefined) return;
    this.#course.length = Math.min(this.#course.length, step);
    this.#course[step] = clipNorm;
  }

  findings(): Finding[] {
    const { noiseMultiplier, clipNorm, clipping } = this.#plan;
    const text =
      clipping === undefined
        ? `another clip than the plan's ${clipNorm}`
        : 'a clip that does not follow from the plan and the shares released before';
    return [
      ...about(
        this.#noise,
        'noise-differs',
        `state another noise multiplier than the plan's ${noiseMultiplier}`,
      ),
      ...about(this.#clip, 'clip-differs', `state ${text}`),
    ];
  }
}

/** The clip of a step after the one before it on its course; NaN where the ledger does not tell. */
function expectedClip(
  before: number | undefined,
  { entry, plan }: { entry: NoisedEntry; plan: Plan },
): number {
  if (plan.clipping === undefined || entry.step === 0) return plan.clipNorm;
  const { minimum, maximum } = plan.clipping;
  const { previousFraction } = entry;
  const isKnown = before !== undefined && before >= minimum && before <= maximum;
  if (!isKnown || previousFraction === undefined) return NaN;
  const clip = new StepClip(plan, { clipNorm: before });
  clip.move(previousFraction);
  return clip.norm;
}
