import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { isFields, isText } from '../keras/json.js';
import { modelFile } from './options.js';

const MAX_BYTES = 2 ** 20;

async function readBeside(file: string, name: string): Promise<string | null> {
  const beside = path.join(path.dirname(file), name);
  try {
    return (await stat(beside)).size <= MAX_BYTES ? await readFile(beside, 'utf8') : null;
  } catch {
    return null;
  }
}

/** The `metadata.json` that Teachable Machine puts beside its model.json; null where it is none. */
async function metadata(file: string): Promise<Readonly<Record<string, unknown>> | null> {
  if (path.basename(file) !== 'model.json') return null;
  try {
    const value: unknown = JSON.parse((await readBeside(file, 'metadata.json')) ?? '');
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}

/** Whether a model file is one of Teachable Machine's for pictures, whose pixels it takes from -1 to 1. */
export async function teachableMachine(file: string): Promise<boolean> {
  return (await metadata(file))?.packageName === '@teachablemachine/image';
}

/**
 * Names of the classes of a model file that lie beside it: `labels` of the `metadata.json` of a model.json, or a `labels.txt` with a
 * line `INDEX NAME` for each class, both as Teachable Machine writes them.
 * @returns null where there are none
 */
export async function classNames(base: string): Promise<readonly string[] | null> {
  const file = modelFile(base);
  const labels = (await metadata(file))?.labels;
  if (Array.isArray(labels) && labels.every(isText)) return labels;
  const lines = (await readBeside(file, 'labels.txt'))?.split(/\r?\n/).filter((line) => line.trim() !== '') ?? [];
  const names = lines.map((line, i) => (line.startsWith(`${i} `) ? line.slice(`${i} `.length).trim() : null));
  return names.length > 0 && names.every(isText) ? names : null;
}
