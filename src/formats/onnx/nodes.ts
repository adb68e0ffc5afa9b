import type { Attribute, OnnxNode, ValueInfo } from './write.js';

/** Nodes written one after the other. */
export class Nodes {
  readonly list: OnnxNode[] = [];

  /** @param prefix of the names that it makes up, which the graphs inside of a graph and that itself must not share */
  constructor(private readonly prefix = 't') {}

  /** @returns the name of the node's output */
  add(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}, output?: string): string {
    const name = output ?? `${this.prefix}${this.list.length}`;
    this.list.push({ op, inputs, outputs: [name], attributes });
    return name;
  }

  /** @returns the nodes that these outputs need, in order */
  for(outputs: readonly string[]): OnnxNode[] {
    const needed = new Set(outputs);
    const kept = this.list.toReversed().filter((node) => {
      if (!node.outputs.some((name) => needed.has(name))) return false;
      for (const name of node.inputs) needed.add(name);
      return true;
    });
    return kept.reverse();
  }
}

/** @returns the description of a graph's input or output */
export const value = (
  name: string,
  dims: readonly (number | string)[],
  type: ValueInfo['type'] = 'float',
): ValueInfo => ({ name, type, dims });
