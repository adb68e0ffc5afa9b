import path from 'node:path';
import { FileError } from '../errors.js';
import { type Chunks, type StoreSystem, whyUnreadable } from '../files/index.js';
import { usage } from '../options/check.js';
import type { HEAD_FORMATS } from '../options/choices.js';

type HeadFormat = (typeof HEAD_FORMATS)[number];

/** What the files of a format end in; a TensorFlow.js model is a folder. */
const ENDINGS: Readonly<Record<HeadFormat, readonly string[]>> = {
  keras: ['.keras'],
  h5: ['.h5', '.hdf5'],
  tfjs: [],
  onnx: ['.onnx'],
};

/** @throws UsageError for a file that ends as those of another format do, so that what reads it would take it for that */
export function checkEnding(out: string, format: HeadFormat): void {
  const ending = path.extname(out).toLowerCase();
  const other = (Object.keys(ENDINGS) as HeadFormat[]).find((name) => ENDINGS[name].includes(ending));
  if (other === undefined || other === format) return;
  throw usage(
    '{out} % ends as files of the format % do: give {format} %, or another ending',
    path.basename(out),
    other,
    other,
  );
}

/** A file to be written, whose bytes can be made more than once. */
export type Planned = readonly [name: string, chunks: () => Chunks | Promise<Chunks>];

async function isSame(system: StoreSystem, file: string, chunks: Chunks): Promise<boolean> {
  const there = await system.open(file, 'read');
  try {
    let at = 0;
    for await (const chunk of chunks) {
      const bytes = new Uint8Array(chunk.length);
      if ((await there.read(bytes, at)) !== chunk.length || Buffer.compare(bytes, chunk) !== 0) return false;
      at += chunk.length;
    }
    return at === (await there.size());
  } finally {
    await there.close();
  }
}

/**
 * @param files to be written into a folder, the last as the mark of all
 * @returns whether they are there already, with the same bytes
 * @throws FileError where others are there, which would be lost
 */
export async function isThere(
  system: StoreSystem,
  folder: string,
  files: readonly Planned[],
  shown: string,
): Promise<boolean> {
  const mark = path.join(folder, files.at(-1)?.[0] ?? '');
  let isAll = true;
  try {
    if ((await system.kind(mark)) !== 'file') return false;
    for (const [name, chunks] of files) {
      const file = path.join(folder, name);
      isAll &&= (await system.kind(file)) === 'file' && (await isSame(system, file, await chunks()));
    }
  } catch (error) {
    throw new FileError(`${shown} ${whyUnreadable(error)}: give another --out`, { cause: error });
  }
  if (isAll) return true;
  throw new FileError(
    `${shown} is there already and holds something else, which would be lost: give another --out, or --replace to write over it`,
  );
}
