import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '../../canonical.js';
import { readOnnx } from '../../formats/onnx/read.js';
import {
  type Attribute,
  type Imports,
  modelPieces,
  type OnnxGraph,
  type OnnxTensor,
} from '../../formats/onnx/write.js';
import type { Layout } from './cut.js';
import { cutOnnx } from './cut.js';

/** An ONNX model as a base: one image input, cut at the tap. */
export interface OnnxModel {
  /** Its input has the sizes of one run; the batch is `n` where it is open. */
  readonly graph: OnnxGraph;
  readonly imports: Imports;
  /** How its images lie. */
  readonly layout: Layout;
  /** The tap of one image: `[d]`, or a feature map in the order of `tapLayout`. */
  readonly tap: readonly number[];
  readonly tapLayout: Layout;
  /** Whether it takes several images at once. */
  readonly batched: boolean;
}

const hexOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function attributeJson(value: Attribute): Json {
  if (typeof value === 'string') return { string: value };
  if ('encoded' in value) return { encoded: Buffer.from(value.encoded).toString('hex') };
  if ('raw' in value) return { type: value.type, dims: value.dims, sha256: hexOf(value.raw) };
  if ('f' in value || 'i' in value) return { ...value };
  return Array.isArray(value) ? [...value] : null;
}

/**
 * @returns SHA-256 digests (hex) of what a cut model computes and of its tensors; names, documentation and the input's size are
 *   left out
 */
export function digestOnnx({ graph, imports, layout, tapLayout, tap }: OnnxModel): { graph: string; weights: string } {
  const places = new Map<string, string>([['', '']]);
  for (const { name } of graph.inputs) places.set(name, 'x');
  for (const [i, { name }] of graph.initializers.entries()) places.set(name, `w${i}`);
  for (const [i, { outputs }] of graph.nodes.entries()) {
    for (const [j, name] of outputs.entries()) places.set(name, `v${i}.${j}`);
  }
  places.set('', '');
  const nodes = graph.nodes.map(({ op, domain = '', inputs, attributes = {} }) => ({
    op,
    domain,
    inputs: inputs.map((name) => places.get(name) ?? ''),
    attributes: Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, attributeJson(value)])),
  }));
  const used = new Set(graph.nodes.map(({ domain = '' }) => domain));
  const opsets = Object.fromEntries(Object.entries(imports.opsets).filter(([domain]) => used.has(domain)));
  const output = places.get(graph.outputs[0]?.name ?? '') ?? '';
  const input = { type: graph.inputs[0]?.type ?? '', layout };
  const weights = createHash('sha256');
  for (const { type, dims, raw } of graph.initializers) weights.update(`${type} ${dims.join('x')}\n`).update(raw);
  const what = { format: 'onnx', opsets, input, nodes, output, tapLayout: tap.length === 1 ? null : tapLayout };
  return { graph: createHash('sha256').update(canonicalJson(what)).digest('hex'), weights: weights.digest('hex') };
}

/** @returns the cut model as an ONNX file, in pieces */
export const writeOnnx = ({ graph, imports }: OnnxModel): Iterable<Uint8Array> => modelPieces(graph, imports);

/** The graph of a file that `writeOnnx` wrote. */
export function rereadOnnx(bytes: Uint8Array): Pick<OnnxModel, 'graph' | 'imports'> {
  const file = readOnnx(bytes);
  const cut = cutOnnx(file, file.outputs[0] ?? '');
  const initializers = cut.tensors.map(({ name, type, dims, values }): OnnxTensor => {
    if (!(values instanceof Uint8Array)) throw new RangeError(`the data of ${name} lies elsewhere`);
    return { name, type, dims, raw: values };
  });
  const [input] = file.inputs;
  if (!input?.type || !input.dims) throw new RangeError('its input is missing');
  return {
    imports: file.imports,
    graph: {
      name: 'base',
      nodes: cut.nodes,
      initializers,
      inputs: [{ name: input.name, type: input.type, dims: input.dims }],
      outputs: [{ name: cut.output, dims: [] }],
    },
  };
}
