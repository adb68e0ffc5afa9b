import type { Argv, Options } from 'yargs';
import { type BaseOptions, UsageError } from '../src/index.js';
import type { Console } from './progress.js';

/** A number given on the command line, whole where asked, within bounds. */
export function numberOption(
  describe: string,
  { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY, whole = false, fallback }: NumberBounds,
): Options & { coerce: (value: unknown) => number | undefined } {
  return {
    describe,
    string: true,
    requiresArg: true,
    ...(fallback === undefined ? {} : { defaultDescription: String(fallback) }),
    coerce: (value: unknown) => {
      if (value === undefined) return fallback;
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
      if (!Number.isFinite(number) || number < min || number > max || (whole && !Number.isInteger(number))) {
        const kind = whole ? 'a whole number' : 'a number';
        const range =
          min === Number.NEGATIVE_INFINITY
            ? ''
            : max === Number.POSITIVE_INFINITY
              ? ` of at least ${min}`
              : ` from ${min} to ${max}`;
        throw new UsageError(`expected ${kind}${range} (${describe}), found ${JSON.stringify(value)}`);
      }
      return number;
    },
  };
}

const DURATION: Readonly<Record<string, number>> = { m: 60e3, h: 3600e3, d: 86_400e3, w: 7 * 86_400e3 };
const BYTES: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

/** A span of time such as `30d`, in ms. */
export const durationOption = (describe: string) =>
  unitOption(describe, /^(\d+(?:\.\d+)?)([mhdw])$/, DURATION, '90m, 12h, 30d or 8w');

/** An amount of bytes such as `10GB` or `512MiB`. */
export const byteOption = (describe: string) =>
  unitOption(describe, /^(\d+(?:\.\d+)?)((?:[kmgt]i?)?)b?$/, BYTES, '10GB or 512MiB');

function unitOption(describe: string, pattern: RegExp, units: Readonly<Record<string, number>>, example: string) {
  return {
    ...text(describe),
    coerce: (value: unknown): number | undefined => {
      if (value === undefined) return undefined;
      const [, number, unit = ''] = pattern.exec(String(value).trim().toLowerCase()) ?? [];
      const factor = units[unit];
      if (number === undefined || factor === undefined) {
        throw new UsageError(`expected ${example} (${describe}), found ${JSON.stringify(value)}`);
      }
      return Math.round(Number(number) * factor);
    },
  };
}

interface NumberBounds {
  min?: number;
  max?: number;
  whole?: boolean;
  fallback?: number;
}

/** `200` or `200x300` (height x width). */
function inputSize(value: unknown): readonly [number, number] | undefined {
  if (value === undefined) return undefined;
  const match = /^(\d{1,6})(?:x(\d{1,6}))?$/.exec(String(value));
  if (!match)
    throw new UsageError(`--input-size must be N or HxW, for example 200 or 200x300, found ${JSON.stringify(value)}`);
  return [Number(match[1]), Number(match[2] ?? match[1])];
}

export const text = (describe: string): Options & { string: true } => ({ describe, string: true, requiresArg: true });

export const common = <T>(yargs: Argv<T>) =>
  yargs
    .option('cache', { ...text('folder of feature sets, bases and heads'), default: 'cache' })
    .option('json', { describe: 'print one JSON object on stdout', boolean: true, default: false })
    .option('quiet', { describe: 'print nothing but errors', boolean: true, default: false });

/** What says which layers a base has. @param fallback the base where none is named */
export const layerFlags = <T, F extends string | undefined>(yargs: Argv<T>, fallback: F) =>
  yargs
    .option('base', {
      ...text('a base by name (permafrost bases lists them) or a model file'),
      default: fallback as F,
    })
    .option('alpha', numberOption('width multiplier of the mobilenets', { min: 0.01, max: 10 }))
    .option('include-top', { describe: 'build the classifier of a named base too', boolean: true })
    .option('layer', text('tap this layer (default: the output)'))
    .option('input-size', { ...text('N or HxW, pixels (default: the base’s own)'), coerce: inputSize });

/** @param fallback the base where none is named */
export const baseFlags = <T, F extends string | undefined>(yargs: Argv<T>, fallback: F) =>
  layerFlags(yargs, fallback)
    .option('weights', text('named bases: imagenet (default), random[:SEED] or a file (.h5, model.json)'))
    .option('pooling', { ...text('how a feature map becomes a vector'), choices: ['avg', 'max'] as const })
    .option('preprocess', { ...text('pixels to inputs'), choices: ['tf', 'caffe', 'torch', 'none'] as const })
    .option('store', { ...text('how values are stored (default: float32)'), choices: ['float32', 'float16'] as const })
    .option('image', {
      ...text('files to pixels'),
      choices: ['photo', 'keras', 'keras-bilinear'] as const,
      defaultDescription: 'photo',
    });

export const engineOption = {
  ...text('what runs the base, or trains the head'),
  choices: ['onnx', 'tensorflow'] as const,
  default: 'onnx' as const,
};

export const engineFlags = <T>(yargs: Argv<T>) =>
  yargs
    .option('engine', {
      ...text('what runs the base'),
      choices: ['onnx', 'tensorflow'] as const,
      default: 'onnx' as const,
    })
    .option('device', {
      ...text('where it runs'),
      choices: ['cpu', 'webgpu', 'cuda', 'coreml', 'dml'] as const,
      default: 'cpu' as const,
    })
    .option('threads', numberOption('threads of one operator', { min: 1, max: 1024, whole: true }))
    .option('batch-size', numberOption('images a run of the base', { min: 1, max: 4096, whole: true, fallback: 8 }));

/** Drops what was not given, so that the library's defaults hold. */
export function given<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}

interface BaseArguments<B extends string | undefined> {
  base: B;
  weights: string | undefined;
  alpha: number | undefined;
  includeTop: boolean | undefined;
  layer: string | undefined;
  pooling: 'avg' | 'max' | undefined;
  inputSize: readonly [number, number] | undefined;
  preprocess: 'tf' | 'caffe' | 'torch' | 'none' | undefined;
  image: 'photo' | 'keras' | 'keras-bilinear' | undefined;
  store: 'float32' | 'float16' | undefined;
}

type Given<B> = B extends string ? BaseOptions : Partial<BaseOptions>;

export function baseOptions<B extends string | undefined>(argv: BaseArguments<B>): Given<B> {
  const { base, weights, alpha, includeTop, layer, pooling, inputSize, preprocess, image, store } = argv;
  return given({ base, weights, alpha, includeTop, layer, pooling, inputSize, preprocess, image, store }) as Given<B>;
}

/** Shows a download of weights. */
export const showDownload =
  (console: Console) =>
  (file: string, received: number, total: number | null): void => {
    const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
    console.status(`${file}: ${mb(received)}${total === null ? '' : ` of ${mb(total)}`} MB`);
  };
