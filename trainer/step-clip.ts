import { DpError } from '../accounting/check.ts';
import type { Plan } from '../accounting/plan.ts';

/** Where the clip of a run stands: public, because it follows from what was released. */
export interface ClipState {
  /** Of the step to come. */
  readonly clipNorm: number;
  /** Noised share of units within the clip, released by the step before; absent where nothing was released yet. */
  readonly previousFraction?: number | undefined;
}

/**
 * The clip of a run from step to step. A fixed one stays; an adaptive one moves with each noised share and stays within
 * its bounds.
 *
 * @throws DpError `CHECK_FAILED` where the state to go on from is not one of the plan's
 */
export class StepClip {
  readonly #plan: Pick<Plan, 'clipNorm' | 'clipping'>;
  #state: ClipState;

  /** @param from - where a run that was cut off stood; the plan's first clip where left out */
  constructor(plan: Pick<Plan, 'clipNorm' | 'clipping'>, from?: ClipState) {
    this.#plan = plan;
    this.#state = from ?? { clipNorm: plan.clipNorm };
    if (!isOf(plan, this.#state)) throw notOf(plan, this.#state);
  }

  /** What units are clipped to in the step to come. */
  get norm(): number {
    return this.#state.clipNorm;
  }

  get state(): ClipState {
    return this.#state;
  }

  /** What a checkpoint has to keep: nothing of a fixed clip. */
  get kept(): ClipState | undefined {
    return this.#plan.clipping === undefined ? undefined : this.#state;
  }

  /**
   * Follows a noised share of units within the clip: clip × exp(-learningRate × (share - targetQuantile)), within the bounds.
   *
   * @param fraction - finite; noise can take it below 0 and above 1
   */
  move(fraction: number): void {
    const { clipping } = this.#plan;
    if (clipping === undefined) return;
    const { learningRate, targetQuantile, minimum, maximum } = clipping;
    const moved = this.norm * Math.exp(-learningRate * (fraction - targetQuantile));
    this.#state = { clipNorm: Math.min(Math.max(moved, minimum), maximum), previousFraction: fraction };
  }
}

/**
 * Where the clip of a run that goes on from a checkpoint stood; undefined at the very start and for a fixed one.
 *
 * @throws DpError `CHECK_FAILED` where an adaptive clip was not kept
 */
export function clipAt(
  { clipping }: Pick<Plan, 'clipping'>,
  from: { step: number; clip?: ClipState | undefined } | undefined,
): ClipState | undefined {
  if (clipping === undefined || from === undefined || from.clip !== undefined) return from?.clip;
  throw new DpError(
    'CHECK_FAILED',
    `Cannot go on from the checkpoint: that of step ${from.step} does not say where the adaptive clip stood. ` +
      'Start anew in another folder, counting the steps of this one too.',
  );
}

function isOf({ clipNorm, clipping }: Pick<Plan, 'clipNorm' | 'clipping'>, state: ClipState): boolean {
  if (clipping === undefined) return state.clipNorm === clipNorm;
  return state.clipNorm >= clipping.minimum && state.clipNorm <= clipping.maximum;
}

function notOf({ clipNorm, clipping }: Pick<Plan, 'clipNorm' | 'clipping'>, state: ClipState): DpError {
  const planned =
    clipping === undefined ? `${clipNorm}` : `between ${clipping.minimum} and ${clipping.maximum}`;
  return new DpError(
    'CHECK_FAILED',
    `Cannot go on with the clip: it stood at ${state.clipNorm}, the plan has it ${planned}. ` +
      'Start anew in another folder, counting the steps of this one too.',
  );
}
