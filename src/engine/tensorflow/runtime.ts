import { createRequire } from 'node:module';
import util from 'node:util';
import type * as tfjs from '@tensorflow/tfjs-core';
import { EngineError } from '../../errors.js';

/** The part of tfjs that the engine uses; `@tensorflow/tfjs-node` holds all of `@tensorflow/tfjs-core`. */
export type Tfjs = typeof tfjs;

/** tfjs with the backend that this process uses. */
export interface Runtime {
  readonly tf: Tfjs;
  /** tfjs's version and what computes behind it: `4.22.0+tensorflow.2.21.0` or `4.22.0+wasm`. */
  readonly version: string;
  /** One sentence for people where TensorFlow itself is not there. */
  readonly notice?: string;
}

const require = createRequire(import.meta.url);

/** What `@tensorflow/tfjs-node` 4 calls and Node 23 no longer has; where Node still has it, calling it prints a warning. */
function restoreUtil(): void {
  Object.assign(util, { isNullOrUndefined: (value: unknown) => value == null, isArray: Array.isArray });
}

let loaded: Promise<Runtime> | undefined;

/**
 * Loads tfjs once: on TensorFlow where `@tensorflow/tfjs-node` works, else on tfjs's own WebAssembly backend.
 * @param threads of one operator; TensorFlow reads it once in the life of a process, WebAssembly in Node has one thread
 * @throws EngineError when neither is installed
 */
export function loadRuntime(threads?: number): Promise<Runtime> {
  loaded ??= load(threads);
  return loaded;
}

async function load(threads: number | undefined): Promise<Runtime> {
  const native = loadNative(threads);
  if ('tf' in native) return native;
  try {
    const tf = require('@tensorflow/tfjs-core') as Tfjs;
    require('@tensorflow/tfjs-backend-wasm');
    tf.enableProdMode();
    if (!(await tf.setBackend('wasm'))) throw new Error('its WebAssembly backend does not start');
    return {
      tf,
      version: `${tf.version_core}+wasm`,
      notice: `${native.missing}, so tfjs's WebAssembly backend is used, which is several times slower: ${native.remedy}`,
    };
  } catch (error) {
    throw new EngineError(`the tensorflow engine cannot run: ${native.missing}; ${native.remedy}`, { cause: error });
  }
}

/** Why TensorFlow is not there, and the command that helps. */
interface Missing {
  readonly missing: string;
  readonly remedy: string;
}

function loadNative(threads: number | undefined): Runtime | Missing {
  restoreUtil();
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  if (threads !== undefined) process.env.TF_NUM_INTRAOP_THREADS = String(threads);
  try {
    require.resolve('@tensorflow/tfjs-node/package.json');
  } catch {
    return {
      missing: '@tensorflow/tfjs-node is not installed',
      remedy: 'npm install @tensorflow/tfjs-node adds TensorFlow',
    };
  }
  try {
    const tf = require('@tensorflow/tfjs-node') as Tfjs;
    tf.enableProdMode();
    const { binding } = tf.backend() as unknown as { binding: { TF_Version: string } };
    return { tf, version: `${tf.version_core}+tensorflow.${binding.TF_Version}` };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const isAbsent = reason.includes('can not be found');
    return {
      missing: `the native part of @tensorflow/tfjs-node ${isAbsent ? 'is missing' : `does not load (${reason.split('\n')[0]})`}`,
      remedy: 'npm rebuild @tensorflow/tfjs-node fetches it',
    };
  }
}
