import { stat } from 'node:fs/promises';
import path from 'node:path';
import type * as H5wasm from 'h5wasm/node';
import { ModelError, PermafrostError, WeightsError } from '../errors.js';
import { errorCode, readStart, whyUnreadable } from '../files/index.js';
import { fromFloat16 } from '../float16.js';
import type { Tensor } from '../graph/graph.js';

/** What an HDF5 file begins with. */
export const SIGNATURE = Buffer.from([0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Whether a file begins as HDF5 does. Reads 8 bytes. */
export async function isHdf5(file: string): Promise<boolean> {
  return (await head(file, 8)).equals(SIGNATURE);
}

/** The first bytes of a file. @throws ModelError when it cannot be read */
export async function head(file: string, length: number): Promise<Buffer> {
  try {
    return await readStart(file, length);
  } catch (error) {
    if (errorCode(error) === 'EISDIR') {
      throw new ModelError(`${file} is a folder: give the path of a model file`, { cause: error });
    }
    throw new ModelError(`${file} ${whyUnreadable(error)}: give the path of a model file`, { cause: error });
  }
}

/** Loaded when the first HDF5 file is opened: its WebAssembly reserves gigabytes of address space. */
let h5wasm: typeof H5wasm;

async function loadHdf5(name: string): Promise<Awaited<typeof H5wasm.ready>> {
  const { error: print } = console;
  console.error = () => {}; // it keeps this to print raw text of its own with
  try {
    h5wasm = await import('h5wasm/node');
    return await h5wasm.ready;
  } catch (error) {
    throw new ModelError(
      `${name} cannot be opened: HDF5 needs more address space than this process may have; raise its limit (ulimit -v)`,
      { cause: error },
    );
  } finally {
    console.error = print;
  }
}

/** No byte of a file becomes more than this many when it is inflated: data sets that claim more hold nothing. */
const MOST_DEFLATED = 1032;

/** Groups that all stand in the first one, with backslashes in their names: what Keras 2 made of paths on Windows. */
interface Flat {
  readonly root: H5wasm.Group;
  /** Of all groups of the file. */
  readonly names: readonly string[];
  /** What the names of those within a group begin with. */
  readonly prefix: string;
}

/** A group of an open HDF5 file of so many bytes. */
export class Hdf5Group {
  /** @param group null where only names in `flat` tell of it */
  private constructor(
    private readonly group: H5wasm.Group | null,
    private readonly file: string,
    private readonly bytes: number,
    private readonly flat: Flat,
  ) {}

  /** The first group of a file. */
  static root(root: H5wasm.Group, file: string, bytes: number): Hdf5Group {
    const found = new Hdf5Group(root, file, bytes, { root, names: [], prefix: '' });
    const names = found.names().filter((name) => name.includes('\\'));
    return new Hdf5Group(root, file, bytes, { root, names, prefix: '' });
  }

  child(name: string): Hdf5Group | null {
    const { root, names, prefix } = this.flat;
    const path = prefix + name;
    const inside = this.entity(name);
    const entity = names.includes(path) ? this.guard(() => root.get(path)) : inside;
    const flat = { root, names, prefix: `${path}\\` };
    if (entity instanceof h5wasm.Group) return new Hdf5Group(entity, this.file, this.bytes, flat);
    return names.some((other) => other.startsWith(flat.prefix))
      ? new Hdf5Group(null, this.file, this.bytes, flat)
      : null;
  }

  names(): string[] {
    const { names, prefix } = this.flat;
    const flat = prefix === '' ? [] : names.filter((name) => name.startsWith(prefix));
    const own = this.guard(() => this.group?.keys() ?? []);
    return [...new Set([...own, ...flat.map((name) => name.slice(prefix.length).split('\\')[0] ?? '')])];
  }

  /** A text attribute, null where it is absent. */
  text(name: string): string | null {
    const value = this.attribute(name);
    if (typeof value === 'string') return value;
    return value instanceof Uint8Array ? new TextDecoder().decode(value) : null;
  }

  /** A list of texts; Keras splits long ones into `name0`, `name1`, … */
  texts(name: string): string[] | null {
    const whole = this.attribute(name);
    if (whole !== undefined) return toTexts(whole);
    const parts: string[] = [];
    for (let i = 0; ; i++) {
      const part = this.attribute(`${name}${i}`);
      if (part === undefined) return i === 0 ? null : parts;
      parts.push(...toTexts(part));
    }
  }

  /** A data set of floats, read only where its shape is the one that is asked for. */
  tensor(path: string, shape?: readonly number[]): Tensor {
    const entity = this.entity(path);
    if (!(entity instanceof h5wasm.Dataset)) throw new WeightsError(`${this.file}: the data set ${path} is missing`);
    return this.guard(() => {
      const found = entity.shape ?? [];
      if (shape && found.join() !== shape.join()) {
        throw new WeightsError(`${this.file}: ${path} has shape (${found.join(', ')}), expected (${shape.join(', ')})`);
      }
      if (found.reduce((a, b) => a * b, 4) > this.bytes * MOST_DEFLATED) {
        throw new ModelError(
          `${this.file}: ${path} has shape (${found.join(', ')}), more than a file of ${this.bytes} bytes can hold: copy or save it again`,
        );
      }
      const half = halfPrecision(entity);
      if (half) return { shape: found, data: half };
      const value: unknown = entity.value;
      if (typeof value === 'bigint') return { shape: found, data: Float32Array.of(Number(value)) }; // an int64 counter
      if (typeof value === 'number') return { shape: found, data: Float32Array.of(value) };
      if (!(value instanceof Float32Array)) {
        throw new ModelError(
          `${this.file}: ${path} is stored as ${String(entity.dtype)}, expected float32: save the model with float32 weights`,
        );
      }
      return { shape: found, data: value };
    });
  }

  shape(path: string): number[] | null {
    const entity = this.entity(path);
    return entity instanceof h5wasm.Dataset ? this.guard(() => entity.shape ?? []) : null;
  }

  private entity(path: string): unknown {
    return this.guard(() => this.group?.get(path));
  }

  private attribute(name: string): unknown {
    return this.guard(() => {
      const attributes = this.group?.attrs ?? {};
      return Object.hasOwn(attributes, name) ? attributes[name]?.value : undefined;
    });
  }

  private guard<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof PermafrostError) throw error;
      throw new ModelError(
        `${this.file} is damaged or cut off, it cannot be read as HDF5 to its end: copy or save it again`,
        {
          cause: error,
        },
      );
    }
  }
}

