import type { OnnxProgram } from '../engine/engine.js';
import ort from '../engine/onnx/runtime.js';
import { createSession } from '../engine/onnx/session.js';
import { int64s, type OnnxGraph, type OnnxNode, type OnnxTensor } from '../formats/onnx/write.js';
import type { Steps } from './steps.js';

/** Images of one run, `[n, height, width, channels]`. */
export type Batch = { readonly data: Float32Array | Uint8Array; readonly n: number };

/** What the float graph computes on the calibration's images. */
export interface Observed {
  /** Of each point. */
  readonly ranges: readonly { readonly min: number; readonly max: number }[];
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
  for (const [i, point] of points.entries()) {
    add('ReduceMin', [point], `observe/min${i}`, { keepdims: { i: 0 } });
    add('ReduceMax', [point], `observe/max${i}`, { keepdims: { i: 0 } });
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
  const sums: Float64Array[] = [];
  const rows: number[] = [];
  const positions: number[] = [];
  const input = graph.inputs[0]?.name ?? '';
  try {
    for await (const batch of batches) {
      const found = await session.run({ [input]: imageTensor(program, batch) });
      const values = (name: string): Float32Array => found[name]?.data as Float32Array;
      for (const [i, range] of ranges.entries()) {
        range.min = Math.min(range.min, values(`observe/min${i}`)[0] ?? 0);
        range.max = Math.max(range.max, values(`observe/max${i}`)[0] ?? 0);
      }
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
    means: sums.map((sum, i) => sum.map((value) => value / (rows[i] ?? 1))),
    work: layers.map(({ weight }, i) => size(weight.dims) * (positions[i] ?? 1)),
    positions,
  };
}
