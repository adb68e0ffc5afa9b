import type { Node } from './graph.js';

const POOLS = /^Global(Average|Max)Pooling/;

/** The layers that people tap: pooling layers first, then the last ones of all that are no scores of classes. */
export function likelyTaps(nodes: readonly Node[], outputs: readonly string[]): string[] {
  const able = nodes.filter(
    ({ op, name }) => op.kind !== 'Refused' && op.kind !== 'InputLayer' && !name.includes('\0'),
  );
  const pools = able.filter(({ op, className }) => POOLS.test(className ?? op.kind)).map(({ name }) => name);
  const own = outputs.filter((name) => able.some((node) => node.name === name));
  const last = able.map(({ name }) => name).reverse();
  return [...new Set([...pools.reverse(), ...own, ...last])];
}

/**
 * Names of layers to choose from, as the end of a sentence: those most like what was asked for, else the model's pooling layers
 * and outputs.
 */
export function suggestLayers(
  { nodes, outputs }: { readonly nodes: readonly Node[]; readonly outputs: readonly string[] },
  asked?: string,
): string {
  const names = likelyTaps(nodes, outputs);
  const close = names.filter((name) => asked && (name.includes(asked) || asked.includes(name)));
  const shown = close.length > 0 ? close : names;
  const list = shown.slice(0, 5).join(', ');
  return close.length > 0 ? `did you mean ${list}?` : `for example ${list}`;
}
