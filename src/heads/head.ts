import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HeadModel, writeHeadModel } from '../engine/onnx/head-model.js';
import { HeadError } from '../errors.js';
import type { StoreOptions } from '../files/index.js';
import { placeFiles } from './files.js';
import { type HeadInfo, parseHeadInfo, printHeadInfo } from './head-info.js';
import type { Metrics } from './metrics.js';
import { bothClasses, type TrainedHead } from './train.js';

/** Bytes of the largest `head.json` and `head.onnx` that are read. */
const LARGEST = { 'head.json': 2 ** 28, 'head.onnx': 2 ** 31 - 1 } as const;

/** A head as it lies on disk. */
export interface Head {
  /** What `head.json` holds. */
  readonly info: HeadInfo;
  /** The bytes of `head.onnx`: features `[n, d]` to probabilities `[n, units]`. */
  readonly model: Uint8Array;
}

/** Where the vectors came from, and who trained. */
export interface HeadOrigin {
  /** Of the feature set, 64 hex digits. */
  readonly fingerprint: string;
  /** All of the set's `_set.json`. */
  readonly set: Readonly<Record<string, unknown>>;
  /** Name to version of what did the work. */
  readonly versions: Readonly<Record<string, string>>;
}

/** What was measured of a head on its validation vectors; nulls without any. */
export interface Measured {
  readonly metrics: Metrics | null;
  /** Accuracy of always answering the commonest class of training. */
  readonly majority: number | null;
}

/** @returns the head ready to be saved; the same training gives the same bytes */
export function makeHead(trained: TrainedHead, { metrics, majority }: Measured, origin: HeadOrigin): Head {
  const { task, classes, d, standardization, options, train, val, history, bestEpoch } = trained;
  const model = writeHeadModel(trained.net, {
    classes: JSON.stringify(classes),
    fingerprint: origin.fingerprint,
  });
  const info: HeadInfo = {
    version: 1,
    task,
    classes,
    dim: d,
    fingerprint: origin.fingerprint,
    set: origin.set,
    standardization:
      standardization === null
        ? null
        : { mean: Array.from(standardization.mean), scale: Array.from(standardization.scale) },
    options,
    seed: options.seed,
    versions: origin.versions,
    train,
    val,
    metrics,
    majority,
    bestEpoch,
    history,
    model: createHash('sha256').update(model).digest('hex'),
  };
  return { info, model };
}

/**
 * Writes `head.onnx` and `head.json` into the folder, made if it is missing. Both are complete and synced under temporary names
 * before either appears, and `head.json` appears last.
 * @throws HeadError when they cannot be written; nothing is left behind then
 */
export async function saveHead(dir: string, head: Head, options: StoreOptions = {}): Promise<void> {
  const files = [
    ['head.onnx', head.model],
    ['head.json', Buffer.from(printHeadInfo(head.info))],
  ] as const;
  await placeFiles(dir, files, options);
}

/**
 * @returns the head of a folder, every field checked
 * @throws HeadError when the folder holds no head, or a damaged one
 */
export async function loadHead(dir: string): Promise<Head> {
  const json = await readBounded(dir, 'head.json');
  const info = parseHeadInfo(json.toString('utf8'), join(dir, 'head.json'));
  const model = await readBounded(dir, 'head.onnx');
  if (createHash('sha256').update(model).digest('hex') !== info.model) {
    throw new HeadError(
      `${join(dir, 'head.onnx')} is not the file that head.json was saved with: train the head again`,
    );
  }
  return { info, model };
}

async function readBounded(dir: string, name: keyof typeof LARGEST): Promise<Buffer> {
  const path = join(dir, name);
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size > LARGEST[name]) throw new HeadError(`${path} has ${size} bytes, a head at most ${LARGEST[name]}`);
      return await readFile(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof HeadError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new HeadError(`no head in ${dir}: ${name} is missing; train one, or give another folder`, { cause: error });
    }
    throw new HeadError(`${path} cannot be read (${code})`, { cause: error });
  }
}

/** A head in the engine, for many calls. */
export class HeadPredictor {
  private constructor(
    /** In the order of the probabilities. */
    readonly classes: readonly string[],
    /** Size of a vector. */
    readonly dim: number,
    private readonly task: HeadInfo['task'],
    private readonly model: HeadModel,
  ) {}

  /** @throws HeadError when the engine cannot run the model */
  static async open({ info, model }: Head): Promise<HeadPredictor> {
    const units = info.task === 'binary' ? 1 : info.classes.length;
    try {
      return new HeadPredictor(info.classes, info.dim, info.task, await HeadModel.load(model, info.dim, units));
    } catch (error) {
      const found = error instanceof Error ? error.message : String(error);
      throw new HeadError(`head.onnx is damaged (${found}): train the head again`, { cause: error });
    }
  }

  /**
   * @param vectors `[n, dim]`
   * @returns probabilities `[n, classes]`, both columns of a binary head too
   */
  async predict(vectors: Float32Array, n: number): Promise<Float32Array> {
    if (vectors.length !== n * this.dim) {
      throw new TypeError(`expected ${n} vectors of ${this.dim} features, found ${vectors.length} values`);
    }
    return bothClasses(this.task, await this.model.run(vectors, n));
  }

  async release(): Promise<void> {
    await this.model.release();
  }
}
