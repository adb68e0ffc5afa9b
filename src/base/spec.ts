import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '../canonical.js';
import type { Graph, Node, Tensor } from '../graph/graph.js';
import { dropIdentities } from '../graph/passes.js';
import type { ImageMode } from '../images/modes.js';
import type { Preprocessing } from './preprocess.js';

export type Pooling = 'avg' | 'max';

/**
 * Everything that shapes a vector and nothing else. The SHA-256 of its canonical JSON is the fingerprint of a feature set;
 * it is what `_set.json` holds.
 */
export interface BaseSpec {
  readonly format: 1;
  /** Digest of the graph as cut at the tap, without names and without layers that do nothing at inference. */
  readonly graph: string;
  /** Digest of the float32 tensors that it uses, in graph order. */
  readonly weights: string;
  readonly input: { readonly height: number; readonly width: number; readonly channels: 1 | 3 };
  readonly image: {
    readonly mode: ImageMode;
    /** Revision of the pixels that the mode gives. */
    readonly pixels: number;
    /** What transparent pixels are blended on; null where the mode drops alpha. */
    readonly background: readonly [number, number, number] | null;
  };
  readonly preprocess: Preprocessing;
  /** null where the tap gives one vector already. */
  readonly pooling: Pooling | null;
  /** Length of a vector. */
  readonly features: number;
  /** How vectors are stored. */
  readonly type: 'float32' | 'float16';
  /** What the base computes in; with int8 `calibration` is the SHA-256 of its calibration's file. */
  readonly precision: 'float32' | 'int8';
  readonly [key: string]: Json;
}

/** Nodes as their output needs them, inputs first in the order in which they are named: the same whatever order a file lists. */
function inGraphOrder(graph: Graph): Node[] {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const order: Node[] = [];
  const done = new Set<string>();
  const stack: { name: string; next: number }[] = [{ name: graph.output, next: 0 }];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const node = nodes.get(top.name);
    const input = node?.inputs[top.next++];
    if (!node || done.has(top.name)) {
      stack.pop();
    } else if (input !== undefined) {
      if (!done.has(input)) stack.push({ name: input, next: 0 });
    } else {
      order.push(node);
      done.add(node.name);
      stack.pop();
    }
  }
  return order;
}

/** @returns SHA-256 digests (hex) of what a graph computes and of its weights; names of layers and the input's size are left out */
export function digestGraph(graph: Graph): { graph: string; weights: string } {
  const order = inGraphOrder(dropIdentities(graph));
  const index = new Map(order.map((node, i) => [node.name, i]));
  const ops = order.map(({ op, inputs }) => ({
    op: op.kind === 'InputLayer' ? { kind: op.kind, channels: op.shape.at(-1) ?? null } : { ...op },
    inputs: inputs.map((name) => index.get(name) ?? -1),
  }));
  const weights = createHash('sha256');
  for (const node of order) for (const tensor of node.weights) hashTensor(weights, tensor);
  return {
    graph: createHash('sha256').update(canonicalJson(ops)).digest('hex'),
    weights: weights.digest('hex'),
  };
}

function hashTensor(hash: ReturnType<typeof createHash>, { shape, data }: Tensor): void {
  hash.update(`${shape.join('x')}\n`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

/** @returns the name under which a base is kept in `cache/bases`: 32 hex digits over the digests of its graph and weights */
export function baseDigest(spec: Pick<BaseSpec, 'graph' | 'weights'>): string {
  const { graph, weights } = spec;
  return createHash('sha256').update(canonicalJson({ graph, weights })).digest('hex').slice(0, 32);
}
