import { join } from 'node:path';
import {
  type Data,
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
} from 'apache-arrow';
import { breathe, isBreath } from '../breathe.js';
import { sha256Hex } from '../canonical.js';
import { HeadError } from '../errors.js';
import { readNamed, whyUnreadable } from '../files/index.js';
import { arrowFile } from '../formats/arrow/file.js';
import type { Example } from '../labels/labels.js';
import { inOrderOfTexts } from './by-content.js';
import { oncePerProblem } from './problem.js';

/** The file beside `head.json`. */
export const EXAMPLES = 'examples.arrow';
const LARGEST = 2 ** 31 - 1;

const SPLITS = ['train', 'val', 'test'] as const;

/** A builder of Arrow's takes ten times as long. @returns a column of texts */
async function textColumn(
  length: number,
  of: (row: number) => string | null,
  signal: AbortSignal | undefined,
): Promise<Data<Utf8>> {
  const valueOffsets = new Int32Array(length + 1);
  const nullBitmap = new Uint8Array(Math.ceil(length / 64) * 8);
  let nullCount = 0;
  for (let row = 0; row < length; row++) {
    if (isBreath(row)) await breathe(signal);
    const text = of(row);
    valueOffsets[row + 1] = (valueOffsets[row] as number) + (text === null ? 0 : Buffer.byteLength(text));
    if (text === null) nullCount++;
    else nullBitmap[row >> 3] = (nullBitmap[row >> 3] as number) | (1 << (row & 7));
  }
  const data = Buffer.alloc(valueOffsets[length] as number);
  for (let row = 0; row < length; row++) {
    if (isBreath(row)) await breathe(signal);
    const text = of(row);
    if (text !== null) data.write(text, valueOffsets[row] as number);
  }
  return makeData({
    type: new Utf8(),
    length,
    nullCount,
    valueOffsets,
    data,
    ...(nullCount === 0 ? {} : { nullBitmap }),
  });
}

/**
 * @returns the images of a head as an Arrow file, sorted by hash, each side of a content once: `sha256` (32 bytes), `target` (text, of a
 *   regression float64), `split` (`train`, `val` or `test`) and `group` (text or null). The same images give the same bytes
 */
export const examplesFile = oncePerProblem(async (problem, signal): Promise<Uint8Array> => {
  const all = SPLITS.flatMap((split) => problem[split]);
  const splitAt = (place: number): (typeof SPLITS)[number] =>
    place < problem.train.length ? 'train' : place < problem.train.length + problem.val.length ? 'val' : 'test';
  const textOf = ({ sha256, label, group }: Example, place: number): string =>
    JSON.stringify([sha256, splitAt(place), label, group ?? null]);
  const places = new Uint32Array(all.length);
  let length = 0;
  let last: string | undefined;
  const take = (text: string, place: number): void => {
    if (text !== last) places[length++] = place;
    last = text;
  };
  await inOrderOfTexts<Example>(all, textOf, take, signal);
  await breathe(signal);
  const at = (row: number): Example => all[places[row] as number] as Example;
  const hashes = Buffer.alloc(length * 32);
  for (let row = 0; row < length; row++) {
    if (isBreath(row)) await breathe(signal);
    hashes.write(at(row).sha256, row * 32, 'hex');
  }
  const isNumber = problem.task === 'regression';
  const schema = new Schema([
    new Field('sha256', new FixedSizeBinary(32), false),
    new Field('target', isNumber ? new Float64() : new Utf8(), false),
    new Field('split', new Utf8(), false),
    new Field('group', new Utf8(), true),
  ]);
  const targets = isNumber
    ? makeData({
        type: new Float64(),
        length,
        nullCount: 0,
        data: Float64Array.from({ length }, (_, row) => Number(at(row).label)),
      })
    : await textColumn(length, (row) => at(row).label, signal);
  const splits = await textColumn(length, (row) => splitAt(places[row] as number), signal);
  const groups = await textColumn(length, (row) => at(row).group ?? null, signal);
  const children = [
    makeData({ type: new FixedSizeBinary(32), length, nullCount: 0, data: hashes }),
    targets,
    splits,
    groups,
  ];
  const data = makeData({ type: new Struct(schema.fields), length, nullCount: 0, children });
  await breathe(signal);
  return arrowFile(new Table(schema, [new RecordBatch(schema, data)]));
});

/** What a head has seen of some images. */
export interface Seen {
  /** Contents that it was trained on. */
  readonly trained: ReadonlySet<string>;
  /** Contents that chose among what was trained, and did not train it. */
  readonly chose: ReadonlySet<string>;
  /** The side of each content; of one on several the first of `train`, `val` and `test`. */
  readonly sides: ReadonlyMap<string, (typeof SPLITS)[number]>;
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
  const sides = new Map<string, (typeof SPLITS)[number]>();
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
