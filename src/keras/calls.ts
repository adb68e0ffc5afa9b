import { ModelError } from '../errors.js';
import { type Fields, isFields, isNumber, isText, shown } from './json.js';

/** A tensor that a call takes. */
export type Reference = readonly [layer: string, call: number, output: number];

/** The place of a tensor among those that a call takes. */
export class Taken {
  constructor(readonly index: number) {}
}

/** Numbers that a call is given, as an array of some shape. */
export class Constant {
  constructor(
    readonly shape: readonly number[],
    readonly values: readonly number[],
  ) {}
}

/** One call of a layer or an operation: tensors are `Taken`, arrays of numbers `Constant`, all else is JSON. */
export interface Call {
  /** The tensors that it takes, in order. */
  readonly from: readonly Reference[];
  readonly args: readonly unknown[];
  readonly kwargs: Fields;
}

const MAX_DEPTH = 8;
const MAX_CONSTANT = 65_536;

/** An array of numbers that is nested evenly; null for anything else. */
function constantOf(value: unknown): Constant | null {
  if (isNumber(value)) return new Constant([], [value]);
  if (!Array.isArray(value) || value.length === 0) return null;
  const parts = value.map(constantOf);
  const [first] = parts;
  if (!first || !parts.every((part) => part !== null && part.shape.join() === first.shape.join())) return null;
  const values = parts.flatMap((part) => [...(part?.values ?? [])]);
  return values.length > MAX_CONSTANT ? null : new Constant([value.length, ...first.shape], values);
}

/** What one call takes: Keras 2 lists `[layer, call, output, kwargs]`, Keras 3 the arguments with tensors among them. */
export function inbound(call: unknown, where: string): Call {
  if (Array.isArray(call)) return legacyCall(isText(call[0]) ? [call] : call, where);
  if (!isFields(call)) throw new ModelError(`${where}: inbound_nodes are in no known form`);
  const from: Reference[] = [];
  const walk = (value: unknown, depth: number): unknown => {
    if (depth > MAX_DEPTH) throw new ModelError(`${where}: its arguments nest more than ${MAX_DEPTH} deep`);
    if (Array.isArray(value)) return value.map((item) => walk(item, depth + 1));
    if (!isFields(value)) return value;
    if (value.class_name === '__keras_tensor__' && isFields(value.config)) {
      return new Taken(from.push(reference(value.config.keras_history, where)) - 1);
    }
    // Keras 3 writes an array into a call as __numpy__, a tensor as __tensor__
    const isArray = value.class_name === '__numpy__' || value.class_name === '__tensor__';
    return isArray && isFields(value.config) ? (constantOf(value.config.value) ?? value) : value;
  };
  const args = Array.isArray(call.args) ? call.args.map((arg) => walk(arg, 0)) : [];
  const kwargs = isFields(call.kwargs) ? call.kwargs : {};
  return { from, args, kwargs: Object.fromEntries(Object.entries(kwargs).map(([key, arg]) => [key, walk(arg, 0)])) };
}

/** Stands where a tensor would when the first argument is a number. */
const NUMBER = '_CONSTANT_VALUE';

const isReference = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length >= 3 &&
  value.length <= 4 &&
  isText(value[0]) &&
  isNumber(value[1]) &&
  (isNumber(value[2]) || value[0] === NUMBER);

function legacyCall(list: readonly unknown[], where: string): Call {
  const from: Reference[] = [];
  const take = (item: unknown): unknown => {
    if (Array.isArray(item) && item[0] === NUMBER) return constantOf(item[2]) ?? item[2];
    return new Taken(from.push(reference(item, where)) - 1);
  };
  const first = list.map(take);
  const walk = (value: unknown): unknown => {
    if (isReference(value)) return take(value);
    if (Array.isArray(value) && value.some(isReference)) return value.map(walk);
    return value;
  };
  const kwargs: Record<string, unknown> = {};
  for (const item of list) {
    const own: unknown = Array.isArray(item) ? item[3] : undefined;
    for (const [key, value] of Object.entries(isFields(own) ? own : {}))
      if (!(key in kwargs)) kwargs[key] = walk(value);
  }
  return { from, args: [first.length === 1 ? first[0] : first], kwargs };
}

/** What an argument holds as numbers, whether it is a `Constant` or a list of them; null for anything else. */
export const numbersOf = (value: unknown): Constant | null => (value instanceof Constant ? value : constantOf(value));

function reference(item: unknown, where: string): Reference {
  if (Array.isArray(item)) {
    const [name, call, output] = item as unknown[];
    if (isText(name) && name.length <= 512 && isNumber(call) && isNumber(output)) return [name, call, output];
  }
  throw new ModelError(`${where}: expected [layer, call, output], found ${shown(item)}`);
}

/** `input_layers` or `output_layers`: a reference alone, or lists and named ones of them, in order. */
export function references(value: unknown, source: string): Reference[] {
  const found: Reference[] = [];
  const walk = (item: unknown, depth: number): void => {
    if (Array.isArray(item) && !isText(item[0]) && depth < MAX_DEPTH) for (const one of item) walk(one, depth + 1);
    else if (isFields(item) && depth < MAX_DEPTH) for (const one of Object.values(item)) walk(one, depth + 1);
    else found.push(reference(item, source));
  };
  if (value !== null && typeof value === 'object') walk(value, 0);
  if (found.length === 0) throw new ModelError(`${source}: the model has no inputs or no outputs`);
  return found;
}
