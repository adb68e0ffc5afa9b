import { ModelError } from '../errors.js';
import type { Op, Shape } from '../graph/graph.js';
import { type Call, Taken } from './calls.js';
import { isFields, isText, shown } from './json.js';
import { ACTIVATION_LAYERS } from './layers.js';

/** The layer that another has for its activation; null where that is a function of a known name. */
export function activationLayer(activation: unknown): { className: string; config: Record<string, unknown> } | null {
  if (activation === 'leaky_relu') return { className: 'LeakyReLU', config: { negative_slope: 0.2 } };
  if (!isFields(activation) || !isText(activation.class_name) || !isFields(activation.config)) return null;
  const { class_name: className, config } = activation;
  return ACTIVATION_LAYERS.includes(className) ? { className, config } : null;
}

/** What the graph holds: axes that are never negative, groups that are counted. */
export function settle(op: Op, inputs: readonly Shape[]): Op {
  const [shape = []] = inputs;
  if (op.kind === 'Concatenate' && op.axis < 0) return { ...op, axis: op.axis + shape.length + 1 };
  if (op.kind !== 'GroupNormalization') return op;
  const groups = op.groups === -1 ? (shape.at(-1) ?? 1) : op.groups; // -1: a group for each channel
  if (!Number.isInteger(groups) || groups < 1)
    throw new ModelError(`groups must be a whole number from 1, found ${groups}`);
  return { ...op, groups };
}

/** @throws ModelError for arguments of a layer's call besides its tensors */
export function checkCall({ args, kwargs, from }: Call, where: string): void {
  const tensors = ['inputs', 'query', 'value', 'key'];
  const isEmpty = (value: unknown): boolean =>
    value === null || value === false || (Array.isArray(value) && value.every((item) => item === null));
  for (const [name, value] of Object.entries(kwargs)) {
    if (isEmpty(value) || tensors.includes(name) || (name === 'training' && typeof value === 'boolean')) continue;
    throw new ModelError(`${where}: call argument ${name} is not supported`);
  }
  const plain = args.flat(4).find((value) => value !== null && typeof value !== 'boolean' && !(value instanceof Taken));
  if (plain !== undefined) {
    throw new ModelError(
      `${where}: a constant as argument (${shown(plain)}) is not supported: it takes ${from.length} tensors`,
    );
  }
}
