import type { Dataset, File } from 'h5wasm';
import { ModelError, PermafrostError } from '../errors.js';

/** The one date in every file, so that the same model gives the same bytes: the first that zip files can hold. */
export const DATE = new Date(Date.UTC(1980, 0, 1));

/** A float32 data set that a file must hold. */
export interface Place {
  readonly path: string;
  readonly shape: readonly number[];
}

/** Emscripten's file system in memory. */
interface MemoryFiles {
  readFile(path: string): Uint8Array;
  unlink(path: string): void;
  analyzePath(path: string): { readonly exists: boolean };
}

/** In memory. */
const FILE = '/model.h5';

/**
 * Makes an HDF5 file in memory: written to a disk by the library itself, a full one gives a cut file and no error. It is opened again,
 * and holds all that it must.
 * @param places what it must hold
 * @throws ModelError when there is not enough memory, or what was made is not whole
 */
export async function writeHdf5(places: readonly Place[], fill: (root: File) => void): Promise<Uint8Array> {
  const h5wasm = await import('h5wasm'); // the build whose files lie in memory; `h5wasm/node` opens those of the disk
  const module = await h5wasm.ready;
  module.activate_throwing_error_handler(); // otherwise it prints its own stack of errors
  const files = module.FS as unknown as MemoryFiles;
  const within = <T>(mode: 'w' | 'r', use: (root: File) => T): T => {
    const root = new h5wasm.File(FILE, mode);
    if (root.file_id < 0n) throw new RangeError('it cannot be opened');
    try {
      return use(root);
    } finally {
      root.close();
    }
  };
  // HDF5 stamps its data sets with the time, which would make each file differ.
  const now = Date.now;
  Date.now = () => DATE.getTime();
  try {
    within('w', fill);
    const bytes = files.readFile(FILE);
    check(bytes, places);
    within('r', (root) => {
      for (const { path, shape } of places) {
        const found = root.get(path) as Dataset | null;
        if (found?.shape?.join() !== shape.join()) throw new RangeError(`${path} is missing`);
      }
    });
    return bytes;
  } catch (error) {
    if (error instanceof PermafrostError) throw error;
    const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0];
    throw new ModelError(`the model could not be made as an HDF5 file (${reason}): export it to onnx`, {
      cause: error,
    });
  } finally {
    Date.now = now;
    if (files.analyzePath(FILE).exists) files.unlink(FILE);
  }
}

/** A file is at least as large as what it holds. */
function check(bytes: Uint8Array, places: readonly Place[]): void {
  const least = places.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 4), 0);
  if (bytes.length < least) throw new RangeError(`it has ${bytes.length} bytes, at least ${least} are needed`);
}
