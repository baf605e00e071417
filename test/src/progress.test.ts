import { describe, expect, it } from 'vitest';
import { createProgress, duration, progressLine } from '../../src/progress.ts';

function fakeStream(isTTY: boolean): {
  isTTY: boolean;
  columns: number;
  written: string[];
  write(text: string): void;
} {
  const written: string[] = [];
  return { isTTY, columns: 80, written, write: text => void written.push(text) };
}

it('duration() is readable and never too short', () => {
  expect([0.2, 59.1, 75, 3700, Infinity].map(duration)).toEqual([
    '1 s',
    '1 min 0 s',
    '1 min 15 s',
    '1 h 1 min',
    'unknown',
  ]);
});

it('progressLine() tells rate and time left', () => {
  const standing = { label: 'training', done: 40, total: 100, unit: 'steps', detail: 'epsilon 3.1' };
  expect(progressLine(standing, 5)).toBe('training: 40 of 100 steps, 8.0 steps/s, 8 s left, epsilon 3.1');
  expect(progressLine({ ...standing, done: 0 }, 0)).toBe('training: 0 of 100 steps, epsilon 3.1');
});

describe('createProgress()', () => {
  const standing = { label: 'training', done: 1, total: 10, unit: 'steps' };

  it('writes nothing where no terminal reads, nor when asked to be quiet', () => {
    for (const [tty, quiet] of [
      [false, false],
      [true, true],
    ] as const) {
      const stream = fakeStream(tty);
      const progress = createProgress(stream, { quiet });
      progress.update(standing);
      progress.stage('planning');
      progress.clear();
      expect(stream.written).toEqual([]);
    }
  });

  it('rewrites one line, at most ten times a second, and always draws the end', () => {
    let time = 0;
    const stream = fakeStream(true);
    const progress = createProgress(stream, { now: () => time });
    for (let done = 1; done <= 10; done++) {
      time += 20;
      progress.update({ ...standing, done });
    }
    expect(stream.written).toHaveLength(3);
    expect(stream.written.every(text => text.startsWith('\r\u001b[2K') && !text.includes('\n'))).toBe(true);
    expect(stream.written.at(-1)).toContain('10 of 10 steps');
  });

  it('never draws a line as wide as the terminal', () => {
    const stream = fakeStream(true);
    createProgress(stream).update({ ...standing, detail: 'x'.repeat(200) });
    expect(stream.written[0]!.length).toBeLessThanOrEqual('\r\u001b[2K'.length + 79);
  });
});
