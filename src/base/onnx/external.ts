import { ModelError } from '../../errors.js';
import { besideModel } from '../../files/beside.js';
import { openRegular, whyUnreadable } from '../../files/index.js';
import { MAX_MODEL_BYTES, type StoredTensor } from '../../formats/onnx/read.js';
import { bytesOf, type OnnxTensor } from '../../formats/onnx/write.js';

async function readRange(file: string, offset: number, length: number, what: string): Promise<Uint8Array> {
  const handle = await openRegular(file).catch((error: unknown) => {
    throw new ModelError(
      `${what} should lie in ${file}, which ${whyUnreadable(error)}: copy all files of the model into one folder`,
      { cause: error },
    );
  });
  try {
    const { size } = await handle.stat();
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
    return bytes;
  } finally {
    await handle.close();
  }
}

/**
 * The tensors with their values, those of other files read.
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
    if (!(raw instanceof Uint8Array)) {
      const what = `the data of tensor ${name}`;
      const length = bytesOf(tensor);
      if (raw.length !== null && raw.length !== length) {
        throw new ModelError(
          `tensor ${name} of shape (${dims.join(', ')}) has ${raw.length} bytes of data, expected ${length}: export the model again`,
        );
      }
      raw = await readRange(await besideModel(folder, raw.location, what), raw.offset, length, what);
    }
    // A single value may be a limit, such as that of a Clip.
    if (!holdsNumbers(type, raw))
      throw new ModelError(`tensor ${name} holds values that are not finite: export the model again`);
    loaded.push({ name, type, dims, raw });
  }
  return loaded;
}

function holdsNumbers(type: string, raw: Uint8Array): boolean {
  if ((type !== 'float' && type !== 'double') || raw.length <= 8) return true;
  const { buffer } = new Uint8Array(raw); // a copy, aligned
  return (type === 'float' ? new Float32Array(buffer) : new Float64Array(buffer)).every(Number.isFinite);
}
