import { join } from 'node:path';
import { sha256Hex } from '../canonical.js';
import { HeadError } from '../errors.js';
import { errorCode, readNamed, type StoreOptions, whyUnreadable } from '../files/index.js';
import { HeadModel, writeHeadModel } from '../train/head-model.js';
import { unitsOf } from '../train/net.js';
import { bothClasses } from '../train/train.js';
import { EXAMPLES } from './examples.js';
import { placeFiles } from './files.js';
import type { FittedHead } from './fit.js';
import { HEAD_VERSION, type HeadInfo, parseHeadInfo, printHeadInfo } from './head-info.js';
import type { SetFacts } from './joined-sets.js';

/** Bytes of the largest `head.json` and `head.onnx` that are read. */
const LARGEST = { 'head.json': 2 ** 28, 'head.onnx': 2 ** 31 - 1 } as const;

/** A head as it lies on disk. */
export interface Head {
  /** What `head.json` holds. */
  readonly info: HeadInfo;
  /** The bytes of `head.onnx`: features `[n, d]` to probabilities `[n, units]`. */
  readonly model: Uint8Array;
  /** The bytes of `examples.arrow`, where it is to be saved: see `examplesFile`. */
  readonly examples?: Uint8Array;
}

/** Where the vectors came from, and who trained. */
export interface HeadOrigin {
  /** The feature sets whose vectors are joined, at least one. */
  readonly sets: readonly SetFacts[];
  /** Name to version of what did the work. */
  readonly versions: Readonly<Record<string, string>>;
  /** 64 hex digits for what decided the head, for plans. */
  readonly identity: string | null;
}

/**
 * @param examples the images that it was trained and judged on, as `examplesFile` gives them
 * @returns the head ready to be saved; the same training gives the same bytes
 */
export function makeHead(
  { trained, learned }: Pick<FittedHead, 'trained' | 'learned'>,
  { sets, versions, identity }: HeadOrigin,
  examples?: Uint8Array,
): Head {
  const { task, classes, d, standardization, options, history, net, closedForm } = trained;
  const [first, ...joined] = sets;
  if (first === undefined) throw new TypeError('a head comes from one feature set at least');
  const model = writeHeadModel(net, { classes: JSON.stringify(classes), fingerprint: first.fingerprint });
  const info: HeadInfo = {
    version: HEAD_VERSION,
    task,
    classes,
    dim: d,
    fingerprint: first.fingerprint,
    set: first.set,
    joined,
    standardization:
      standardization === null
        ? null
        : { mean: Array.from(standardization.mean), scale: Array.from(standardization.scale) },
    options,
    seed: options.seed,
    versions,
    identity,
    ...learned,
    closedForm: closedForm ?? null,
    history,
    model: sha256Hex(model),
    examples: examples === undefined ? null : sha256Hex(examples),
  };
  return { info, model, ...(examples === undefined ? {} : { examples }) };
}

/**
 * Writes `head.onnx`, `examples.arrow` and `head.json` into the folder, made if it is missing. All are complete and synced under
 * temporary names before any appears, and `head.json` appears last.
 * @throws HeadError when they cannot be written; nothing is left behind then
 */
export async function saveHead(dir: string, head: Head, options: StoreOptions = {}): Promise<void> {
  const files: [string, Uint8Array][] = [['head.onnx', head.model]];
  if (head.examples !== undefined) files.push([EXAMPLES, head.examples]);
  files.push(['head.json', Buffer.from(printHeadInfo(head.info))]);
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
  if (sha256Hex(model) !== info.model) {
    throw new HeadError(
      `${join(dir, 'head.onnx')} is not the file that head.json was saved with: train the head again`,
    );
  }
  return { info, model };
}

async function readBounded(dir: string, name: keyof typeof LARGEST): Promise<Buffer> {
  const path = join(dir, name);
  try {
    return await readNamed(path, LARGEST[name]);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new HeadError(`no head in ${dir}: ${name} is missing; train one, or give another folder`, { cause: error });
    }
    throw new HeadError(`${path} ${whyUnreadable(error)}: the head cannot be used`, { cause: error });
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
    const units = unitsOf(info.task, info.classes.length);
    try {
      return new HeadPredictor(info.classes, info.dim, info.task, await HeadModel.load(model, info.dim, units));
    } catch (error) {
      const found = error instanceof Error ? error.message : String(error);
      throw new HeadError(`head.onnx is damaged (${found}): train the head again`, { cause: error });
    }
  }

  /**
   * @param vectors `[n, dim]`
   * @returns probabilities `[n, classes]`, both columns of a binary head too; of a regression values `[n]`
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
