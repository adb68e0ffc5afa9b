import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import yauzl from 'yauzl';
import { ModelError } from '../errors.js';
import { realSystem, withScratchFolder } from '../files/index.js';

const MAX_TEXT = 64 * 2 ** 20;
/** Keras stores weights as they are. Zipped anew they shrink a little, ones that are mostly zeros more; a bomb a thousandfold. */
const MAX_RATIO = 20;

/** What a `.keras` file holds; the weights stand in a temporary file. */
export interface Archive {
  readonly config: string;
  readonly metadata: string | null;
  readonly weights: string;
}

/**
 * Opens a `.keras` archive (a zip file) for the time of `use`.
 * @throws ModelError when it is no such archive, is cut off, holds an entry twice, or more than a model of its size can
 */
export function withArchive<T>(file: string, use: (archive: Archive) => Promise<T>): Promise<T> {
  return withScratchFolder(realSystem, async (folder) => {
    const texts = new Map<string, string>();
    const weights = path.join(folder, 'model.weights.h5');
    let found = false;
    const seen = new Set<string>();
    const limit = Math.max(MAX_TEXT, MAX_RATIO * (await stat(file)).size);
    await eachEntry(file, async (name, size, stream) => {
      if (seen.has(name)) throw new ModelError(`${file} holds ${name} twice: save the model again`);
      seen.add(name);
      if (name === 'config.json' || name === 'metadata.json') {
        if (size > MAX_TEXT)
          throw new ModelError(`${file}: ${name} is larger than ${MAX_TEXT} bytes: save the model again`);
        const chunks: Buffer[] = [];
        for await (const chunk of await stream()) chunks.push(chunk as Buffer);
        texts.set(name, Buffer.concat(chunks).toString('utf8'));
      } else if (name === 'model.weights.h5') {
        if (size > limit) {
          throw new ModelError(
            `${file}: ${name} would be inflated to ${size} bytes, more than a model in an archive of this size holds (${limit}): save the model again`,
          );
        }
        await pipeline(await stream(), createWriteStream(weights));
        found = true;
      }
    });
    const config = texts.get('config.json');
    if (config === undefined || !found) {
      const lacks = config === undefined ? 'config.json' : 'model.weights.h5';
      throw new ModelError(
        `${file} is a zip file but no Keras model, as ${lacks} is missing: give a file of model.save('model.keras')`,
      );
    }
    return await use({ config, metadata: texts.get('metadata.json') ?? null, weights });
  });
}

type Visit = (name: string, size: number, stream: () => Promise<Readable>) => Promise<void>;

async function eachEntry(file: string, visit: Visit): Promise<void> {
  try {
    const zip = await yauzl.openPromise(file, { lazyEntries: true, validateEntrySizes: true });
    try {
      for await (const entry of zip.eachEntry()) {
        await visit(entry.fileName, entry.uncompressedSize, () => zip.openReadStreamPromise(entry));
      }
    } finally {
      zip.close();
    }
  } catch (error) {
    if (error instanceof ModelError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC') throw error;
    throw new ModelError(
      `${file} is damaged or cut off, it cannot be read as a .keras archive (zip): copy or save it again`,
      {
        cause: error,
      },
    );
  }
}
