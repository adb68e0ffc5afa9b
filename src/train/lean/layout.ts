import type { PackSpec } from '../net-spec.js';
import { kernels, sharedKernels } from './kernels.js';
import { inLines, type KernelMemory } from './memory.js';
import { type Desk, type HeadPlace, type Machine, machineOf } from './walk.js';

/** Numbers of the vectors that are gathered at once: they stay in the processor's cache while all heads see them. */
const GATHERED = 2 ** 18;

/** Where things lie in a memory; addresses in bytes. */
export interface Layout {
  readonly batchSize: number;
  readonly machine: Machine;
  /** The memory in which vectors are taken in place; undefined where they are gathered in one of its own. */
  readonly shared: KernelMemory | undefined;
  /** The one in which they lie, whether or not there was room in it. */
  readonly over: KernelMemory | undefined;
  /** Kinds of rows for which there is room. */
  readonly kinds: number;
  /** Of either thread. */
  readonly desks: readonly [Desk, Desk];
  readonly heads: readonly HeadPlace[];
  /** Where they are gathered: their addresses, and for each kind of rows where those wait that the next would be written over. */
  readonly gathered: Uint32Array;
  readonly carries: readonly number[];
}

/** @returns bytes behind vectors that are taken in place: for the trainer of so many heads, twice, as the next may begin before the last has gone */
export const leanRoom = (d: number, units: number, heads: number, batchSize: number): number =>
  2 * (inLines(stateBytes(d, units)) * (3 * heads + 2) + 2 * inLines(4 * batchSize) * (units + 1));

const stateBytes = (d: number, units: number): number => 4 * (d + 1) * units;

/**
 * @param kinds of rows that heads see
 * @param over where vectors lie, when it is a memory of the kernels
 * @returns places for so many heads: in that memory if there is room, else in one of their own
 */
export function layOut(
  spec: PackSpec,
  heads: number,
  batchSize: number,
  kinds: number,
  over: KernelMemory | undefined,
): Layout {
  return (over && inShared(spec, heads, batchSize, over)) ?? inOwn(spec, heads, batchSize, kinds, over);
}

function inShared(spec: PackSpec, heads: number, batchSize: number, shared: KernelMemory): Layout | null {
  const parts = partsOf(spec, heads, batchSize);
  const start = shared.take(bytesOf([...parts.desk, ...parts.desk, ...parts.heads.flat()]));
  if (start === null) return null;
  const take = taking(start);
  return {
    ...{ batchSize, shared, over: shared, kinds: Infinity, gathered: new Uint32Array(0), carries: [] },
    machine: machineOf(sharedKernels(shared.memory), shared.memory.buffer),
    desks: [deskOf(parts.desk.map(take)), deskOf(parts.desk.map(take))],
    heads: parts.heads.map((sizes) => headOf(sizes.map(take))),
  };
}

function inOwn(
  spec: PackSpec,
  heads: number,
  batchSize: number,
  kinds: number,
  over: KernelMemory | undefined,
): Layout {
  const parts = partsOf(spec, heads, batchSize);
  const stride = strideOf(spec);
  // As many minibatches as there is room for: of heads that see all, none is carried over.
  const count = batchSize * Math.max(1, Math.floor(GATHERED / (batchSize * spec.d)));
  const carried = Array.from({ length: kinds }, () => (kinds > 1 ? (batchSize - 1) * stride : 0));
  const { memory, run } = kernels(bytesOf([...parts.desk, ...parts.heads.flat(), count * stride, ...carried]));
  const take = taking(0);
  const desk = deskOf(parts.desk.map(take));
  const places = parts.heads.map((sizes) => headOf(sizes.map(take)));
  const vectors = take(count * stride);
  return {
    ...{ batchSize, shared: undefined, over, kinds, desks: [desk, desk], heads: places },
    machine: machineOf(run, memory.buffer),
    gathered: Uint32Array.from({ length: count }, (_, i) => vectors + i * stride),
    carries: carried.map(take),
  };
}

/** @returns bytes from one gathered vector to the next */
export const strideOf = ({ d }: Pick<PackSpec, 'd'>): number => inLines(4 * d);

/** Bytes of what a thread, and each head, has. */
function partsOf({ d, units }: PackSpec, heads: number, batchSize: number) {
  const state = stateBytes(d, units);
  return {
    desk: [4 * batchSize, 4 * units * batchSize, state],
    heads: Array.from({ length: heads }, () => [state, state, state]),
  };
}

const bytesOf = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + inLines(size), 0);
const deskOf = ([list = 0, logits = 0, gradient = 0]: readonly number[]): Desk => ({ list, logits, gradient });
const headOf = ([weights = 0, momentum = 0, velocity = 0]: readonly number[]): HeadPlace => ({
  ...{ weights, momentum, velocity },
});

/** @returns what gives addresses, one behind the other, by size */
function taking(start: number): (size: number) => number {
  let next = start;
  return (size) => {
    const at = next;
    next += inLines(size);
    return at;
  };
}
