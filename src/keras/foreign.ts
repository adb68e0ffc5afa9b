import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { ModelError } from '../errors.js';
import { readStart } from '../files/index.js';

/** A format that is no Keras model and no ONNX, with the command that makes an ONNX model of it. */
interface Format {
  readonly name: string;
  readonly command: (file: string) => string;
}

const tf2onnx = (how: string) => (file: string) => `python -m tf2onnx.convert --${how} ${file} --output model.onnx`;
const optimum = (file: string): string =>
  `optimum-cli export onnx --model ${file.endsWith('.safetensors') ? path.dirname(file) : file} exported`;
const torch = (file: string): string =>
  `python -c "import torch; torch.onnx.export(torch.load('${file}', weights_only=False).eval(), torch.zeros(1, 3, 224, 224), 'model.onnx')", ` +
  'with the code of its class at hand';

const SAVED_MODEL: Format = { name: "TensorFlow's SavedModel", command: tf2onnx('saved-model') };
const TFLITE: Format = { name: 'a TensorFlow Lite model', command: tf2onnx('tflite') };
const TORCH: Format = { name: 'a PyTorch model', command: torch };
const HUGGING_FACE: Format = { name: 'a model of Hugging Face', command: optimum };

const BY_ENDING: Readonly<Record<string, Format>> = {
  '.tflite': TFLITE,
  '.lite': TFLITE,
  '.pt': TORCH,
  '.pth': TORCH,
  '.ckpt': { ...TORCH, name: 'a checkpoint, of PyTorch by its name' },
  '.safetensors': { ...HUGGING_FACE, name: 'safetensors, which hold weights without what computes with them' },
  '.pb': {
    name: 'a graph of TensorFlow',
    command: (file) =>
      path.basename(file) === 'saved_model.pb'
        ? SAVED_MODEL.command(path.dirname(file))
        : `python -m tf2onnx.convert --graphdef ${file} --inputs INPUT:0 --outputs OUTPUT:0 --output model.onnx`,
  },
};

function ofFolder(folder: string): Format | null {
  if (existsSync(path.join(folder, 'saved_model.pb'))) return SAVED_MODEL;
  const isHuggingFace = ['model.safetensors', 'pytorch_model.bin'].some((name) => existsSync(path.join(folder, name)));
  return isHuggingFace ? HUGGING_FACE : null;
}

/** What Git has in place of a file that it keeps elsewhere. */
const POINTER = Buffer.from('version https://git-lfs.github.com/spec/');

/** @throws ModelError where what a file begins with is a pointer of Git LFS, which many checkouts of models hold */
export function refusePointer(file: string, start: Uint8Array): void {
  if (!POINTER.equals(start.subarray(0, POINTER.length))) return;
  throw new ModelError(
    `${file} is a pointer of Git LFS in place of the file: get that with git lfs pull in its repository`,
  );
}

/**
 * Refuses a model of another kind by the name of its format.
 * @throws ModelError that says what it is and which command makes an ONNX model of it
 */
export async function refuseForeign(file: string): Promise<void> {
  const found = await stat(file).catch(() => null);
  if (!found) return; // who reads it says so
  const isFolder = found.isDirectory();
  const start = isFolder ? Buffer.alloc(0) : await readStart(file, POINTER.length).catch(() => Buffer.alloc(0));
  refusePointer(file, start);
  const isTflite = start.subarray(4, 8).toString('latin1') === 'TFL3';
  const known = isFolder ? ofFolder(file) : isTflite ? TFLITE : BY_ENDING[path.extname(file).toLowerCase()];
  if (known) {
    throw new ModelError(
      `${file} is ${known.name}, which is no base: make an ONNX model of it (${known.command(file)}) and give that`,
    );
  }
  if (isFolder) throw new ModelError(`${file} is a folder without a model.json: give a model file`);
}
