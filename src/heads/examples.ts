import { join } from 'node:path';
import {
  Field,
  FixedSizeBinary,
  Float64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { byCodePoint, sha256Hex } from '../canonical.js';
import { HeadError } from '../errors.js';
import { readNamed, whyUnreadable } from '../files/index.js';
import { arrowFile } from '../formats/arrow/file.js';
import { oncePerProblem } from './problem.js';

/** The file beside `head.json`. */
export const EXAMPLES = 'examples.arrow';
const LARGEST = 2 ** 31 - 1;

const SPLITS = ['train', 'val', 'test'] as const;

/** An image of a head. */
interface HeadExample {
  readonly sha256: string;
  readonly label: string;
  readonly split: (typeof SPLITS)[number];
  readonly group: string | null;
}

/**
 * @returns the images of a head as an Arrow file, sorted by hash, each side of a content once: `sha256` (32 bytes), `target` (text, of a
 *   regression float64), `split` (`train`, `val` or `test`) and `group` (text or null). The same images give the same bytes
 */
export const examplesFile = oncePerProblem((problem): Uint8Array => {
  const rows = new Map<string, HeadExample>();
  for (const split of SPLITS) {
    for (const { sha256, label, group = null } of problem[split]) {
      rows.set(JSON.stringify([sha256, split, label, group]), { sha256, label, split, group });
    }
  }
  const sorted = [...rows].sort(([a], [b]) => byCodePoint(a, b)).map(([, row]) => row);
  const isNumber = problem.task === 'regression';
  const schema = new Schema([
    new Field('sha256', new FixedSizeBinary(32), false),
    new Field('target', isNumber ? new Float64() : new Utf8(), false),
    new Field('split', new Utf8(), false),
    new Field('group', new Utf8(), true),
  ]);
  const texts = (of: (row: HeadExample) => string | null) => vectorFromArray(sorted.map(of), new Utf8()).data[0];
  const targets = isNumber
    ? vectorFromArray(
        sorted.map(({ label }) => Number(label)),
        new Float64(),
      ).data[0]
    : texts(({ label }) => label);
  const children = [
    makeData({
      type: new FixedSizeBinary(32),
      length: sorted.length,
      nullCount: 0,
      data: Buffer.from(sorted.map(({ sha256 }) => sha256).join(''), 'hex'),
    }),
    targets,
    texts(({ split }) => split),
    texts(({ group }) => group),
  ].filter((data) => data !== undefined);
  const data = makeData({ type: new Struct(schema.fields), length: sorted.length, nullCount: 0, children });
  return arrowFile(new Table(schema, [new RecordBatch(schema, data)]));
});

/** What a head has seen of some images. */
export interface Seen {
  /** Contents that it was trained on. */
  readonly trained: ReadonlySet<string>;
  /** Contents that chose among what was trained, and did not train it. */
  readonly chose: ReadonlySet<string>;
  /** The side of each content; of one on several the first of `train`, `val` and `test`. */
  readonly sides: ReadonlyMap<string, HeadExample['split']>;
}

/**
 * @param info of the head that lies in the folder
 * @returns null of a head that was saved without its images
 * @throws HeadError where the file is missing, damaged or another head's
 */
export async function readSeen(
  dir: string,
  {
    examples,
    refit,
    folds,
    chosen,
  }: {
    readonly examples: string | null;
    readonly refit: boolean;
    readonly folds: readonly unknown[] | null;
    readonly chosen: readonly unknown[] | null;
  },
): Promise<Seen | null> {
  if (examples === null) return null;
  const path = join(dir, EXAMPLES);
  let bytes: Buffer;
  try {
    bytes = await readNamed(path, LARGEST);
  } catch (error) {
    throw new HeadError(`${path} ${whyUnreadable(error)}: put it back, or train the head again`, { cause: error });
  }
  if (sha256Hex(bytes) !== examples) {
    throw new HeadError(`${path} is not the file that head.json was saved with: train the head again`);
  }
  const table = tableFromIPC(bytes);
  const [hashes, splits] = [table.getChild('sha256'), table.getChild('split')];
  const [trained, chose] = [new Set<string>(), new Set<string>()];
  const sides = new Map<string, HeadExample['split']>();
  const isTrained = refit || folds !== null; // then those of validation trained the head that was kept, too
  for (let i = 0; i < table.numRows; i++) {
    const split = splits?.get(i);
    const sha256 = Buffer.from(hashes?.get(i) as Uint8Array).toString('hex');
    const side = sides.get(sha256);
    if (side === undefined || SPLITS.indexOf(split) < SPLITS.indexOf(side)) sides.set(sha256, split);
    if (split === 'train' || (split === 'val' && isTrained)) trained.add(sha256);
    else if (split === 'val' && chosen?.length !== 0) chose.add(sha256);
  }
  for (const sha256 of trained) chose.delete(sha256);
  return { trained, chose, sides };
}
