import { describe, expect, it } from 'vitest';
import { breakEvenLines, renderLine, type BreakEvenLine } from '../../../src/study/break-even.ts';
import { summarise } from '../../../src/study/summary.ts';
import { baselineResult, privateResult } from './made-up.ts';

/** Group Privacy has 5 at k 2 and 10; User-wise DP-SGD 6 at k 2 and 2 at k 10; two runs each, `spread` apart. */
function crossingRuns(spread: number): ReturnType<typeof privateResult>[] {
  return [2, 10].flatMap(recordsPerUser =>
    [1, 2].flatMap(repetition => {
      const shift = repetition === 1 ? spread : -spread;
      const user = recordsPerUser === 2 ? 6 : 2;
      return [
        privateResult({ mechanism: 'group-privacy', recordsPerUser }, { repetition, byUser: 5 + shift }),
        privateResult({ mechanism: 'user-wise', recordsPerUser }, { repetition, byUser: user }),
      ];
    }),
  );
}

function alongK(lines: readonly BreakEvenLine[]): BreakEvenLine {
  return lines.find(({ axis, measure }) => axis === 'recordsPerUser' && measure === 'byUser')!;
}

describe('breakEvenLines()', () => {
  it('finds where the mechanisms pass each other along k', () => {
    const line = alongK(breakEvenLines(crossingRuns(0.01)));
    expect(line.points.map(({ at, difference }) => [at, difference.mean])).toEqual([
      [2, -1],
      [10, 3],
    ]);
    expect(line.crossings).toEqual([4]);
    expect(line.isDecided).toBe(true);
    expect(renderLine(line)).toBe(
      'random, epsilon 8, perplexity by user: Group Privacy is better at k 2, User-wise DP-SGD at k 10; they pass each other near 4.',
    );
  });

  it('compares under each sampler by itself', () => {
    const other = crossingRuns(0.01).map(run => ({
      ...run,
      cell: { ...run.cell!, sampler: 'balls-in-bins' as const },
    }));
    const lines = breakEvenLines([...crossingRuns(0.01), ...other]);
    expect(lines).toHaveLength(2 * breakEvenLines(other).length);
    expect(new Set(lines.map(line => renderLine(line).split(',').slice(0, 2).join()))).toContain(
      'random, balls-in-bins',
    );
    for (const { points } of lines) expect(new Set(points.map(({ at }) => at)).size).toBe(points.length);
  });

  it('says where runs differ too much to decide', () => {
    const line = alongK(breakEvenLines(crossingRuns(1)));
    expect(line.isDecided).toBe(false);
    expect(renderLine(line)).toContain('(these runs do not decide it).');
  });

  it('takes a crossing for decided where points on both sides of it are', () => {
    const middle = [1, 2].flatMap(repetition => [
      privateResult(
        { mechanism: 'group-privacy', recordsPerUser: 4 },
        { repetition, byUser: 4 + repetition },
      ),
      privateResult({ mechanism: 'user-wise', recordsPerUser: 4 }, { repetition, byUser: 5.5 }),
    ]);
    const line = alongK(breakEvenLines([...crossingRuns(0.01), ...middle]));
    expect(line.points.map(({ at }) => at)).toEqual([2, 4, 10]);
    expect(line.isDecided).toBe(true);
  });

  it('does not decide by single runs', () => {
    const single = crossingRuns(0).filter(({ repetition }) => repetition === 1);
    expect(alongK(breakEvenLines(single)).isDecided).toBe(false);
  });

  it('names who is ahead where nothing crosses', () => {
    const lines = breakEvenLines(crossingRuns(0.01));
    const alongEpsilon = lines.filter(({ axis, measure }) => axis === 'epsilon' && measure === 'byUser');
    expect(alongEpsilon.map(renderLine)).toEqual([
      'random, k 2, perplexity by user: Group Privacy is better at epsilon 8.',
      'random, k 10, perplexity by user: User-wise DP-SGD is better at epsilon 8.',
    ]);
  });

  it('has nothing to say of one mechanism alone', () => {
    const runs = crossingRuns(0).filter(({ cell }) => cell?.mechanism === 'user-wise');
    expect(breakEvenLines(runs)).toEqual([]);
  });

  it('compares within strategies only', () => {
    const runs = [
      privateResult({ mechanism: 'group-privacy', strategy: 'longest' }, { byUser: 5 }),
      privateResult({ mechanism: 'user-wise', strategy: 'random' }, { byUser: 4 }),
    ];
    expect(breakEvenLines(runs)).toEqual([]);
  });
});

describe('summarise()', () => {
  it('puts the runs of a cell together, baselines first and last', () => {
    const runs = [
      baselineResult('no-fine-tuning', 9),
      ...crossingRuns(0.5),
      baselineResult('no-privacy', 3),
      { ...baselineResult('no-privacy', 4), repetition: 2 },
    ];
    const summaries = summarise(runs);
    expect(summaries.map(({ kind, runs: count }) => [kind, count])).toEqual([
      ['no-fine-tuning', 1],
      ['private', 2],
      ['private', 2],
      ['private', 2],
      ['private', 2],
      ['no-privacy', 2],
    ]);
    const [, group] = summaries;
    expect(group!.perplexity.byUser.values).toEqual([5.5, 4.5]);
    expect(group!.perplexity.worstTenth.mean).toBe(7);
    expect(group!.epsilonUpper).toBe(8);
    expect(summaries.at(-1)!.perplexity.byUser.mean).toBe(3.5);
  });
});
