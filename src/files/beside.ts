import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { ModelError } from '../errors.js';
import { whyUnreadable } from './failure.js';

/**
 * The path of a file that a model names, which must lie in the model's own folder, links followed.
 * @throws ModelError for absolute paths, addresses, and paths or links that lead out of the folder
 */
export async function besideModel(folder: string, location: string, what: string): Promise<string> {
  const leaves = (): ModelError =>
    new ModelError(
      `${what} is ${JSON.stringify(location.slice(0, 200))}, outside the folder of the model: put it beside the model, and export that so`,
    );
  const isPlain = !/^[a-z][a-z0-9+.-]*:/i.test(location) && !/^[/\\]/.test(location) && !location.includes('\0');
  if (!isPlain || location.split(/[/\\]/).includes('..')) throw leaves();
  const file = path.join(folder, location);
  try {
    const [inside, target] = await Promise.all([realpath(folder), realpath(file)]);
    if (target.startsWith(inside.endsWith(path.sep) ? inside : inside + path.sep)) return target;
  } catch (error) {
    throw new ModelError(`${what}, ${file}, ${whyUnreadable(error)}: put it beside the model`, {
      cause: error,
    });
  }
  throw leaves();
}
