import type { GradientPart } from './clip.ts';
import { ghostByUnit, type OuterUse } from './ghost.ts';
import type { GraphBuilder, ParameterUse, Shape } from './graph.ts';
import { keepByUnit } from './kept.ts';
import { padRows, positionsByUnit, unitGradient } from './unit-gradients.ts';

/** A trainable parameter and how its gradient comes about. */
export interface TrainableGradient {
  readonly name: string;
  readonly shape: Shape;
  readonly uses: readonly ParameterUse[];
}

/** How the gradients of units are held until their norms are known: side by side, or not made at all. */
export type ClipRule = 'keep' | 'ghost';

/** What the choice of a rule depends on: a matrix [inputs, outputs] and the rows that a unit multiplies it by. */
export interface RuleQuestion {
  readonly units: number;
  readonly rowsPerUnit: number;
  readonly shape: Shape;
}

/** Multiply-adds of a matrix product that take as long as one value's three ways through memory. Measured. */
const productsPerValue = 20;

/**
 * The rule that costs less for one matrix. Both make the product over the rows of all units once; beyond that,
 * with T rows a unit,
 *
 * - keeping writes in · out values a unit, reads them for the norm and again for the sum;
 * - ghost norms take two tables of inner products, T² (in + out) multiply-adds a unit.
 */
export function cheaperRule({ units, rowsPerUnit, shape }: RuleQuestion): ClipRule {
  if (units === 1 || shape.length !== 2) return 'keep';
  const [inputs, outputs] = [shape[0]!, shape[1]!];
  const ghost = rowsPerUnit ** 2 * (inputs + outputs);
  return ghost < productsPerValue * inputs * outputs ? 'ghost' : 'keep';
}

/** Values of units' gradients that one run may keep; beyond it memory decides for ghost norms. */
const mostKept = 2 ** 24;

function outerUses(uses: readonly ParameterUse[]): readonly OuterUse[] | undefined {
  const outer = uses.filter(use => use.use === 'product' || use.use === 'lookup');
  return outer.length === uses.length ? outer : undefined;
}

/** Values of one unit's gradient where it is kept. */
function keptSize({ shape, uses }: TrainableGradient): number {
  const [use] = uses;
  if (uses.length === 1 && use?.use === 'positions') return use.tokens * shape[1]!;
  return shape.reduce((product, extent) => product * extent, 1);
}

/**
 * Every trainable parameter's part of the units' gradients, each by the rule that costs less.
 *
 * @param options - rows: of all units together; rule: for every matrix, whatever it costs
 */
export function gradientParts(
  builder: GraphBuilder,
  options: { gradients: readonly TrainableGradient[]; rows: number; rule?: ClipRule | undefined },
): GradientPart[] {
  const { units } = builder;
  const rowsPerUnit = options.rows / units;
  let kept = 0;
  return options.gradients.map(gradient => {
    const uses = outerUses(gradient.uses);
    const size = units * keptSize(gradient);
    const fits = units === 1 || kept + size <= mostKept;
    const cheaper = fits ? cheaperRule({ units, rowsPerUnit, shape: gradient.shape }) : 'ghost';
    if (uses !== undefined && (options.rule ?? cheaper) === 'ghost')
      return ghostByUnit(builder, { ...gradient, uses });
    kept += size;
    return keep(builder, gradient);
  });
}

function keep(builder: GraphBuilder, { name, shape, uses }: TrainableGradient): GradientPart {
  const [use] = uses;
  if (uses.length > 1 || use?.use !== 'positions')
    return keepByUnit(builder, { name, shape, gradient: unitGradient(builder, { shape, uses }) });
  // The positions beyond the texts have no gradient: they are filled in after the sum.
  const reached = [use.tokens, shape[1]!];
  const part = keepByUnit(builder, { name, shape: reached, gradient: positionsByUnit(builder, use) });
  const sum: GradientPart['sum'] = weights => padRows(builder, { input: part.sum(weights), rows: shape[0]! });
  return { ...part, sum };
}
