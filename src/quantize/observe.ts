import type { OnnxProgram } from '../engine/engine.js';
import ort from '../engine/onnx/runtime.js';
import { createSession } from '../engine/onnx/session.js';
import { int64s, type OnnxGraph, type OnnxNode, type OnnxTensor } from '../formats/onnx/write.js';
import type { Steps } from './steps.js';

/** Images of one run, `[n, height, width, channels]`. */
export type Batch = { readonly data: Float32Array | Uint8Array; readonly n: number };

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** What the float graph computes on the calibration's images. */
export interface Observed {
  /** Of each point: the least and the largest value of all images. */
  readonly ranges: readonly Range[];
  /** The means, over images, of the least and the largest value of each. */
  readonly typical: readonly Range[];
  /** Of each layer, the mean of each channel, over positions and images. */
  readonly means: readonly Float64Array[];
  /** Of each layer, the multiply-adds of one image. */
  readonly work: readonly number[];
  /** Of each layer, the positions of one image. */
  readonly positions: readonly number[];
}

/** @returns a tensor of images for a program */
export function imageTensor({ graph }: OnnxProgram, { data, n }: Batch): ort.Tensor {
  const dims = graph.inputs[0]?.dims.slice(1).map(Number) ?? [];
  return new ort.Tensor(data instanceof Uint8Array ? 'uint8' : 'float32', data, [n, ...dims]);
}

/** Runs the float graph on images, and measures its values on the way. */
export async function observe(
  { program, points, layers }: Steps,
  batches: AsyncIterable<Batch> | Iterable<Batch>,
  { threads }: { readonly threads?: number } = {},
): Promise<Observed> {
  const { graph, imports } = program;
  const nodes: OnnxNode[] = [...graph.nodes];
  const tensors: OnnxTensor[] = [...graph.initializers];
  const outputs: { name: string; dims: readonly number[] }[] = [];
  const add = (op: string, inputs: readonly string[], name: string, attributes: OnnxNode['attributes'] = {}): void => {
    nodes.push({ op, inputs, outputs: [name], attributes });
    outputs.push({ name, dims: [] });
  };
  const modern = (imports.opsets[''] ?? 0) >= 18;
  if (modern) tensors.push(int64s('observe/values', [1]));
  const ofImage = (op: string, flat: string, name: string): void =>
    modern
      ? add(op, [flat, 'observe/values'], name, { keepdims: { i: 0 } })
      : add(op, [flat], name, { axes: [1], keepdims: { i: 0 } });
  for (const [i, point] of points.entries()) {
    const flat = `observe/flat${i}`;
    nodes.push({ op: 'Flatten', inputs: [point], outputs: [flat], attributes: { axis: { i: 1 } } });
    ofImage('ReduceMin', flat, `observe/min${i}`);
    ofImage('ReduceMax', flat, `observe/max${i}`);
  }
  for (const [i, { node, output }] of layers.entries()) {
    const axes = node.op === 'Conv' ? [2, 3] : [];
    const keepdims = { keepdims: { i: 0 } };
    if (axes.length === 0) add('Identity', [output], `observe/mean${i}`);
    else if (modern) {
      tensors.push(int64s(`observe/axes${i}`, axes));
      add('ReduceMean', [output, `observe/axes${i}`], `observe/mean${i}`, keepdims);
    } else add('ReduceMean', [output], `observe/mean${i}`, { axes, ...keepdims });
    add('Shape', [output], `observe/shape${i}`);
  }
  const measured: OnnxGraph = { ...graph, nodes, initializers: tensors, outputs };
  const session = await createSession(measured, { imports, ...(threads === undefined ? {} : { threads }) });
  const ranges = points.map(() => ({ min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY }));
  const totals = points.map(() => ({ min: 0, max: 0 }));
  let images = 0;
  const sums: Float64Array[] = [];
  const rows: number[] = [];
  const positions: number[] = [];
  const input = graph.inputs[0]?.name ?? '';
  try {
    for await (const batch of batches) {
      const found = await session.run({ [input]: imageTensor(program, batch) });
      const values = (name: string): Float32Array => found[name]?.data as Float32Array;
      for (const [i, range] of ranges.entries()) {
        const total = totals[i] as { min: number; max: number };
        for (const min of values(`observe/min${i}`)) {
          range.min = Math.min(range.min, min);
          total.min += min;
        }
        for (const max of values(`observe/max${i}`)) {
          range.max = Math.max(range.max, max);
          total.max += max;
        }
      }
      images += batch.n;
      for (const [i, { weight, axis, node }] of layers.entries()) {
        const means = values(`observe/mean${i}`);
        const channels = weight.dims[axis] ?? 1;
        sums[i] ??= new Float64Array(channels);
        const sum = sums[i] as Float64Array;
        for (const [k, value] of means.entries()) sum[k % channels] = (sum[k % channels] ?? 0) + value;
        rows[i] = (rows[i] ?? 0) + means.length / channels;
        const shape = Array.from(found[`observe/shape${i}`]?.data as BigInt64Array, Number);
        const each = node.op === 'Conv' ? shape.slice(2) : shape.slice(1, -1);
        positions[i] = each.reduce((a, b) => a * b, 1);
      }
    }
  } finally {
    await session.release();
  }
  const size = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);
  return {
    ranges,
    typical: totals.map(({ min, max }) => ({ min: min / images, max: max / images })),
    means: sums.map((sum, i) => sum.map((value) => value / (rows[i] ?? 1))),
    work: layers.map(({ weight }, i) => size(weight.dims) * (positions[i] ?? 1)),
    positions,
  };
}
