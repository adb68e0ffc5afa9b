import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { canonicalJson, type Json } from '../canonical.js';
import { CacheError } from '../errors.js';
import type { Graph, Node, Op, Tensor } from '../graph/graph.js';
import { checkWeights } from '../graph/infer.js';
import { resize } from '../graph/passes.js';
import { type Base, layerGraph } from './open.js';
import { type BaseSpec, baseDigest, digestGraph } from './spec.js';

/** The folder in which a cache keeps the base of a spec. */
export const keptDir = (cache: string, spec: BaseSpec): string => path.join(cache, 'bases', baseDigest(spec));

async function writeSynced(file: string, chunks: readonly Uint8Array[]): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    for (const chunk of chunks) await handle.writeFile(chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what runs of this host that were killed have left half done. */
async function removeStale(folder: string): Promise<void> {
  const mine = `_tmp-${hostname()}-`;
  for (const name of await readdir(folder).catch(() => [])) {
    const pid = name.startsWith(mine) ? Number.parseInt(name.slice(mine.length), 10) : Number.NaN;
    if (Number.isInteger(pid) && !isAlive(pid)) await rm(path.join(folder, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/**
 * Keeps a base (its cut graph and weights) in `cache/bases`, once: `base.json` and `weights.f32` (little-endian, in the order of
 * the nodes), put in place by renaming a complete folder.
 * @throws CacheError when it cannot be written
 */
export async function keepBase(cache: string, base: Base): Promise<void> {
  const dir = keptDir(cache, base.spec);
  if (
    await stat(path.join(dir, 'base.json')).then(
      () => true,
      () => false,
    )
  )
    return;
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
  const temporary = path.join(cache, 'bases', `_tmp-${hostname()}-${process.pid}-${baseDigest(base.spec)}`);
  try {
    await removeStale(path.dirname(temporary));
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true });
    const bytes = tensors.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    await writeSynced(path.join(temporary, 'weights.f32'), bytes);
    await writeSynced(path.join(temporary, 'base.json'), [new TextEncoder().encode(json)]);
    await rename(temporary, dir);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return; // another run was first
    const reason =
      (error as NodeJS.ErrnoException).code === 'ENOSPC'
        ? 'the disk is full, so free some space and run the same command again'
        : (error as Error).message;
    throw new CacheError(`the base could not be kept in ${path.join(cache, 'bases')}: ${reason}`, { cause: error });
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
