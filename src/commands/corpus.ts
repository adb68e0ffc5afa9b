import { type BaseOptions, nameBase, type OpenHooks, type PrecisionOptions, superseded } from '../base/index.js';
import { breathe, isBreath } from '../breathe.js';
import { CacheError, UsageError } from '../errors.js';
import { hashedFiles } from '../extract/hashes.js';
import { JoinedSets, type VectorTable } from '../heads/joined-sets.js';
import type { HoldingOptions } from '../heads/stored-vectors.js';
import type { LabelFileOptions } from '../labels/label-file.js';
import type { DataFile, LabelledData } from '../labels/labels.js';
import type { Task } from '../labels/targets.js';
import { plain } from '../plain.js';
import { FeatureSet, FileIndex, fingerprint } from '../store/index.js';
import { emptyFolders, readLabels } from './read-labels.js';
import { olderSets } from './superseded.js';

/** How labels are read. */
export type ReadingOptions = Omit<LabelFileOptions, 'missing' | 'task'>;

/** Which images, and which of their vectors. */
export interface CorpusOptions extends Partial<BaseOptions>, PrecisionOptions, OpenHooks, ReadingOptions {
  /** Folder of images: one folder a class, or such folders below `train`, `val` and `test`. */
  readonly data: string;
  /** Default `cache`. */
  readonly cache?: string;
  /**
   * Folders of feature sets, in the place of the base that made them. Sets of one fingerprint count as one; the vectors of sets of
   * different fingerprints are joined, in this order.
   */
  readonly features?: string | readonly string[];
  /** Rows of label files without an image or a label, and labelled images without vectors: `error` (default) or `skip`. */
  readonly missing?: 'error' | 'skip';
  /** Bytes of vectors held at once; of a larger set they are read from its parts again each epoch. Default 1 GiB. */
  readonly memory?: number;
  readonly onWarning?: (message: string) => void;
  /** What was understood of labels, in one line. */
  readonly onLabels?: (message: string) => void;
}

/** Which labels. */
export interface LabelOptions {
  /**
   * File of labels: text with separators, JSON, JSONL, Parquet, Arrow or an export of Label Studio, with `path` or `sha256`, `label`,
   * and where wanted `split` and `group`, under these or their usual other names. Default: a `metadata.csv`, `.jsonl` or `.parquet`
   * beside the images, else folder names.
   */
  readonly labels?: string;
  /** Default: what the labels ask for. */
  readonly task?: Task;
}

/** The images of a folder, known by their contents, and the source of their vectors. No image is opened that was seen before. */
export class Corpus {
  private constructor(
    readonly sets: JoinedSets,
    private readonly files: readonly DataFile[],
    private readonly options: CorpusOptions,
  ) {}

  /** @throws UsageError, DataError or CacheError for what is missing or wrong */
  static async open(options: CorpusOptions): Promise<Corpus> {
    const { data, cache = 'cache', signal } = options;
    let sets = await openSets(options, cache);
    // What a cache gc has just moved aside it puts back when it finds it in use, or it is gone, which opening says.
    for (let tries = 0; !(await sets.markUsed()) && tries < 5; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      sets = await openSets(options, cache);
    }
    const index = await FileIndex.open(cache);
    const files: DataFile[] = [];
    for await (const file of hashedFiles(data, index, signal)) {
      if (file.sha256 !== null) files.push({ path: file.path, sha256: file.sha256 });
    }
    await index.save();
    return new Corpus(sets, files, options);
  }

  /**
   * @returns the labelled images that are not in quarantine; warnings are told
   * @throws DataError, LabelError or UsageError
   */
  async label({ labels, task }: LabelOptions): Promise<LabelledData> {
    const { data, onWarning, onLabels, signal } = this.options;
    const reading = { ...this.options, ...(task === undefined ? {} : { task }) };
    const empty = (): Promise<string[]> => emptyFolders(data, this.files);
    const labelled = await readLabels({ data, files: this.files, labels, empty }, reading, onWarning);
    await breathe(signal);
    onLabels?.(plain(labelled.understood));
    for (const warning of labelled.warnings) onWarning?.(plain(warning));
    const quarantined = await this.sets.quarantined(signal);
    const examples = labelled.examples.filter(({ sha256 }) => !quarantined.has(sha256));
    const aside = labelled.examples.length - examples.length;
    if (aside > 0) onWarning?.(`${aside} labelled image${aside === 1 ? ' is' : 's are'} in quarantine: left out`);
    return { ...labelled, examples };
  }

  /** Notes again that the sets are in use, before a head is saved that needs them: its training may have taken long. */
  async markUsed(): Promise<void> {
    if (await this.sets.markUsed()) return;
    this.options.onWarning?.(
      `${this.sets.dirs.join(' or ')} was taken out of the cache meanwhile: predict will compute its vectors again`,
    );
  }

  /**
   * Reads the vectors of all images of some label sets in one go.
   * @param layOut gives the numbers that hold them
   * @throws CacheError when labelled images have no vectors and are not to be skipped
   */
  async read(labelled: readonly LabelledData[], layOut?: HoldingOptions['layOut']): Promise<VectorTable> {
    const keys = labelled.flatMap(({ examples }) => examples.map(({ sha256 }) => sha256));
    await breathe(this.options.signal);
    const { memory, signal } = this.options;
    const table = await this.sets.read(keys, {
      layOut,
      ...(memory === undefined ? {} : { memory }),
      ...(signal === undefined ? {} : { signal }),
    });
    await breathe(signal);
    let absent = 0;
    for (const [i, key] of keys.entries()) {
      if (isBreath(i)) await breathe(signal);
      if (!table.rows.has(key)) absent++;
    }
    if (absent > 0) {
      const what = `${absent} of ${keys.length} labelled images have no vectors in ${this.sets.dirs.join(' and ')}`;
      if (this.options.missing !== 'skip') {
        throw new CacheError(`${what}: run ${remedy(this.options)}, or use --missing skip`);
      }
      this.options.onWarning?.(`${what}: skipped`);
    }
    return table;
  }
}

async function openSets(options: CorpusOptions, cache: string): Promise<JoinedSets> {
  if (options.features !== undefined) return JoinedSets.open([options.features].flat());
  const { base } = options;
  if (base === undefined) throw new UsageError('give --base, or --features with the folder of a feature set');
  const { spec, name } = await nameBase(cache, { ...options, base }, options);
  const set = await FeatureSet.find(cache, fingerprint(spec));
  if (set) return JoinedSets.of([set]);
  const [old] = await olderSets(cache, spec);
  if (old !== undefined) {
    throw new CacheError(
      `the features of ${name} in ${cache} were ${superseded(old.spec)}: run ${remedy(options)}, or train on the old ones with --features ${old.dir}`,
    );
  }
  throw new CacheError(`there are no features of ${name} with these settings in ${cache}: run ${remedy(options)}`);
}

/** The command that makes the vectors which are missing. */
function remedy(options: CorpusOptions): string {
  const flags = [`--data ${options.data}`];
  if (options.base !== undefined) flags.push(`--base ${options.base}`);
  const { weights, alpha, layer, pooling, inputSize, preprocess, image, store, cache, precision, calibration } =
    options;
  const size = { 'input-size': inputSize?.join('x') };
  const given = { weights, alpha, layer, pooling, ...size, preprocess, image, store, precision, calibration, cache };
  for (const [flag, value] of Object.entries(given)) if (value !== undefined) flags.push(`--${flag} ${value}`);
  return `permafrost features ${flags.join(' ')}`;
}
