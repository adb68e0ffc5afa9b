import type { Engine, EngineOptions } from './engine.js';
import { onnxEngine } from './onnx/engine.js';

/**
 * @returns the engine that the options ask for; TensorFlow is loaded only here, where it is asked for
 * @param options `onWarning` is told when the engine runs, but not as it should
 * @throws EngineError when it is not installed
 */
export async function openEngine(
  options: EngineOptions & { readonly onWarning?: (message: string) => void } = {},
): Promise<Engine> {
  const { engine = 'onnx', threads, onWarning } = options;
  if (engine === 'onnx') return onnxEngine;
  const { tensorflowEngine } = await import('./tensorflow/engine.js');
  const opened = await tensorflowEngine(threads);
  if (opened.notice !== undefined) onWarning?.(opened.notice);
  return opened;
}
