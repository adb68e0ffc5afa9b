import type { Node } from '../../graph/graph.js';

/**
 * Keras sorts layers by their distance from the output, and those at one distance by when a walk back from the output meets
 * them first: keras/src/ops/function.py, `map_graph`.
 */
export function kerasOrder(nodes: readonly Node[], output: string): Node[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const met = new Map<string, number>();
  const finished: string[] = [];
  const done = new Set<string>();
  const visit = (name: string): void => {
    if (done.has(name)) return;
    if (!met.has(name)) met.set(name, met.size);
    for (const input of byName.get(name)?.inputs ?? []) visit(input);
    done.add(name);
    finished.push(name);
  };
  visit(output);
  const depth = new Map<string, number>();
  for (const name of finished.reverse()) {
    const own = depth.get(name) ?? 0;
    depth.set(name, own);
    for (const input of byName.get(name)?.inputs ?? []) depth.set(input, Math.max(depth.get(input) ?? 0, own + 1));
  }
  const rank = (name: string): number => depth.get(name) ?? 0;
  return [...met.keys()]
    .sort((a, b) => rank(b) - rank(a) || (met.get(a) ?? 0) - (met.get(b) ?? 0))
    .map((name) => byName.get(name) as Node);
}
