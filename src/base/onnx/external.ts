import { ModelError } from '../../errors.js';
import { besideModel } from '../../files/beside.js';
import { openRegular, SteadyFile, whyUnreadable } from '../../files/index.js';
import { MAX_MODEL_BYTES, type StoredTensor } from '../../formats/onnx/read.js';
import { bytesOf, type OnnxTensor, tensorOf } from '../../formats/onnx/write.js';
import { LARGE_TENSOR } from './let-go.js';

interface Range {
  readonly bytes: Uint8Array;
  readonly file: SteadyFile;
}

async function readRange(file: string, offset: number, length: number, what: string): Promise<Range> {
  const handle = await openRegular(file).catch((error: unknown) => {
    throw new ModelError(
      `${what} should lie in ${file}, which ${whyUnreadable(error)}: copy all files of the model into one folder`,
      { cause: error },
    );
  });
  try {
    const steady = new SteadyFile(file, await handle.stat({ bigint: true }));
    const { size } = steady;
    if (offset + length > size) {
      throw new ModelError(
        `${what} needs bytes ${offset} to ${offset + length} of ${file}, which has ${size} and is cut off: copy it again`,
      );
    }
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await handle.read(bytes, at, length - at, offset + at);
      if (bytesRead === 0)
        throw new ModelError(
          `${what}: ${file} became shorter while it was read: give the model again when it is in place`,
        );
      at += bytesRead;
    }
    return { bytes, file: steady };
  } finally {
    await handle.close();
  }
}

/**
 * The tensors with their values. Those of other files are read; large ones of them whenever they are asked for, and not held.
 * @param folder the model's own
 * @throws ModelError where data lies outside the folder or is cut off, is too large, or is not finite
 */
export async function loadTensors(tensors: readonly StoredTensor[], folder: string): Promise<OnnxTensor[]> {
  if (tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0) > MAX_MODEL_BYTES) {
    throw new ModelError(
      'its weights take more than 2 GiB, which onnxruntime cannot load as one model: give a smaller one',
    );
  }
  const loaded: OnnxTensor[] = [];
  for (const tensor of tensors) {
    const { name, type, dims, values } = tensor;
    let raw = values;
    let later: (() => Uint8Array) | null = null;
    if (!(raw instanceof Uint8Array)) {
      const what = `the data of tensor ${name}`;
      const length = bytesOf(tensor);
      if (raw.length !== null && raw.length !== length) {
        throw new ModelError(
          `tensor ${name} of shape (${dims.join(', ')}) has ${raw.length} bytes of data, expected ${length}: export the model again`,
        );
      }
      const { location, offset } = raw;
      const { bytes, file } = await readRange(await besideModel(folder, location, what), offset, length, what);
      raw = bytes;
      if (length >= LARGE_TENSOR) later = () => file.read(offset, length);
    }
    // A single value may be a limit, such as that of a Clip.
    if (!holdsNumbers(type, raw))
      throw new ModelError(`tensor ${name} holds values that are not finite: export the model again`);
    loaded.push(later === null ? { name, type, dims, raw } : tensorOf(tensor, later));
  }
  return loaded;
}

/** Bytes that are looked at together. */
const BLOCK = 2 ** 20;

function holdsNumbers(type: string, raw: Uint8Array): boolean {
  if ((type !== 'float' && type !== 'double') || raw.length <= 8) return true;
  for (let from = 0; from < raw.length; from += BLOCK) {
    const { buffer } = new Uint8Array(raw.subarray(from, from + BLOCK)); // a copy, aligned
    if (!(type === 'float' ? new Float32Array(buffer) : new Float64Array(buffer)).every(Number.isFinite)) return false;
  }
  return true;
}
