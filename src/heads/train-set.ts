import path from 'node:path';
import { type BaseOptions, type BaseSpec, nameBase, type OpenHooks } from '../base/index.js';
import { runtimeVersion } from '../engine/onnx/session.js';
import { CacheError, LabelError, UsageError } from '../errors.js';
import { hashedFiles } from '../features/hashes.js';
import { FeatureSet, FileIndex, fingerprint } from '../features/index.js';
import { classFolders } from '../images/index.js';
import { version } from '../version.js';
import { makeHead, saveHead } from './head.js';
import { labelsFromFile } from './label-file.js';
import { type DataFile, type Example, labelsFromFolders } from './labels.js';
import { type Metrics, majorityBaseline, measure } from './metrics.js';
import { OPTION_RULES } from './option-rules.js';
import type { HeadOptions } from './options.js';
import { splitExamples } from './split.js';
import type { Task } from './targets.js';
import { type EpochRecord, outputsOf, trainHead } from './train.js';
import { memoryVectors } from './vectors.js';

export interface TrainOptions extends Partial<BaseOptions>, HeadOptions, OpenHooks {
  /** Folder of images: one folder a class, or such folders below `train` and `val`. */
  readonly data: string;
  /** Default `cache`. */
  readonly cache?: string;
  /** A feature set's folder, in the place of the base that made it. */
  readonly features?: string;
  /** CSV or JSONL file with `path` or `sha256`, `label`, and where wanted `split` and `group`. Default: folder names. */
  readonly labels?: string;
  /** Share of validation where no split is given. Default 0.2. */
  readonly val?: number;
  /** Labelled images without vectors: `error` (default) or `skip`. */
  readonly missing?: 'error' | 'skip';
  /** Name of the head in `cache/heads`. Default: the set's name. */
  readonly name?: string;
  /** Folder of the head, in the place of a name. */
  readonly out?: string;
  readonly onEpoch?: (record: EpochRecord) => void;
  readonly onWarning?: (message: string) => void;
}

export interface TrainResult {
  /** Name of the head. */
  readonly head: string;
  /** Its absolute folder. */
  readonly dir: string;
  readonly task: Task;
  readonly classes: readonly string[];
  /** Images trained on, validated on, and left for a test. */
  readonly train: number;
  readonly val: number;
  readonly test: number;
  /** On validation; null without any. */
  readonly metrics: Metrics | null;
  /** Accuracy on validation of always answering the commonest class. */
  readonly majority: number | null;
  /** Epochs run, and the one whose weights were kept. */
  readonly epochs: number;
  readonly bestEpoch: number;
  readonly seconds: number;
}

/** The command that makes the vectors which are missing. */
function remedy(options: TrainOptions): string {
  const flags = [`--data ${options.data}`];
  if (options.base !== undefined) flags.push(`--base ${options.base}`);
  const { weights, alpha, layer, pooling, inputSize, preprocess, image, cache } = options;
  const given = { weights, alpha, layer, pooling, 'input-size': inputSize?.join('x'), preprocess, image, cache };
  for (const [flag, value] of Object.entries(given)) if (value !== undefined) flags.push(`--${flag} ${value}`);
  return `permafrost features ${flags.join(' ')}`;
}

async function openSet(options: TrainOptions, cache: string): Promise<FeatureSet> {
  if (options.features !== undefined) return FeatureSet.open(options.features);
  const { base } = options;
  if (base === undefined) throw new UsageError('give --base, or --features with the folder of a feature set');
  const { spec, name } = await nameBase(cache, { ...options, base }, options);
  const set = await FeatureSet.find(cache, fingerprint(spec));
  if (!set)
    throw new CacheError(`there are no features of ${name} with these settings in ${cache}: run ${remedy(options)}`);
  return set;
}

function checkName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name)) return name;
  throw new UsageError(
    `a head's name is letters, digits, dots, hyphens and underscores, found ${JSON.stringify(name)}; a folder goes with --out`,
  );
}

