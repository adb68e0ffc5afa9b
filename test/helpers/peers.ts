import { spawnSync } from 'node:child_process';

/**
 * The options of a test that needs something which is not part of the checkout: skipped, visibly, where that is absent.
 * @param what is missing, for the message
 * @throws Error where `CI` is `true`: skipped there means never run
 */
export function needs(isThere: boolean, what: string): { skip: string | false } {
  if (!isThere && process.env.CI === 'true') throw new Error(`${what}, and CI runs every test`);
  return { skip: isThere ? false : what };
}

/** The Python of the peers, empty where none is named. */
export const python = process.env.PERMAFROST_PYTHON ?? '';

/** The options of a test that needs a Python with these modules, found without importing them. */
export function needsPython(...modules: string[]): { skip: string | false } {
  const find = 'from importlib.util import find_spec; import sys; sys.exit(not all(map(find_spec, sys.argv[1:])))';
  const isThere = python !== '' && spawnSync(python, ['-c', find, ...modules]).status === 0;
  return needs(isThere, `needs PERMAFROST_PYTHON to name a Python with ${modules.join(', ')}`);
}