/** The part of HDF5's library that reads values as they lie. */
interface RawReader {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(address: number): void;
  get_dataset_data(file: bigint, path: string, a: null, b: null, c: null, address: bigint): unknown;
}

let library: RawReader | undefined;

/**
 * Values of 16 bits, which the library leaves as they are: float16, and bfloat16, which Keras stores without a type.
 * @returns null for a data set of another type
 */
function halfPrecision(dataset: H5wasm.Dataset): Float32Array | null {
  const { size, total_size: count, type } = dataset.metadata;
  const isFloat16 = dataset.dtype === '<e';
  if (size !== 2 || !library || !(isFloat16 || type === OPAQUE)) return null;
  const address = library._malloc(2 * count);
  if (address === 0) throw new RangeError('there is no memory for it');
  try {
    library.get_dataset_data(dataset.file_id, dataset.path, null, null, null, BigInt(address));
    const bits = new Uint16Array(library.HEAPU8.slice(address, address + 2 * count).buffer);
    return isFloat16 ? fromFloat16(bits) : new Float32Array(Uint32Array.from(bits, (value) => value << 16).buffer);
  } finally {
    library._free(address);
  }
}

/** H5T_OPAQUE */
const OPAQUE = 5;

/** An empty list is stored as an empty array of some other type. */
function toTexts(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((item) => typeof item === 'string');
}

/** The part of Emscripten's file system that opens files for HDF5. */
interface Files {
  open(path: string, flags: number, ...rest: unknown[]): unknown;
  ErrnoError: new (errno: number) => Error;
}

/** O_WRONLY | O_RDWR */
const WRITING = 3;
/** O_DIRECTORY */
const FOLDER = 0o200000;
const NO_SUCH_FILE = 44; // WASI's ENOENT

/**
 * Runs `use` while HDF5 can open one file and no other: links, virtual data sets and external storage could name any file of the
 * machine.
 * @returns the result, and the first other file that was asked for
 */
function withOnly<T>(files: Files, file: string, use: () => T): { result: T; other: string | null } {
  const { open } = files;
  const own = path.resolve(file);
  let other: string | null = null;
  files.open = (asked, flags, ...rest) => {
    // The temporary file into which the library writes its errors is not opened for reading alone.
    if (path.resolve(asked) === own || (flags & WRITING) !== 0) return open.call(files, asked, flags, ...rest);
    if ((flags & FOLDER) === 0) other ??= asked; // it looks for plug-ins in a folder of its own, and finds none
    throw new files.ErrnoError(NO_SUCH_FILE);
  };
  try {
    return { result: use(), other };
  } catch (error) {
    if (other !== null) return { result: undefined as T, other };
    throw error;
  } finally {
    files.open = open;
  }
}

/**
 * Opens an HDF5 file for the time of `use`. Only that file is read, whatever others it names.
 * @param name what messages call it; default: its path
 * @throws ModelError when the file is no HDF5, is damaged, or takes data from another file
 */
export async function withHdf5<T>(file: string, use: (root: Hdf5Group) => T, name = file): Promise<T> {
  if (!(await isHdf5(file))) throw new ModelError(`${name} is not an HDF5 file: give one that Keras has written`);
  const module = await loadHdf5(name);
  library = module as unknown as RawReader;
  module.activate_throwing_error_handler(); // otherwise it prints its own stack of errors
  const { size } = await stat(file);
  const { result, other } = withOnly(module.FS as unknown as Files, file, () => {
    let opened: H5wasm.File;
    try {
      opened = new h5wasm.File(file, 'r');
      if (opened.file_id < 0n) throw new RangeError('no file id');
    } catch (error) {
      throw new ModelError(`${name} is damaged or cut off, it cannot be opened as HDF5: copy or save it again`, {
        cause: error,
      });
    }
    try {
      return use(Hdf5Group.root(opened, name, size));
    } finally {
      opened.close();
    }
  });
  if (other !== null) {
    throw new ModelError(
      `${name} takes data from another file (${other.slice(0, 200)}), which is not supported: save the model as one file`,
    );
  }
  return result;
}