/**
 * Stage two: trains a Dense head on vectors that are stored already, and saves it. Opens no image that it has seen before and
 * loads no base.
 * @throws UsageError, DataError, LabelError or CacheError for what is missing or wrong; HeadError when it cannot be saved
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const started = performance.now();
  const { data, cache = 'cache', val = 0.2, seed = 0, missing = 'error', signal } = options;
  if (options.name !== undefined) checkName(options.name);
  const set = await openSet(options, cache);
  await set.markUsed();
  const index = await FileIndex.open(cache);
  const files: DataFile[] = [];
  for await (const file of hashedFiles(data, index, signal)) {
    if (file.sha256 !== null) files.push({ path: file.path, sha256: file.sha256 });
  }
  await index.save();
  const labelled =
    options.labels === undefined
      ? labelsFromFolders(files, await emptyFolders(data, files))
      : await labelsFromFile(options.labels, data, files, { missing });
  for (const warning of labelled.warnings) options.onWarning?.(warning);

  const quarantine = await set.quarantine();
  const usable = labelled.examples.filter(({ sha256 }) => !quarantine.has(sha256));
  const aside = labelled.examples.length - usable.length;
  if (aside > 0) options.onWarning?.(`${aside} labelled images are in quarantine: left out`);
  const { vectors, found, missing: absent } = await set.read(usable.map(({ sha256 }) => sha256));
  if (absent.length > 0) {
    const what = `${absent.length} of ${usable.length} labelled images have no vectors in ${set.dir}`;
    if (missing === 'error') throw new CacheError(`${what}: run ${remedy(options)}, or use --missing skip`);
    options.onWarning?.(`${what}: skipped`);
  }
  const examples = Array.from(found, (row) => usable[row] as Example);
  const { classes } = labelled;
  const bare = classes.find((name) => examples.every(({ label }) => label !== name));
  if (bare !== undefined)
    throw new LabelError(`class ${bare} has no image that can be used: add some, or remove the class`);

  const sides = splitExamples(examples, { seed, val });
  const d = set.spec.features;
  const rowOf = new Map(examples.map((example, row) => [example, row]));
  const rowsOf = (side: readonly Example[]) => Uint32Array.from(side, (example) => rowOf.get(example) ?? 0).sort();
  const source = memoryVectors(vectors, d);
  const y = Int32Array.from(examples, ({ label }) => classes.indexOf(label));
  const task: Task = classes.length === 2 ? 'binary' : 'multiclass';
  const headOptions: HeadOptions = Object.fromEntries(
    Object.entries(options).filter(([name, value]) => Object.hasOwn(OPTION_RULES, name) && value !== undefined),
  );
  const rows = rowsOf(sides.train);
  const valRows = rowsOf(sides.val);
  const trained = await trainHead(
    { task, classes, vectors: source, y, rows },
    { vectors: source, y, rows: valRows },
    headOptions,
    {
      ...(options.onEpoch ? { onEpoch: (_, record) => options.onEpoch?.(record) } : {}),
      ...(signal ? { signal } : {}),
    },
  );
  const valY = Int32Array.from(valRows, (row) => y[row] ?? 0);
  const measured =
    valRows.length === 0
      ? { metrics: null, majority: null }
      : {
          metrics: measure(await outputsOf(trained, source, valRows), valY, classes.length),
          majority: majorityBaseline(
            Int32Array.from(rows, (row) => y[row] ?? 0),
            valY,
            classes.length,
          ),
        };
  const origin = {
    fingerprint: set.fingerprint,
    set: set.spec as unknown as Record<string, unknown>,
    versions: { permafrost: version, onnxruntime: runtimeVersion },
  };
  const head = options.out === undefined ? (options.name ?? path.basename(set.dir)) : path.basename(options.out);
  const dir = path.resolve(options.out ?? path.join(cache, 'heads', head));
  await saveHead(dir, makeHead(trained, measured, origin));
  return {
    head,
    dir,
    task: trained.task,
    classes: trained.classes,
    train: trained.train,
    val: trained.val,
    test: sides.test.length,
    ...measured,
    epochs: trained.history.length,
    bestEpoch: trained.bestEpoch,
    seconds: (performance.now() - started) / 1000,
  };
}

/** Folders that may name a class and hold no image. */
async function emptyFolders(data: string, files: readonly DataFile[]): Promise<string[]> {
  const full = new Set(
    files.flatMap(({ path: file }) => {
      const parts = file.split('/').slice(0, -1);
      return parts.map((_, i) => parts.slice(0, i + 1).join('/'));
    }),
  );
  return (await classFolders(data)).filter((folder) => !full.has(folder));
}

/** The spec that a set or a head carries, as the base's own. */
export const specOf = (set: Readonly<Record<string, unknown>>): BaseSpec => set as unknown as BaseSpec;
