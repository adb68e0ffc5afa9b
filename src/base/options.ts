import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../errors.js';
import type { ImageMode } from '../images/modes.js';
import { applications } from '../keras/index.js';
import { nearestNames } from '../options/nearest.js';
import type { Preprocessing } from './preprocess.js';
import type { BaseSpec, Pooling } from './spec.js';

/** The largest height or width that `inputSize` may ask for. */
export const MAX_INPUT_SIZE = 4096;

export interface BaseOptions {
  /** A name (`xception`, `resnet50`, `xception-mini`, … : `listBases`), or a model file: anything with a slash or a suffix. */
  readonly base: string;
  /** Named bases: `imagenet` (default), `random` or `random:SEED`, or a weights file. */
  readonly weights?: string;
  /** Width multiplier of the MobileNets. Default 1. */
  readonly alpha?: number;
  /** Named bases: build the classifier too (`include_top=True`), so that its layers can be tapped. Default false. */
  readonly includeTop?: boolean;
  /** The layer to tap, by its Keras name. Default: the model's output. */
  readonly layer?: string;
  /** How a feature map becomes a vector. Default `avg`. */
  readonly pooling?: Pooling;
  /** Height and width of the images that the base sees, in pixels. Default: the base's own. */
  readonly inputSize?: readonly [height: number, width: number];
  /** Default: the known base's own; `none` where the model begins with Rescaling or Normalization. */
  readonly preprocess?: Preprocessing;
  /** How a file becomes pixels. Default `photo`. */
  readonly image?: ImageMode;
  /** How the values of a vector are stored; float16 halves the space and keeps 11 bits of each. Default `float32`. */
  readonly store?: BaseSpec['type'];
}

export interface OpenHooks {
  readonly signal?: AbortSignal;
  /** Something people should know of a base that opens all the same. */
  readonly onWarning?: (message: string) => void;
  /** While weights are downloaded: bytes so far, and in all where the server says. */
  readonly onDownload?: (file: string, received: number, total: number | null) => void;
}

export const MINI = {
  name: 'xception-mini',
  size: 96,
  file: fileURLToPath(new URL('../../../base/xception_mini.keras', import.meta.url)),
};

/** Names of the bases that need no model file. */
export const baseNames = (): string[] => [MINI.name, ...applications.keys()].sort();

/** The model file that a base is given as: a folder stands for the model.json in it. */
export function modelFile(base: string): string {
  const inside = path.join(base, 'model.json');
  return existsSync(inside) ? inside : base;
}

/** Whether a base is given as a file: anything with a slash or a suffix. */
export const isFile = (base: string): boolean => /[/\\]/.test(base) || path.extname(base) !== '';

/**
 * Checks what can be checked without opening a file.
 * @throws UsageError for an unknown name or a value out of range
 */
export function checkBaseOptions(options: BaseOptions): void {
  const { base, inputSize, alpha, weights } = options;
  if (!isFile(base) && base !== MINI.name && !applications.has(base)) {
    throw new UsageError(
      `there is no base ${JSON.stringify(base)}: did you mean ${nearestNames(base, baseNames()).join(' or ')}? ` +
        'permafrost bases lists all; a model file needs a slash or a suffix (./model.keras, ./model.onnx)',
    );
  }
  for (const size of inputSize ?? []) {
    if (!Number.isInteger(size) || size < 1 || size > MAX_INPUT_SIZE) {
      throw new UsageError(`the input size must be whole numbers from 1 to ${MAX_INPUT_SIZE}, found ${size}`);
    }
  }
  const application = applications.get(base);
  for (const [flag, value] of Object.entries({ alpha, weights, 'include-top': options.includeTop || undefined })) {
    if (value !== undefined && !application) {
      throw new UsageError(
        `--${flag} goes with a base of keras.applications (permafrost bases lists them), not with ${base}`,
      );
    }
  }
  if (alpha !== undefined && !application?.alphas) {
    const having = [...applications.values()].filter(({ alphas }) => alphas).map(({ name }) => name);
    throw new UsageError(`${base} has no --alpha; these have: ${having.join(', ')}`);
  }
}

/** The file that holds a base's weights, where it is one that is known without opening or downloading anything. */
export function baseFile(options: BaseOptions): string | null {
  if (isFile(options.base)) return path.resolve(modelFile(options.base));
  if (options.base === MINI.name) return MINI.file;
  const { weights = 'imagenet' } = options;
  return weights === 'imagenet' || randomSeed(weights) !== null ? null : path.resolve(weights);
}

export function randomSeed(weights: string): string | null {
  const match = /^random(?::(.+))?$/.exec(weights);
  return match ? (match[1] ?? '0') : null;
}
