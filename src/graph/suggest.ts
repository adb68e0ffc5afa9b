import type { Activation, Node, Op } from './graph.js';

const PROBABILITIES: readonly Activation[] = ['softmax', 'sigmoid', 'log_softmax'];

/** Whether an operation squashes its values into probabilities, which make poor features. */
export function givesProbabilities(op: Op): boolean {
  return op.kind === 'Softmax' || ('activation' in op && PROBABILITIES.includes(op.activation));
}

const POOLS = /^Global(Average|Max)Pooling/;

/** The layers that people tap: pooling layers first, then the outputs and the last layers of all; those that give probabilities come last. */
export function likelyTaps(nodes: readonly Node[], outputs: readonly string[]): string[] {
  const able = nodes.filter(
    ({ op, name }) => op.kind !== 'Refused' && op.kind !== 'InputLayer' && !name.includes('\0'),
  );
  const pools = able.filter(({ op, className }) => POOLS.test(className ?? op.kind)).map(({ name }) => name);
  const own = outputs.filter((name) => able.some((node) => node.name === name));
  const last = able.map(({ name }) => name).reverse();
  const squashed = new Set(able.filter(({ op }) => givesProbabilities(op)).map(({ name }) => name));
  const all = [...new Set([...pools.reverse(), ...own, ...last])];
  return [...all.filter((name) => !squashed.has(name)), ...all.filter((name) => squashed.has(name))];
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
