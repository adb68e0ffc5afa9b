import { type Attribute, floats, int64s, type OnnxNode, type OnnxTensor } from '../../src/formats/onnx/write.js';
import type { Random } from '../../src/random.js';

/** An image value of a chain: `[2, channels, height, width]`. */
export interface Value {
  readonly name: string;
  readonly dims: readonly [number, number, number, number];
}

export const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** Writes the nodes of one chain, with values of both signs. */
export class Maker {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  /** Image values so far, the last one last. */
  readonly values: Value[] = [];
  private count = 0;

  constructor(
    readonly random: Random,
    readonly opset: number,
  ) {}

  pick<T>(items: readonly T[]): T {
    return items[this.random.below(items.length)] as T;
  }

  floats(dims: readonly number[], value: () => number = () => this.random.normal()): string {
    const name = this.fresh();
    this.initializers.push(floats(name, dims, Float32Array.from({ length: product(dims) }, value)));
    return name;
  }

  scalar(value: number): string {
    return this.floats([], () => value);
  }

  integers(values: readonly number[], dims?: readonly number[]): string {
    const name = this.fresh();
    this.initializers.push(int64s(name, values, dims));
    return name;
  }

  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const name = this.fresh();
    this.nodes.push({ op, inputs, outputs: [name], attributes });
    return name;
  }

  /** A mean, maximum or sum over axes, which moved from the attributes to the inputs. */
  reduce(op: 'ReduceMean' | 'ReduceSum', x: string, axes: readonly number[]): string {
    const asInput = this.opset >= (op === 'ReduceSum' ? 13 : 18);
    return asInput ? this.node(op, [x, this.integers(axes)]) : this.node(op, [x], { axes: [...axes] });
  }

  private fresh(): string {
    return `v${this.count++}`;
  }
}
