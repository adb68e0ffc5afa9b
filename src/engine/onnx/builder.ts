import { type Attribute, floats, int64s, type OnnxNode, type OnnxTensor } from '../../formats/onnx/write.js';
import type { Margins, Tensor } from '../../graph/graph.js';

/** Sizes of one example's axes in Keras's order, without the batch. */
export type Shape = readonly number[];

/**
 * A value in the ONNX graph. Images (three axes) lie channels first there, `[n, c, h, w]`, all else as in Keras; `shape` is
 * always Keras's, without the batch.
 */
export interface Value {
  readonly name: string;
  readonly shape: Shape;
  /** Zeros around what `name` holds, which `shape` counts already: whoever takes the value adds them. */
  readonly margins?: Margins;
}

/** Where Keras's axis (0 is the batch) of a value with `rank` axes lies in the ONNX graph. */
export const axisOf = (axis: number, rank: number): number => (rank === 3 ? ([0, 2, 3, 1][axis] ?? axis) : axis);

const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);

/** The tensor with its axes reordered: axis `i` of the result is axis `order[i]` of `tensor`. */
export function transpose(tensor: Tensor, order: readonly number[]): Tensor {
  const { shape, data } = tensor;
  const strides = shape.map((_, i) => product(shape.slice(i + 1)));
  const target = order.map((axis) => shape[axis] ?? 1);
  const steps = order.map((axis) => strides[axis] ?? 1);
  const result = new Float32Array(data.length);
  const index = new Array<number>(target.length).fill(0);
  let from = 0;
  for (let to = 0; to < result.length; to++) {
    result[to] = data[from] ?? 0;
    for (let axis = target.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] ?? 0) + 1;
      from += steps[axis] ?? 0;
      if ((index[axis] ?? 0) < (target[axis] ?? 1)) break;
      from -= (steps[axis] ?? 0) * (target[axis] ?? 1);
      index[axis] = 0;
    }
  }
  return { shape: target, data: result };
}

/** Collects nodes and constants while the layers are lowered one by one. */
export class Builder {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  private count = 0;

  /** @param keep what becomes of a constant's values, where they shall not be held as they are */
  constructor(
    readonly layer = '',
    private readonly keep: (tensor: OnnxTensor) => OnnxTensor = (tensor) => tensor,
  ) {}

  private fresh(): string {
    return `v${this.count++}`;
  }

  node(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    const output = this.fresh();
    this.nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  }

  /** A float constant; without a shape, a scalar. */
  constant(values: ArrayLike<number>, shape: readonly number[] = []): string {
    const name = this.fresh();
    this.initializers.push(this.keep(floats(name, shape, values)));
    return name;
  }

  integers(values: readonly number[]): string {
    const name = this.fresh();
    this.initializers.push(int64s(name, values));
    return name;
  }

  /** The value with its axes in Keras's order. */
  channelsLast({ name, shape }: Value): string {
    return shape.length === 3 ? this.node('Transpose', [name], { perm: [0, 2, 3, 1] }) : name;
  }

  /** A value of `shape` out of one whose axes are in Keras's order. */
  fromChannelsLast(name: string, shape: Shape): string {
    return shape.length === 3 ? this.node('Transpose', [name], { perm: [0, 3, 1, 2] }) : name;
  }
}
