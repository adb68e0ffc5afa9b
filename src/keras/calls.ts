import { ModelError } from '../errors.js';
import { unpack } from './attributes.js';
import { type Fields, isFields, isNumber, isText } from './json.js';
import type { Argument } from './operations.js';

/** A tensor that a call takes. */
export type Reference = readonly [layer: string, call: number, output: number];

/** One call of a layer or an operation. */
export interface Call {
  /** The tensors that it takes. */
  readonly from: readonly Reference[];
  /** All that it takes, in order. */
  readonly args: readonly Argument[];
}

/** What one call takes: Keras 2 lists `[layer, call, output, kwargs]`, Keras 3 the arguments with tensors among them. */
export function inbound(call: unknown, where: string, numbersToo: boolean): Call {
  if (Array.isArray(call)) {
    const list = isText(call[0]) ? [call] : call;
    const from = list.map((item: unknown) => {
      const kwargs: unknown = Array.isArray(item) ? item[3] : undefined;
      if (isFields(kwargs) && Object.keys(kwargs).some((key) => key !== 'training' && key !== 'mask')) {
        throw new ModelError(`${where}: call arguments (${Object.keys(kwargs).join(', ')}) are not supported`);
      }
      return reference(item, where);
    });
    return { from, args: from.map(() => 'tensor') };
  }
  if (!isFields(call)) throw new ModelError(`${where}: inbound_nodes are in no known form`);
  const from: Reference[] = [];
  const args: Argument[] = [];
  const walk = (value: unknown, depth: number): void => {
    if (Array.isArray(value) && depth < 4) {
      for (const item of value) walk(item, depth + 1);
    } else if (isFields(value) && value.class_name === '__keras_tensor__' && isFields(value.config)) {
      from.push(reference(value.config.keras_history, where));
      args.push('tensor');
    } else if (numbersToo && (isNumber(value) || isConstant(value))) {
      args.push(constant(value, where));
    } else if (value !== null) {
      throw new ModelError(
        `${where}: a constant as argument (${JSON.stringify(value)?.slice(0, 60)}) is not supported`,
      );
    }
  };
  walk(call.args ?? [], 0);
  for (const [key, value] of Object.entries(isFields(call.kwargs) ? call.kwargs : {})) {
    const empty = value === null || (Array.isArray(value) && value.every((item) => item === null));
    if (key !== 'training' && !empty) throw new ModelError(`${where}: call argument ${key} is not supported`);
  }
  return { from, args };
}

/** Keras 3 writes an array into a call as `{"class_name": "__numpy__", …}`, a tensor as `__tensor__`. */
const isConstant = (value: unknown): value is Fields =>
  isFields(value) && (value.class_name === '__numpy__' || value.class_name === '__tensor__');

/** One number, or one a channel. */
function constant(value: number | Fields, where: string): number[] {
  if (isNumber(value)) return [value];
  const numbers = unpack(value);
  const plain = isFields(value.config) && Array.isArray(value.config.value) ? value.config.value : [];
  const perChannel = plain.every(isNumber) || (numbers?.length ?? 0) === 1;
  if (numbers && perChannel && numbers.length > 0 && numbers.length <= 65_536 && numbers.every(isNumber)) {
    return numbers as number[];
  }
  throw new ModelError(`${where}: a constant that is neither one number nor one a channel is not supported`);
}

function reference(item: unknown, where: string): Reference {
  if (Array.isArray(item)) {
    const [name, call, output] = item as unknown[];
    if (isText(name) && name.length <= 512 && isNumber(call) && isNumber(output)) return [name, call, output];
  }
  throw new ModelError(`${where}: expected [layer, call, output], found ${JSON.stringify(item)?.slice(0, 80)}`);
}

/** `input_layers` or `output_layers`: a list of references, or one alone. */
export function references(value: unknown, source: string): Reference[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new ModelError(`${source}: the model has no inputs or no outputs`);
  return isText(value[0]) ? [reference(value, source)] : value.map((item) => reference(item, source));
}
