import { MessageChannel, type MessagePort } from 'node:worker_threads';
import ort from '../../engine/onnx/runtime.js';
import { EngineError } from '../../errors.js';

/** @returns a tensor on the values, where they lie; of memory that threads share, which the engine does not take, on copies */
export const tensor = (data: Float32Array, dims: readonly number[]): ort.Tensor =>
  new ort.Tensor('float32', data.buffer instanceof SharedArrayBuffer ? new Float32Array(data) : data, dims);
/** @returns sizes, as graphs take them for a reshape */
export const shape = (...dims: number[]): ort.Tensor =>
  new ort.Tensor('int64', BigInt64Array.from(dims, BigInt), [dims.length]);
/** @returns row numbers as graphs take them, where they lie */
export const int32 = (rows: Uint32Array): Int32Array => new Int32Array(rows.buffer, rows.byteOffset, rows.length);

/**
 * @param x `[any, d]`
 * @returns what graphs take rows of vectors from, and which they are: the vectors where they lie; of memory that threads share, copies of
 * these rows alone
 */
export function featuresOf(x: Float32Array, d: number, at: Uint32Array): { features: ort.Tensor; rows: Int32Array } {
  if (!(x.buffer instanceof SharedArrayBuffer)) return { features: tensor(x, [x.length / d, d]), rows: int32(at) };
  const own = new Float32Array(at.length * d);
  at.forEach((row, i) => {
    own.set(x.subarray(row * d, (row + 1) * d), i * d);
  });
  return { features: tensor(own, [at.length, d]), rows: Int32Array.from(at.keys()) };
}

/**
 * @returns what gives the outputs of one run by name
 * @throws EngineError when it fails
 */
export async function runSession(session: ort.InferenceSession, feeds: Record<string, ort.Tensor>) {
  const results = await session.run(feeds).catch(failed);
  return (name: string): ort.Tensor => results[name] as ort.Tensor;
}

/** Bytes from which on memory is let go of. */
const LARGE = 2 ** 15;

/**
 * Runs into the tensors given, one for each output. The engine's binding makes a copy of each even so: where those wait for the
 * garbage collector, memory that is not in the processor's caches is filled in every run, which takes longer than a large product.
 * @throws EngineError when it fails
 */
export async function runInto(
  session: ort.InferenceSession,
  feeds: Record<string, ort.Tensor>,
  outputs: Record<string, ort.Tensor>,
): Promise<void> {
  const results = await session.run(feeds, outputs).catch(failed);
  const copies: ArrayBufferLike[] = [];
  for (const [name, { data }] of Object.entries(outputs)) {
    const copy = ((results[name] as ort.Tensor).data as Float32Array).buffer;
    if (copy.byteLength >= LARGE && copy !== (data as Float32Array).buffer) copies.push(copy);
  }
  letGo(copies as ArrayBuffer[]);
}

function failed(error: unknown): never {
  throw new EngineError(`onnxruntime failed while training: ${error instanceof Error ? error.message : error}`, {
    cause: error,
  });
}

let away: MessagePort | undefined;

/** Frees memory at once: what is sent to a port that nobody holds is gone. */
function letGo(memory: ArrayBuffer[]): void {
  if (away === undefined) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    away = port1;
  }
  away.postMessage(null, memory);
}
