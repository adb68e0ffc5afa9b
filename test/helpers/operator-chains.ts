import type { Imports, OnnxGraph } from '../../src/formats/onnx/write.js';
import { Random } from '../../src/random.js';
import { Maker, product, type Value } from './operator-maker.js';
import { STEPS } from './operator-steps.js';

export interface Chain {
  readonly name: string;
  readonly graph: OnnxGraph;
  readonly imports: Imports;
  /** Of the graph's input, `x`. */
  readonly dims: readonly number[];
  readonly images: Float32Array;
}

/**
 * Steps one after the other on an image of odd or even size.
 * @returns null where one of them does not fit what comes before it
 */
export function chainOf(steps: readonly string[], seed: string): Chain | null {
  const random = new Random(seed);
  const m = new Maker(random, [11, 13, 17, 20][random.below(4)] as number);
  const start = [2, m.pick([3, 4, 8]), m.pick([5, 8, 11]), m.pick([6, 7, 9])] as const;
  let x: Value = { name: 'x', dims: start };
  m.values.push(x);
  for (const step of steps) {
    const next = STEPS[step]?.(m, x) ?? null;
    if (next === null || product(next.dims) > 20_000) return null;
    x = next;
    m.values.push(x);
  }
  return {
    name: `${steps.join(', ')} (opset ${m.opset})`,
    graph: {
      name: 'chain',
      nodes: m.nodes,
      initializers: m.initializers,
      inputs: [{ name: 'x', type: 'float', dims: m.pick([start, ['n', ...start.slice(1)]]) }],
      outputs: [{ name: x.name, dims: [] }],
    },
    imports: { ir: 8, opsets: { '': m.opset } },
    dims: start,
    images: Float32Array.from({ length: product(start) }, () => random.normal()),
  };
}
