/** Where to look for a threshold. */
export interface ThresholdOptions {
  /** First guess. */
  readonly start: number;
  /** Guess of the slope, < 0. */
  readonly slope: number;
  /** Values in [-tolerance, 0] are close enough. */
  readonly tolerance: number;
  /** No argument outside is tried. */
  readonly limits: readonly [least: number, most: number];
}

/** An argument that was tried and its value. */
export interface Trial {
  readonly at: number;
  readonly value: number;
}

/**
 * An argument at which a decreasing function is at most 0, by as little as `tolerance` where it can be.
 *
 * For expensive functions: secants inside a bracket that only ever shrinks, a bisection where a secant gains too little.
 * The value returned was computed at the argument returned, so nothing is claimed of points between.
 *
 * @param evaluate - decreasing; infinite values are allowed, NaN is not
 * @returns the trial; its value is > 0 only where the upper limit is still too low
 * @example
 * ```ts
 * const trial = findThreshold(x => 3 - x, { start: 1, slope: -1, tolerance: 1e-3, limits: [0, 10] });
 * trial.at; // ~3.000
 * trial.value <= 0; // true
 * ```
 */
export function findThreshold(evaluate: (at: number) => number, options: ThresholdOptions): Trial {
  const [least, most] = options.limits;
  const within = (at: number): number => Math.min(most, Math.max(least, at));
  let state = record({}, trialAt(evaluate, within(options.start)));
  for (let tries = 0; tries < 100; tries += 1) {
    const { below, above } = state;
    if (above !== undefined && above.value >= -options.tolerance) return above;
    if (above !== undefined && above.at <= least) return above;
    if (below !== undefined && below.at >= most) return below;
    const next = within(nextGuess(state, options));
    if (next === below?.at || next === above?.at) break;
    state = record(state, trialAt(evaluate, next));
  }
  return state.above ?? state.below!;
}

/** The bracket: the last trial that was too low, the last that was high enough, and the two latest of all. */
interface State {
  readonly below?: Trial;
  readonly above?: Trial;
  readonly latest?: Trial;
  readonly former?: Trial;
}

function trialAt(evaluate: (at: number) => number, at: number): Trial {
  return { at, value: evaluate(at) };
}

function record(state: State, trial: Trial): State {
  const former = state.latest === undefined ? {} : { former: state.latest };
  const side = trial.value > 0 ? { below: trial } : { above: trial };
  return { ...state, ...former, latest: trial, ...side };
}

/** Aims a quarter of the tolerance inside, so that the next trial is likely to be the last. */
function nextGuess(state: State, options: ThresholdOptions): number {
  const { below, above } = state;
  const aim = -options.tolerance / 4;
  const guess = secant(state, options, aim);
  if (below === undefined || above === undefined) return guess;
  const width = above.at - below.at;
  const isInside = guess > below.at + width * 1e-4 && guess < above.at;
  return isInside ? guess : below.at + width / 2;
}

function secant({ latest, former }: State, { slope }: ThresholdOptions, aim: number): number {
  const { at, value } = latest!;
  if (!Number.isFinite(value)) return at + Math.sign(value) * longestStride;
  const measured = former === undefined ? slope : (value - former.value) / (at - former.at);
  const steep = measured < slope / 50 && Number.isFinite(measured) ? measured : slope;
  return at + Math.max(-longestStride, Math.min(longestStride, (aim - value) / steep));
}

const longestStride = 2;
