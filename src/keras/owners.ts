import type { WeightSpec } from '../graph/infer.js';
import type { LayerEntry } from './reader.js';

/** The layers below an entry that hold weights, in order. */
export function withWeights(entry: LayerEntry, specs: ReadonlyMap<string, WeightSpec[]>): LayerEntry[] {
  const inner = entry.layers.flatMap((layer) => withWeights(layer, specs));
  return (specs.get(entry.path)?.length ?? 0) > 0 ? [entry, ...inner] : inner;
}
