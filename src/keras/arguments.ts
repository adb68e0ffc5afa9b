import { ModelError } from '../errors.js';
import type { Shape } from '../graph/graph.js';
import type { Attributes } from './attributes.js';
import { type Call, Constant, numbersOf, Taken } from './calls.js';
import { axisFrom } from './expression.js';
import { isFields, isNumber, shown } from './json.js';

/** What an operand is: a tensor by its place, or numbers. */
export type Operand = number | Constant;

/**
 * The arguments of an operation, wherever its file has them: by position, by name, or among its attributes. What no one has asked
 * for at the end must be empty: nothing is silently left out.
 */
export class Arguments {
  private readonly asked = new Set<string>(['name', 'dtype', 'training', 'out', 'conjugate']);
  private positions = 0;

  constructor(
    private readonly call: Call,
    private readonly attributes: Attributes,
    private readonly shapes: readonly Shape[],
  ) {}

  /** @param position among the arguments; below 0 for one that is given by name alone. @param names in the versions that there are */
  get(position: number, ...names: readonly string[]): unknown {
    for (const name of names) this.asked.add(name);
    this.positions = Math.max(this.positions, position + 1);
    const named = names.find((name) => this.call.kwargs[name] !== undefined);
    if (named !== undefined) return this.call.kwargs[named];
    if (position >= 0 && position < this.call.args.length) return this.call.args[position];
    const own = names.find((name) => this.attributes.has(name));
    return own === undefined ? undefined : this.attributes.raw(own);
  }

  /** A tensor, or numbers: one, or one for each channel. */
  operand(position: number, ...names: readonly string[]): Operand {
    const value = this.get(position, ...names);
    if (value instanceof Taken) return value.index;
    const numbers = numbersOf(value);
    if (numbers?.shape.slice(0, -1).every((size) => size === 1)) return numbers;
    return this.fail(names[0] ?? `${position}`, 'a tensor, one number or one a channel');
  }

  tensor(position: number, ...names: readonly string[]): number {
    const value = this.get(position, ...names);
    return value instanceof Taken ? value.index : this.fail(names[0] ?? `${position}`, 'a tensor');
  }

  tensors(position: number, ...names: readonly string[]): number[] {
    const value = this.get(position, ...names);
    const list = Array.isArray(value) ? value : [value];
    if (!list.every((one) => one instanceof Taken)) return this.fail(names[0] ?? `${position}`, 'tensors');
    return list.map((one) => (one as Taken).index);
  }

  number(position: number, name: string, fallback: number): number {
    const value = this.get(position, name) ?? fallback;
    return isNumber(value) ? value : this.fail(name, 'a number');
  }

  optional(position: number, ...names: readonly string[]): number | null {
    const value = this.get(position, ...names) ?? null;
    const numbers = value === null ? null : numbersOf(value);
    if (value === null || numbers?.values.length === 1) return numbers?.values[0] ?? null;
    return this.fail(names[0] ?? `${position}`, 'a number');
  }

  integers(position: number, ...names: readonly string[]): number[] {
    const numbers = numbersOf(this.get(position, ...names));
    if (numbers?.values.every(Number.isInteger)) return [...numbers.values];
    return this.fail(names[0] ?? `${position}`, 'whole numbers');
  }

  flag(position: number, fallback: boolean, ...names: readonly string[]): boolean {
    const value = this.get(position, ...names) ?? fallback;
    return typeof value === 'boolean' ? value : this.fail(names[0] ?? `${position}`, 'true or false');
  }

  text(position: number, fallback: string, ...names: readonly string[]): string {
    const value = this.get(position, ...names) ?? fallback;
    // Keras writes a type as its name, or as an object that holds it
    const plain = isFields(value) ? (isFields(value.config) ? value.config.name : value.name) : value;
    return typeof plain === 'string' ? plain : this.fail(names[0] ?? `${position}`, 'a text');
  }

  /** Axes of a tensor as the graph counts them. */
  axes(tensor: number, position: number, ...names: readonly string[]): number[] {
    return this.integers(position, ...names).map((axis) => axisFrom(axis, this.rank(tensor)));
  }

  shape(tensor: number): Shape {
    return this.shapes[tensor] ?? [];
  }

  rank(tensor: number): number {
    return this.shape(tensor).length;
  }

  /** What messages show of the call. */
  toString(): string {
    const show = (value: unknown): string =>
      value instanceof Taken
        ? 'tensor'
        : value instanceof Constant
          ? `numbers of shape (${value.shape.join(', ')})`
          : Array.isArray(value)
            ? `[${value.slice(0, 8).map(show).join(', ')}]`
            : shown(value);
    return this.call.args.slice(0, 8).map(show).join(', ');
  }

  /** @throws ModelError for an argument that no one has asked for */
  finish(): void {
    const rest = Object.entries(this.call.kwargs).find(([name, value]) => {
      const isUsual = name === 'data_format' && (value === 'NHWC' || value === 'channels_last');
      return !this.asked.has(name) && !isUsual && value !== null && value !== false;
    });
    const more = this.call.args.slice(this.positions).find((value) => value !== null && value !== false);
    if (rest) this.fail(rest[0], 'left out');
    if (more !== undefined) this.fail('the call', `of ${this.positions} arguments`);
  }

  private fail(name: string, expected: string): never {
    const found = this.call.kwargs[name];
    throw new ModelError(
      `${this.attributes.where}: ${name} must be ${expected}, found ${found === undefined ? `(${this})` : shown(found)}`,
    );
  }
}
