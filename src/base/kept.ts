import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { canonicalJson, type Json } from '../canonical.js';
import { CacheError } from '../errors.js';
import { realSystem, removeStale, type StoreOptions, storeError, writeFiles } from '../files/index.js';
import type { Graph, Node, Op, Tensor } from '../graph/graph.js';
import { checkWeights } from '../graph/infer.js';
import { resize } from '../graph/passes.js';
import { type Base, layerGraph } from './open.js';
import { type BaseSpec, baseDigest, digestGraph } from './spec.js';

/** The folder in which a cache keeps the base of a spec. */
export const keptDir = (cache: string, spec: BaseSpec): string => path.join(cache, 'bases', baseDigest(spec));

/**
 * Keeps a base (its cut graph and weights) in `cache/bases`, once: `weights.f32` (little-endian, in the order of the nodes), and
 * `base.json`, which appears last.
 * @throws CacheError when it cannot be written
 */
export async function keepBase(cache: string, base: Base, { system = realSystem }: StoreOptions = {}): Promise<void> {
  const dir = keptDir(cache, base.spec);
  await removeStale(system, dir);
  const isKept = await system.modified(path.join(dir, 'base.json')).then(
    () => true,
    () => false,
  );
  if (isKept) return;
  const { nodes, input, output } = layerGraph(base);
  const tensors = nodes.flatMap((node) => node.weights);
  const json = canonicalJson({
    format: 1,
    name: base.name,
    input,
    output,
    nodes: nodes.map(({ name, op, inputs, weights }) => ({
      name,
      op: op as unknown as Json,
      inputs,
      weights: weights.map(({ shape }) => shape),
    })),
  });
  const bytes = tensors.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  try {
    await system.makeFolder(dir);
    await writeFiles(system, dir, [
      ['weights.f32', bytes],
      ['base.json', [new TextEncoder().encode(json)]],
    ]);
  } catch (error) {
    throw storeError(error, 'to keep the base', dir);
  }
}

interface KeptNode {
  name: string;
  op: Op;
  inputs: string[];
  weights: number[][];
}

/**
 * The base of a spec out of `cache/bases`.
 * @returns null where the cache does not keep it
 * @throws CacheError when what is kept is damaged
 */
export async function keptBase(cache: string, spec: BaseSpec): Promise<Base | null> {
  const dir = keptDir(cache, spec);
  let json: string;
  let bytes: Buffer;
  try {
    [json, bytes] = await Promise.all([
      readFile(path.join(dir, 'base.json'), 'utf8'),
      readFile(path.join(dir, 'weights.f32')),
    ]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new CacheError(`${dir} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    const { name, input, output, nodes } = JSON.parse(json) as Omit<Graph, 'nodes'> & {
      name: string;
      nodes: KeptNode[];
    };
    let offset = 0;
    const take = (shape: number[]): Tensor => {
      const length = shape.reduce((a, b) => a * b, 1);
      const start = offset;
      offset += length * 4;
      if (offset > bytes.length) throw new RangeError('weights are missing');
      return { shape, data: new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + offset)) };
    };
    const restored: Node[] = nodes.map((node) => ({ ...node, weights: node.weights.map(take) }));
    const graph = resize({ nodes: restored, input, output }, spec.input.height, spec.input.width);
    const digests = digestGraph(graph);
    if (digests.graph !== spec.graph || digests.weights !== spec.weights) throw new RangeError('its digest differs');
    checkWeights(graph);
    return { name, model: { kind: 'layers', graph }, spec };
  } catch (error) {
    throw new CacheError(
      `the base kept in ${dir} is damaged (${(error as Error).message}): delete that folder and run features again`,
      {
        cause: error,
      },
    );
  }
}
