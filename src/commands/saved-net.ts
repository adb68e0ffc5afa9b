import { rereadOnnx } from '../base/onnx/index.js';
import { ModelError } from '../errors.js';
import type { Head } from '../heads/head.js';
import type { HeadNet } from '../train/head-net.js';
import { endingOf } from '../train/net.js';

/** @returns the layers of a saved head, out of its own `head.onnx` @throws ModelError where they are not those that `head.json` tells of */
export function savedNet({ info, model }: Head): HeadNet {
  const { graph } = rereadOnnx(model);
  const tensors = new Map(
    graph.initializers.map(({ name, raw }) => [name, new Float32Array(Uint8Array.from(raw).buffer)] as const),
  );
  const layer = (suffix: string) => {
    const kernel = tensors.get(`kernel${suffix}`);
    const bias = tensors.get(`bias${suffix}`);
    return kernel && bias ? [{ kernel, bias }] : [];
  };
  const hidden = info.options.hidden.flatMap((_, i) => layer(`_${i + 1}`));
  const layers = [...hidden, ...layer('')];
  if (layers.length !== info.options.hidden.length + 1) {
    throw new ModelError('head.onnx does not hold the layers that head.json tells of: train the head again');
  }
  const { activation, scale } = info.options;
  return { d: info.dim, normalize: scale === 'l2', layers, activation, ending: endingOf(info.task) };
}
