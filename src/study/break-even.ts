import type { SelectionStrategy } from '../../accounting/index.ts';
import { number } from '../output.ts';
import { mechanismName } from '../planning.ts';
import { selectedAndSampled, type Cell } from './question.ts';
import type { RunResult } from './results.ts';
import { crossing, estimateOf, type Estimate } from './statistics.ts';

/** The measures in which the mechanisms are compared. */
export type ComparedMeasure = 'byUser' | 'byRecord';

/** What changes along a line, while everything else stays. */
export type Axis = 'recordsPerUser' | 'epsilon';

/** One pair of cells that differ in their mechanism alone. */
export interface Difference {
  readonly at: number;
  /** Perplexity of Group Privacy less that of User-wise DP-SGD, by repetition: above 0 where User-wise is better. */
  readonly difference: Estimate;
}

/** How the mechanisms compare along one axis of the grid. */
export interface BreakEvenLine {
  readonly measure: ComparedMeasure;
  readonly axis: Axis;
  readonly strategy: SelectionStrategy;
  /** Absent for Poisson sampling. */
  readonly sampler?: Cell['sampler'];
  /** Value of the other axis. */
  readonly fixed: number;
  readonly points: readonly Difference[];
  /** Values of the axis where the means cross, interpolated on straight lines. */
  readonly crossings: readonly number[];
  /**
   * Whether intervals bear it out: all of them leave zero out, or, where the means cross, one below zero and one above
   * zero do.
   */
  readonly isDecided: boolean;
}

interface Pair {
  readonly cell: Cell;
  readonly differences: Readonly<Record<ComparedMeasure, Estimate>>;
}

function runsOf(runs: readonly RunResult[], cell: Cell): Map<number, RunResult> {
  const key = JSON.stringify(cell);
  const own = runs.filter(run => run.cell !== null && JSON.stringify(run.cell) === key);
  return new Map(own.map(run => [run.repetition, run]));
}

/** Differences of all cells that were run under both mechanisms. */
function pairsOf(runs: readonly RunResult[]): Pair[] {
  const cells = new Map(runs.flatMap(({ cell }) => (cell === null ? [] : [[JSON.stringify(cell), cell]])));
  const grouped = [...cells.values()].filter(({ mechanism }) => mechanism === 'group-privacy');
  return grouped.flatMap(cell => {
    const users = runsOf(runs, { ...cell, mechanism: 'user-wise' });
    const both = [...runsOf(runs, cell)].flatMap(([repetition, run]) => {
      const other = users.get(repetition);
      return other === undefined ? [] : [{ group: run.perplexity, user: other.perplexity }];
    });
    if (both.length === 0) return [];
    const of = (measure: ComparedMeasure): Estimate =>
      estimateOf(both.map(({ group, user }) => group[measure] - user[measure]));
    return [{ cell, differences: { byUser: of('byUser'), byRecord: of('byRecord') } }];
  });
}

/** -1 or 1 where the interval lies on one side of zero, else 0. */
function decidedSign({ difference: { interval } }: Difference): number {
  if (interval === null) return 0;
  return interval.lower > 0 ? 1 : interval.upper < 0 ? -1 : 0;
}

function isBorneOut(points: readonly Difference[], crossings: readonly number[]): boolean {
  const signs = points.map(decidedSign);
  return crossings.length === 0 ? !signs.includes(0) : signs.includes(1) && signs.includes(-1);
}

function lineOf(
  pairs: readonly Pair[],
  { axis, measure }: { axis: Axis; measure: ComparedMeasure },
): Pick<BreakEvenLine, 'points' | 'crossings' | 'isDecided'> {
  const points = pairs
    .map(({ cell, differences }) => ({ at: cell[axis], difference: differences[measure] }))
    .sort((a, b) => a.at - b.at);
  const crossings = points.slice(1).flatMap((to, before) => {
    const from = points[before]!;
    const x = crossing({ x: from.at, y: from.difference.mean }, { x: to.at, y: to.difference.mean });
    return x === undefined ? [] : [x];
  });
  return { points, crossings, isDecided: isBorneOut(points, crossings) };
}

const otherAxis: Readonly<Record<Axis, Axis>> = { recordsPerUser: 'epsilon', epsilon: 'recordsPerUser' };

function linesAlong(pairs: readonly Pair[], axis: Axis): BreakEvenLine[] {
  const other = otherAxis[axis];
  const groups = new Map(pairs.map(({ cell }) => [selectedAndSampled(cell), cell]));
  return (['byUser', 'byRecord'] as const).flatMap(measure =>
    [...groups].flatMap(([name, { strategy, sampler }]) => {
      const own = pairs.filter(({ cell }) => selectedAndSampled(cell) === name);
      const group = { strategy, ...(sampler === undefined ? {} : { sampler }) };
      const values = [...new Set(own.map(({ cell }) => cell[other]))].sort((a, b) => a - b);
      return values.map(fixed => {
        const line = own.filter(({ cell }) => cell[other] === fixed);
        return { measure, axis, ...group, fixed, ...lineOf(line, { axis, measure }) };
      });
    }),
  );
}

/**
 * Where one mechanism passes the other: along k at each epsilon, and along epsilon at each k.
 *
 * Runs of one repetition share the seed of selection and adapters, so differences are taken within repetitions.
 */
export function breakEvenLines(runs: readonly RunResult[]): BreakEvenLine[] {
  const pairs = pairsOf(runs);
  return (['recordsPerUser', 'epsilon'] as const).flatMap(axis => linesAlong(pairs, axis));
}

const axisNames: Readonly<Record<Axis, string>> = { recordsPerUser: 'k', epsilon: 'epsilon' };

function leaderOf({ difference: { mean } }: Difference): string {
  return mechanismName(mean > 0 ? 'user-wise' : 'group-privacy');
}

/** What a line says, for tables and sentences alike. */
export interface LineWords {
  /** `k` or `epsilon`. */
  readonly axis: string;
  /** The other axis and its value, such as `epsilon 8`. */
  readonly at: string;
  readonly measure: string;
  /** Whoever has the lower perplexity at the least value of the axis, and at the largest. */
  readonly leaders: readonly [string, string];
  readonly ends: readonly [number, number];
  /** Where they pass each other; empty where they do not. */
  readonly crossings: string;
}

/** A line in words. */
export function wordsOf({ axis, fixed, measure, points, crossings }: BreakEvenLine): LineWords {
  const [first, last] = [points[0]!, points.at(-1)!];
  return {
    axis: axisNames[axis],
    at: `${axisNames[otherAxis[axis]]} ${fixed}`,
    measure: measure === 'byUser' ? 'by user' : 'by record',
    leaders: [leaderOf(first), leaderOf(last)],
    ends: [first.at, last.at],
    crossings: crossings.map(x => number(x, 3)).join(', '),
  };
}

/** A line as one sentence: who is better, from where on, and whether the runs bear it out. */
export function renderLine(line: BreakEvenLine): string {
  const { axis, at, measure, leaders, ends, crossings } = wordsOf(line);
  const range = ends[0] === ends[1] ? `${ends[0]}` : `${ends[0]} to ${ends[1]}`;
  const found =
    crossings === ''
      ? `${leaders[0]} is better at ${axis} ${range}`
      : `${leaders[0]} is better at ${axis} ${ends[0]}, ${leaders[1]} at ${axis} ${ends[1]}; they pass each other near ${crossings}`;
  const doubt = line.isDecided ? '' : ' (these runs do not decide it)';
  return `${selectedAndSampled(line)}, ${at}, perplexity ${measure}: ${found}${doubt}.`;
}
