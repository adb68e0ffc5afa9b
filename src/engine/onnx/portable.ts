import type { Attribute, OnnxGraph, OnnxNode, OnnxTensor } from '../../formats/onnx/write.js';

/** Minus zero, little-endian: it equals zero, and has a bit that is set. */
const MINUS_ZERO = { float: Uint8Array.of(0, 0, 0, 0x80), float16: Uint8Array.of(0, 0x80) } as const;

/**
 * The same model in a form that onnxruntime computes as it stands: in version 1.30 its `Pad_Fusion` makes zeros around an image a
 * pool's own padding, which counts as minus infinity or as no pixels
 * (https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/optimizer/pad_fusion.cc). It leaves a pool alone that says
 * `auto_pad` VALID, which is what no padding of its own means, and a padding whose value has a bit that is set: before a pool that
 * pads itself it is with -0.
 */
export function portable(graph: OnnxGraph, opset: number): OnnxGraph {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const constants = new Map(graph.initializers.map((one) => [one.name, one] as const));
  const usual = graph.initializers.some(({ type }) => /^(b?float16|double)$/.test(type)) ? undefined : 'float';
  const changed = new Map<OnnxNode, OnnxNode>();
  const added: OnnxTensor[] = [];
  for (const node of graph.nodes) {
    const maker = isPool(node) ? paddingOf(node, makers) : null;
    if (maker === null) continue;
    const { pads, auto_pad: auto, ...attributes } = node.attributes ?? {};
    if (isAuto(auto)) continue;
    if ((pads === undefined || isZero(pads)) && attributes.ceil_mode === undefined) {
      changed.set(node, { ...node, attributes: { ...attributes, auto_pad: 'VALID' } });
      continue;
    }
    const [x = '', margins = '', value = '', ...rest] = maker.inputs;
    const given = constants.get(value);
    const type = value === '' ? usual : given?.type;
    if (opset < 11 || (type !== 'float' && type !== 'float16') || changed.has(maker)) continue;
    if (given?.raw.some((byte) => byte !== 0)) continue;
    const name = `${maker.outputs[0]}: minus zero`;
    added.push({ name, type, dims: [], raw: MINUS_ZERO[type] });
    changed.set(maker, { ...maker, inputs: [x, margins, name, ...rest] });
  }
  return {
    ...graph,
    nodes: graph.nodes.map((node) => changed.get(node) ?? node),
    initializers: [...graph.initializers, ...added],
  };
}

const isPlain = ({ domain = '' }: OnnxNode): boolean => domain === '' || domain === 'ai.onnx';
const isPool = (node: OnnxNode): boolean => isPlain(node) && (node.op === 'MaxPool' || node.op === 'AveragePool');

/** @returns the padding that a pool takes, by way of a cast or not; null where there is none */
function paddingOf({ inputs }: OnnxNode, makers: ReadonlyMap<string, OnnxNode>): OnnxNode | null {
  const first = makers.get(inputs[0] ?? '');
  const maker = first?.op === 'Cast' ? makers.get(first.inputs[0] ?? '') : first;
  return maker?.op === 'Pad' && isPlain(maker) ? maker : null;
}

const isZero = (value: Attribute): boolean => Array.isArray(value) && value.every((size) => size === 0);

/** Whether a pool's padding follows from its sizes. */
function isAuto(value: Attribute | undefined): boolean {
  if (value === undefined) return false;
  const text =
    typeof value === 'string' ? value : 'encoded' in value ? Buffer.from(value.encoded).toString('latin1') : '';
  return !text.includes('NOTSET');
}
