import {
  type Attribute,
  bytesOf,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  tensorOf,
} from '../../formats/onnx/write.js';

/** Bytes from which on a tensor is not held in memory. */
export const LARGE_TENSOR = 2 ** 16;

interface Source {
  /** @returns `length` bytes of the file from `start` on */
  read(start: number, length: number): Uint8Array;
}

/** Apart from `letGo`, as a function that is made within that holds its bytes. */
const readLater = ({ name, type, dims }: OnnxTensor, start: number, file: Source): OnnxTensor =>
  tensorOf({ name, type, dims }, () => file.read(start, bytesOf({ type, dims })));

type Held = Pick<OnnxGraph, 'nodes' | 'initializers'>;

/**
 * @param bytes a file that the graph's values are views of
 * @param file the same file; no function, as one holds what is around it
 * @returns the same graph without those bytes: large tensors are read when they are asked for, and not held
 */
export function letGo<Graph extends Held>(graph: Graph, bytes: Uint8Array, file: Source): Graph {
  const initializers = graph.initializers.map((tensor) => {
    const { raw } = tensor;
    if (raw.buffer !== bytes.buffer) return tensor;
    if (raw.length < LARGE_TENSOR) return { ...tensor, raw: new Uint8Array(raw) };
    return readLater(tensor, raw.byteOffset - bytes.byteOffset, file);
  });
  const copied = (value: Attribute): Attribute =>
    typeof value === 'object' && 'raw' in value ? { ...value, raw: new Uint8Array(value.raw) } : value;
  const nodes = graph.nodes.map((node): OnnxNode => {
    const attributes = Object.entries(node.attributes ?? {}).map(([name, value]) => [name, copied(value)] as const);
    return { ...node, attributes: Object.fromEntries(attributes) };
  });
  return { ...graph, nodes, initializers };
}
