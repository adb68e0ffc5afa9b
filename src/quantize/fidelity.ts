import type { OnnxProgram } from '../engine/engine.js';
import { createSession } from '../engine/onnx/session.js';
import { type Batch, imageTensor } from './observe.js';

interface Threads {
  readonly threads?: number;
  readonly optimize?: boolean;
}

/** @returns the vectors that a program gives */
export async function vectorsOf(
  program: OnnxProgram,
  batches: readonly Batch[],
  { threads, optimize = true }: Threads = {},
): Promise<Float32Array[]> {
  const { graph, imports } = program;
  const session = await createSession(graph, { imports, optimize, ...(threads === undefined ? {} : { threads }) });
  const [input = '', output = ''] = [graph.inputs[0]?.name, graph.outputs[0]?.name];
  const vectors: Float32Array[] = [];
  try {
    for (const batch of batches) {
      const found = await session.run({ [input]: imageTensor(program, batch) });
      const data = found[output]?.data as Float32Array;
      const d = data.length / batch.n;
      for (let i = 0; i < batch.n; i++) vectors.push(data.slice(i * d, (i + 1) * d));
    }
  } finally {
    await session.release();
  }
  return vectors;
}

/** @returns the cosine of each pair of vectors; of two without length 1 */
export function cosines(a: readonly Float32Array[], b: readonly Float32Array[]): number[] {
  return a.map((x, i) => {
    const y = b[i] as Float32Array;
    let [dot, xx, yy] = [0, 0, 0];
    for (const [k, value] of x.entries()) {
      dot += value * (y[k] ?? 0);
      xx += value ** 2;
      yy += (y[k] ?? 0) ** 2;
    }
    return xx === 0 && yy === 0 ? 1 : dot / Math.max(Math.sqrt(xx * yy), Number.MIN_VALUE);
  });
}

/** @returns the share of the multiply-adds of layers that are not left in float */
export function int8Share(work: readonly number[], float: readonly number[]): number {
  const total = work.reduce((a, b) => a + b, 0);
  return 1 - float.reduce((sum, i) => sum + (work[i] ?? 0), 0) / total;
}

/** Images a second of two programs, each the median of some batches run in turns. */
export interface Speed {
  readonly float32: number;
  readonly int8: number;
}

/** What int8 is worth, for people. */
export interface Int8Report {
  /** The calibration's file, absolute. */
  readonly calibration: string;
  /** Whether this run made it. */
  readonly made: boolean;
  /** Mean cosine with float32, and the cosine that 1 % of the images lie below. */
  readonly fidelity: { readonly mean: number; readonly low: number; readonly images: number };
  /** Share of the multiply-adds in int8. */
  readonly share: number;
  /** Images a second on this machine, without decoding; null where it was not measured. */
  readonly speed: Speed | null;
}

/** Batches that are timed, after one of each to warm up. */
const TIMED = 7;

/** @returns the speed of both on this machine */
export async function speeds(
  float32: OnnxProgram,
  int8: OnnxProgram,
  batch: Batch,
  { threads }: Threads = {},
): Promise<Speed> {
  const sessions = [];
  try {
    for (const { graph, imports } of [float32, int8])
      sessions.push(await createSession(graph, { imports, ...(threads === undefined ? {} : { threads }) }));
    const times: number[][] = sessions.map(() => []);
    for (let turn = 0; turn <= TIMED; turn++) {
      for (const [i, session] of sessions.entries()) {
        const feeds = { [float32.graph.inputs[0]?.name ?? '']: imageTensor(float32, batch) };
        const start = performance.now();
        await session.run(feeds);
        if (turn > 0) times[i]?.push(performance.now() - start);
      }
    }
    const [a = 0, b = 0] = times.map((all) => all.sort((x, y) => x - y)[Math.floor(all.length / 2)] ?? 0);
    return { float32: (1000 * batch.n) / a, int8: (1000 * batch.n) / b };
  } finally {
    for (const session of sessions) await session.release();
  }
}
