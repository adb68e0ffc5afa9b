import type { Node, Shape } from '../graph/graph.js';

/** The channel that `x[..., i]` gives with the axis put back, and of which node; null for anything else. */
function channelOf(node: Node | undefined, nodes: ReadonlyMap<string, Node>): { of: string; channel: number } | null {
  if (node?.op.kind !== 'ExpandDims') return null;
  const squeezed = nodes.get(node.inputs[0] ?? '');
  const sliced = nodes.get(squeezed?.inputs[0] ?? '');
  if (squeezed?.op.kind !== 'Squeeze' || sliced?.op.kind !== 'Slice') return null;
  const { axis, start, step } = sliced.op;
  const isLast = axis === 3 && squeezed.op.axis === 3 && node.op.axis === 3;
  return isLast && step === 1 && start !== null ? { of: sliced.inputs[0] ?? '', channel: start } : null;
}

/**
 * The same nodes with the channels of a picture that are taken one by one and stacked the other way round, as Keras's `caffe`
 * preprocessing has them, turned round at once.
 */
export function joinChannels(nodes: readonly Node[], shapes: ReadonlyMap<string, Shape>): Node[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  return nodes.map((node) => {
    if (node.op.kind !== 'Concatenate' || node.op.axis !== 3 || node.inputs.length !== 3) return node;
    const parts = node.inputs.map((name) => channelOf(byName.get(name), byName));
    const of = parts[0]?.of;
    const isPicture = shapes.get(of ?? '')?.at(-1) === 3;
    const isTurned =
      of !== undefined && isPicture && parts.every((part, i) => part?.of === of && part.channel === 2 - i);
    return isTurned ? { ...node, op: { kind: 'ReverseChannels' }, inputs: [of] } : node;
  });
}
