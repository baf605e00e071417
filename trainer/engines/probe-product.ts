import { GraphBuilder, type Graph } from '../graph/graph.ts';
import { matmul } from '../graph/operations.ts';
import type { Engine } from './engine.ts';

/** Large enough for the kernels that large models get, which may differ from those of small matrices. */
const sizes = { rows: 96, depth: 256, columns: 128 } as const;

function wave(size: number, pace: number): Float32Array {
  return Float32Array.from({ length: size }, (_, index) => Math.sin(pace * (index + 1)));
}

function productGraph(): Graph {
  const builder = new GraphBuilder();
  const left = builder.input('left', { shape: [sizes.rows, sizes.depth] });
  const right = builder.input('right', { shape: [sizes.columns, sizes.depth] });
  builder.output('product', matmul(builder, { left, right, transposeRight: true }));
  return builder.build();
}

function dot(left: Float32Array, right: Float32Array): number {
  let total = 0;
  for (let index = 0; index < left.length; index++) total += left[index]! * right[index]!;
  return total;
}

/** Largest error of any value of the product, relative to the lengths of its row and its column. */
function largestError(
  product: ArrayLike<number>,
  { left, right }: { left: Float32Array; right: Float32Array },
): number {
  const { rows, depth, columns } = sizes;
  let worst = 0;
  for (let row = 0; row < rows; row++) {
    const one = left.subarray(row * depth, (row + 1) * depth);
    for (let column = 0; column < columns; column++) {
      const other = right.subarray(column * depth, (column + 1) * depth);
      const error = Math.abs(product[row * columns + column]! - dot(one, other));
      const relative = error / Math.sqrt(dot(one, one) * dot(other, other));
      if (!(relative <= worst)) worst = relative;
    }
  }
  return worst;
}

/** The error of a float32 product of two matrices on an engine: 1e-7 in float32, 1e-5 in TF32 or float16. */
export async function productError(engine: Engine): Promise<number> {
  const { rows, depth, columns } = sizes;
  const values = { left: wave(rows * depth, 0.7), right: wave(columns * depth, 1.3) };
  const program = await engine.compile(productGraph());
  const left = engine.upload({ data: values.left, shape: [rows, depth] });
  const right = engine.upload({ data: values.right, shape: [columns, depth] });
  try {
    const { product } = await program.run({ left, right });
    const { data } = await engine.read(product!);
    product!.dispose();
    return largestError(data, values);
  } finally {
    for (const tensor of [left, right]) tensor.dispose();
    await program.dispose();
  }
}
