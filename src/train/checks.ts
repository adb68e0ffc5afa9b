import { breathe, isBreath } from '../breathe.js';
import { CacheError, LabelError } from '../errors.js';
import { widthOf } from '../labels/targets.js';
import { Alike, sameValues } from './alike.js';
import type { Examples, TrainingData } from './run.js';
import { fitStandardization, type Standardization } from './standardize.js';
import { allRows, type VectorSource } from './vectors.js';

/** Shapes and ranges: what only a mistake in the calling program can get wrong. */
export function checkTargets({ vectors, y }: Examples, rows: Uint32Array, data: TrainingData, which: string): void {
  const { task, classes } = data;
  if (vectors.d !== data.vectors.d) {
    throw new TypeError(`${which} vectors have ${vectors.d} features, the training vectors ${data.vectors.d}`);
  }
  const width = widthOf(task, classes.length);
  if (y.length !== vectors.n * width) {
    throw new TypeError(`${which}: expected ${vectors.n} x ${width} targets, found ${y.length}`);
  }
  const high = task === 'multilabel' || task === 'binary' ? 1 : task === 'multiclass' ? classes.length - 1 : Infinity;
  const low = task === 'regression' ? -Infinity : 0;
  for (const row of rows) {
    if (row >= vectors.n) throw new TypeError(`${which} row ${row} is not below ${vectors.n}`);
    for (let k = row * width; k < (row + 1) * width; k++) {
      const target = y[k] as number;
      if (Number.isFinite(target) && target >= low && target <= high) continue;
      throw new TypeError(`${which} target ${target} of row ${row} is not from ${low} to ${high}`);
    }
  }
}

export function checkClasses({ task, classes, y }: TrainingData, rows: Uint32Array): void {
  if (rows.length === 0)
    throw new LabelError('no images to train on: label some, or give fewer to validation and test');
  if (task !== 'binary' && task !== 'multiclass') return;
  const first = y[rows[0] as number] as number;
  if (classes.length >= 2 && rows.some((row) => y[row] !== first)) return;
  throw new LabelError(
    `all training images are of the class ${classes[first]}: a head needs images of at least two classes`,
  );
}

type Job = { readonly data: Examples; readonly val: Examples | null };
type Rows = { readonly vectors: VectorSource; readonly rows: Uint32Array };

/** What is asked of vectors before they are trained on, each question once for all jobs. */
export class Checks {
  private readonly faults = new Map<VectorSource, Promise<ReadonlyMap<number, string>>>();
  private readonly rows = new Alike<Rows>((a, b) => a.vectors === b.vectors && sameValues(a.rows, b.rows));
  private readonly fitted = new Map<number, Promise<Standardization>>();

  constructor(private readonly jobs: readonly Job[]) {}

  /** @throws CacheError for a vector that is not finite */
  async finite(vectors: VectorSource, rows: Uint32Array, which: string): Promise<void> {
    const found = this.faults.get(vectors) ?? faultsOf(vectors, this.rowsOf(vectors));
    this.faults.set(vectors, found);
    const faults = await found;
    const bad = faults.size === 0 ? undefined : rows.find((row) => faults.has(row));
    if (bad === undefined) return;
    const [feature, value] = faults.get(bad)?.split(' ') ?? [];
    throw new CacheError(
      `feature ${feature} of ${which} vector ${bad} is ${value}: extract these vectors again, or remove the image`,
    );
  }

  /** @returns that of these rows */
  standardization(vectors: VectorSource, rows: Uint32Array): Promise<Standardization> {
    const number = this.rows.number({ vectors, rows });
    const fitted = this.fitted.get(number) ?? fitStandardization(vectors, rows);
    this.fitted.set(number, fitted);
    return fitted;
  }

  /** The rows of a source that any job wants. */
  private rowsOf(vectors: VectorSource): Uint32Array {
    const wanted = new Uint8Array(vectors.n);
    for (const { data, val } of this.jobs) {
      for (const side of [data, val]) {
        if (side?.vectors !== vectors) continue;
        for (const row of side.rows ?? allRows(vectors.n)) wanted[row] = 1;
      }
    }
    return allRows(vectors.n).filter((row) => wanted[row] === 1);
  }
}

/** @returns for each row with a feature that is not finite the first of these and its value */
async function faultsOf(vectors: VectorSource, rows: Uint32Array): Promise<ReadonlyMap<number, string>> {
  const { d } = vectors;
  const faults = new Map<number, string>();
  for await (const block of vectors.blocks(rows)) {
    const bits = new Int32Array(block.x.buffer, block.x.byteOffset, block.x.length);
    for (const [i, at] of block.at.entries()) {
      if (isBreath(i, 2 ** 12)) await breathe();
      if (areFinite(bits, at * d, (at + 1) * d)) continue;
      for (let j = at * d; j < (at + 1) * d; j++) {
        if (Number.isFinite(block.x[j])) continue;
        faults.set(block.rows[i] as number, `${j - at * d} ${block.x[j]}`);
        break;
      }
    }
  }
  return faults;
}

/** The bits of a float32's exponent: all are set where it is infinite or no number. */
const EXPONENT = 0x7f800000;

/** @param bits of float32 values; asking for the exponent takes less time than asking each value */
function areFinite(bits: Int32Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (((bits[i] as number) & EXPONENT) === EXPONENT) return false;
  return true;
}
