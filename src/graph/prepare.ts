import { ModelError } from '../errors.js';
import type { Graph, Node } from './graph.js';
import { inferShapes, show } from './infer.js';
import { dropIdentities, foldBatchNorm } from './passes.js';

/** Start of the names of helper nodes; no Keras layer is called so. */
const TAP = '\0output:';

/**
 * The graph as engines run it: no identities, batch normalization folded, and one node that changes nothing for each asked
 * output, a user of it like any other, so that folding leaves its value as it is.
 * @param asked names of the nodes to return
 * @returns the graph, and the names of the added nodes in the order of `asked`
 * @throws ModelError when a layer is not there
 */
export function prepare(graph: Graph, asked: readonly string[]): { graph: Graph; taps: readonly string[] } {
  const missing = asked.find((name) => graph.nodes.every((node) => node.name !== name));
  if (missing !== undefined) throw new ModelError(`there is no layer ${missing}`);
  const taps = asked.map((name, i): Node => {
    return { name: `${TAP}${i}`, op: { kind: 'Rescaling', scale: [1], offset: [0] }, inputs: [name], weights: [] };
  });
  const tapped: Graph = { ...graph, nodes: [...graph.nodes, ...taps] };
  return { graph: foldBatchNorm(dropIdentities(tapped)), taps: taps.map((tap) => tap.name) };
}

/**
 * The shape of one example at every node of a graph that is run: an engine needs one input size.
 * @throws ModelError when a size is open or shapes do not fit
 */
export function fixedShapes(graph: Graph): Map<string, readonly number[]> {
  return new Map(
    [...inferShapes(graph)].map(([name, shape]) => {
      if (!shape.every((size) => size !== null)) {
        throw new ModelError(`layer ${name} has an open shape ${show(shape)}: give --input-size`);
      }
      return [name, shape];
    }),
  );
}
