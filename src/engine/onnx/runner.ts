import { EngineError } from '../../errors.js';
import type { Runner } from '../engine.js';
import type { Compiled } from './compile.js';
import { INPUT } from './lower.js';
import ort from './runtime.js';

export const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);

/** What goes into a session and comes out. */
export interface Feeding {
  readonly asked: Compiled['outputs'];
  /** Of one image. */
  readonly shape: readonly number[];
  readonly input: 'float32' | 'uint8';
  /**
   * Whether a matrix product of one row takes another path than that of many and rounds differently; the same image must give the
   * same bits in any batch, so a single one then goes in twice.
   */
  readonly pair: boolean;
}

/** Images through a session whose one input is `INPUT`. */
export class SessionRunner implements Runner {
  constructor(
    private readonly session: ort.InferenceSession,
    private readonly feeding: Feeding,
  ) {}

  async run(images: Float32Array | Uint8Array, n: number): Promise<Float32Array[]> {
    const { asked, shape, input, pair } = this.feeding;
    const size = product(shape);
    if (images.length !== n * size) {
      throw new TypeError(`expected ${n} images of ${shape.join(' x ')}, found ${images.length} values`);
    }
    const rows = pair && n === 1 ? 2 : n;
    const fed = rows === n ? images : twice(images);
    let results: ort.InferenceSession.OnnxValueMapType;
    try {
      results = await this.session.run({ [INPUT]: new ort.Tensor(input, fed, [rows, ...shape]) });
    } catch (error) {
      throw new EngineError(`the engine failed: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    return asked.map(({ name, shape: given }) => {
      const data = results[name]?.data;
      const length = rows * product(given);
      if (!(data instanceof Float32Array) || data.length !== length) {
        throw new EngineError(`the engine gave no output ${name} of ${length} values`);
      }
      return rows === n ? data : data.subarray(0, n * product(given));
    });
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

function twice(images: Float32Array | Uint8Array): Float32Array | Uint8Array {
  const both = images instanceof Float32Array ? new Float32Array(images.length * 2) : new Uint8Array(images.length * 2);
  both.set(images);
  both.set(images, images.length);
  return both;
}

/** For models that take one image only. */
export function oneByOne(runner: Runner): Runner {
  return {
    ...(runner.lanes === undefined ? {} : { lanes: runner.lanes }),
    async run(images, n) {
      const size = images.length / n;
      const each = Array.from({ length: n }, (_, i) => runner.run(images.slice(i * size, (i + 1) * size), 1));
      const rows = (await Promise.all(each)).map(([row]) => row as Float32Array);
      const length = rows[0]?.length ?? 0;
      const all = new Float32Array(length * n);
      for (const [i, row] of rows.entries()) all.set(row, i * length);
      return [all];
    },
    release: () => runner.release(),
  };
}
