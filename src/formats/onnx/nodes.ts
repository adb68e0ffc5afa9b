import type { Attribute, OnnxNode, ValueInfo } from './write.js';

/** Nodes written one after the other. */
export class Nodes {
  readonly list: OnnxNode[] = [];

  /** @returns the name of the node's output */
  add(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}, output?: string): string {
    const name = output ?? `t${this.list.length}`;
    this.list.push({ op, inputs, outputs: [name], attributes });
    return name;
  }
}

/** @returns the description of a graph's input or output */
export const value = (
  name: string,
  dims: readonly (number | string)[],
  type: ValueInfo['type'] = 'float',
): ValueInfo => ({ name, type, dims });
