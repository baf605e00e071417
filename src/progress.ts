/** What progress needs of standard error. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Where a task stands: `done` of `total` in its own units. */
export interface Standing {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  readonly detail?: string;
}

/** One rewritten line on a terminal, silence anywhere else. */
export interface Progress {
  update(standing: Standing): void;
  /** Announces a stage without a measure of its own. */
  stage(label: string): void;
  clear(): void;
}

const redrawMilliseconds = 100;

/** `75` as `1 min 15 s`; whole seconds, rounded up so that a wait is never promised too short. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'unknown';
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes} min ${whole % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `label: 40 of 100 steps, 8.2 steps/s, 8 s left, detail`. */
export function progressLine(standing: Standing, elapsedSeconds: number): string {
  const { label, done, total, unit, detail } = standing;
  const rate = elapsedSeconds > 0 ? done / elapsedSeconds : 0;
  const parts = [`${label}: ${done} of ${total} ${unit}`];
  if (rate > 0) parts.push(`${rate.toPrecision(2)} ${unit}/s`, `${duration((total - done) / rate)} left`);
  if (detail !== undefined) parts.push(detail);
  return parts.join(', ');
}

/** Progress on `stream`; the clock is an argument so that tests need not wait. */
export function createProgress(
  stream: ProgressStream,
  { now = Date.now, quiet = false }: { now?: () => number; quiet?: boolean } = {},
): Progress {
  if (stream.isTTY !== true || quiet) return { update() {}, stage() {}, clear() {} };
  let label = '';
  let startedAt = 0;
  let drawnAt = -Infinity;
  const draw = (line: string): void => {
    stream.write(`\r\u001b[2K${line.slice(0, (stream.columns ?? 100) - 1)}`);
  };
  return {
    update(standing) {
      const time = now();
      if (standing.label !== label) [label, startedAt, drawnAt] = [standing.label, time, -Infinity];
      if (time - drawnAt < redrawMilliseconds && standing.done < standing.total) return;
      drawnAt = time;
      draw(progressLine(standing, (time - startedAt) / 1000));
    },
    stage(text) {
      draw(`${text} …`);
    },
    clear() {
      stream.write('\r\u001b[2K');
    },
  };
}

/** Shows the steps of a training run, with its loss where there is one. */
export function trainingProgress(
  progress: Progress,
  label: string,
): (standing: { step: number; steps: number; loss: number | null }) => void {
  return ({ step, steps, loss }) =>
    progress.update({
      label,
      done: step,
      total: steps,
      unit: 'steps',
      ...(loss === null ? {} : { detail: `loss ${loss.toFixed(3)}` }),
    });
}
