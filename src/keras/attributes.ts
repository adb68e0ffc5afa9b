import { ModelError } from '../errors.js';
import type { Activation, Margins, Padding, Pair, Shape } from '../graph/graph.js';
import { KERAS_ACTIVATIONS } from './activations.js';
import { type Fields, isFields, isNumber, isText, shown } from './json.js';

/** Attributes that shape training, naming or the device, never what a layer computes at inference. */
const HARMLESS = new Set([
  'name',
  'trainable',
  'dtype',
  'autocast',
  'batch_input_shape',
  'batch_shape',
  'build_config',
  'input_dtype',
  'optional',
  'lora_rank',
  'lora_alpha',
  'gptq_unpacked_column_size',
  'quantization_config',
  'implementation',
  'kernel_initializer',
  'depthwise_initializer',
  'pointwise_initializer',
  'bias_initializer',
  'beta_initializer',
  'gamma_initializer',
  'moving_mean_initializer',
  'moving_variance_initializer',
  'alpha_initializer',
  'kernel_regularizer',
  'depthwise_regularizer',
  'pointwise_regularizer',
  'bias_regularizer',
  'beta_regularizer',
  'gamma_regularizer',
  'alpha_regularizer',
  'activity_regularizer',
  'kernel_constraint',
  'depthwise_constraint',
  'pointwise_constraint',
  'bias_constraint',
  'beta_constraint',
  'gamma_constraint',
  'alpha_constraint',
  'momentum',
  'renorm_momentum',
  'seed',
]);

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  ...KERAS_ACTIVATIONS,
  swish: 'silu',
  hard_swish: 'hard_silu',
  exp: 'exponential',
  celu: 'elu',
};

/** Policies of another precision than float32. */
const REDUCED = ['mixed_float16', 'mixed_bfloat16', 'float16', 'bfloat16', 'float64'];

/**
 * The config of one layer, read attribute by attribute. What no reader has asked for at the end must be null, false or harmless:
 * nothing is silently left out.
 */
export class Attributes {
  private readonly asked = new Set<string>();

  constructor(
    private readonly config: Fields,
    /** `layer NAME (CLASS) of FILE` */
    readonly where: string,
    /** Whether Keras 3 wrote it: some names changed their meaning. */
    private readonly keras3: boolean,
    /** The number of the last axis of what the layer takes; the batch is axis 0. */
    readonly lastAxis: number,
  ) {}

  has(name: string): boolean {
    return Object.hasOwn(this.config, name) && this.config[name] !== null && this.config[name] !== undefined;
  }

  /** An attribute as it is, for a reader that checks it. */
  raw(name: string): unknown {
    return this.get(name);
  }

  /** The policy of another precision than float32 that the layer was built with; null for none. */
  get reduced(): string | null {
    const policy = this.policy();
    return isText(policy) && REDUCED.includes(policy) ? policy : null;
  }

  private policy(): unknown {
    const { dtype } = this.config;
    return isFields(dtype) && isFields(dtype.config) ? dtype.config.name : dtype;
  }

  private get(name: string): unknown {
    this.asked.add(name);
    return Object.hasOwn(this.config, name) ? this.config[name] : undefined;
  }

  private fail(name: string, expected: string): never {
    const found = Object.hasOwn(this.config, name) ? this.config[name] : undefined;
    throw new ModelError(`${this.where}: ${name} must be ${expected}, found ${shown(found)}`);
  }

  /** Takes an attribute that changes nothing here, whatever it holds. */
  touch(name: string): void {
    this.asked.add(name);
  }

  number(name: string, fallback?: number): number {
    const value = this.get(name) ?? fallback;
    return isNumber(value) ? value : this.fail(name, 'a number');
  }

  optionalNumber(name: string): number | null {
    const value = this.get(name) ?? null;
    return value === null || isNumber(value) ? value : this.fail(name, 'a number');
  }

  /** A whole number from 1 on. */
  count(name: string, fallback?: number): number {
    const value = this.get(name) ?? fallback;
    return isNumber(value) && Number.isInteger(value) && value >= 1 && value <= 2 ** 24
      ? value
      : this.fail(name, 'a whole number from 1');
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    return typeof value === 'boolean' ? value : this.fail(name, 'true or false');
  }

  /** Two whole numbers from `least` (default: 1) on; one number counts for both. */
  pair(name: string, fallback?: Pair, least = 1): Pair {
    const value = this.get(name) ?? fallback;
    const both = isNumber(value) ? [value, value] : value;
    const fits = (n: unknown): n is number => isNumber(n) && Number.isInteger(n) && n >= least && n <= 65_536;
    if (!Array.isArray(both) || both.length !== 2 || !both.every(fits))
      return this.fail(name, `two whole numbers from ${least}`);
    return [both[0] as number, both[1] as number];
  }

  padding(): Padding {
    const value = this.get('padding') ?? 'valid';
    return value === 'same' || value === 'valid' ? value : this.fail('padding', 'same or valid');
  }

  margins(name: string): Margins {
    const value = this.get(name);
    const fits = (n: unknown): n is number => isNumber(n) && Number.isInteger(n) && n >= 0 && n <= 65_536;
    const pair = (item: unknown): Pair => {
      if (fits(item)) return [item, item];
      if (Array.isArray(item) && item.length === 2 && item.every(fits)) return [item[0] as number, item[1] as number];
      return this.fail(name, 'whole numbers from 0');
    };
    if (fits(value)) return [pair(value), pair(value)];
    if (!Array.isArray(value) || value.length !== 2) return this.fail(name, 'two pairs of whole numbers');
    return [pair(value[0]), pair(value[1])];
  }

  integers(name: string): number[] {
    const value = this.get(name);
    const list = isNumber(value) ? [value] : value;
    if (!Array.isArray(list) || list.length > 16 || !list.every((n) => isNumber(n) && Number.isInteger(n))) {
      return this.fail(name, 'whole numbers');
    }
    return list as number[];
  }

  /** Numbers, however they are nested: Keras writes one value a channel with its broadcast axes. */
  numbers(name: string, fallback?: number): number[] {
    const value = this.get(name) ?? fallback;
    const list = isNumber(value)
      ? [value]
      : Array.isArray(value)
        ? value.flat(8)
        : isFields(value)
          ? unpack(value)
          : null;
    if (!list || list.length === 0 || list.length > 65_536 || !list.every(isNumber)) return this.fail(name, 'numbers');
    return list as number[];
  }

  choice<T extends string>(name: string, values: readonly T[], fallback: T): T {
    const value = this.get(name) ?? fallback;
    return values.includes(value as T) ? (value as T) : this.fail(name, values.join(' or '));
  }

  activation(name = 'activation', fallback = 'linear'): Activation {
    let value: unknown = this.get(name) ?? fallback;
    if (isFields(value) && value.class_name === 'function') value = value.config;
    if (value === 'hard_sigmoid') return this.keras3 ? 'hard_sigmoid' : 'hard_sigmoid_v2';
    const known = isText(value) && Object.hasOwn(ACTIVATIONS, value) ? ACTIVATIONS[value] : undefined;
    return known ?? this.fail(name, `a known activation (${[...Object.keys(ACTIVATIONS), 'hard_sigmoid'].join(', ')})`);
  }

  /** The shape of an example, of `batch_shape` (Keras 3) or `batch_input_shape` (Keras 2); null where neither is there. */
  batchShape(): Shape | null {
    const name = this.has('batch_shape') ? 'batch_shape' : 'batch_input_shape';
    const value = this.get(name) ?? null;
    if (value === null) return null;
    const fits = (n: unknown): n is number | null => n === null || (isNumber(n) && Number.isInteger(n) && n >= 1);
    if (!Array.isArray(value) || value.length < 2 || value.length > 5 || !value.slice(1).every(fits)) {
      return this.fail(name, '[null, height, width, channels]');
    }
    return value.slice(1) as Shape;
  }

  /** Checks an attribute that must have one of these values. */
  only(name: string, ...values: readonly unknown[]): void {
    const value = this.get(name);
    if (value !== undefined && !values.some((one) => JSON.stringify(one) === JSON.stringify(value))) {
      this.fail(name, values.map((one) => JSON.stringify(one)).join(' or '));
    }
  }

  /** Checks what every layer may carry, and refuses attributes that nobody has read. */
  finish(): void {
    this.only('data_format', 'channels_last', null);
    for (const name of ['ragged', 'sparse']) this.only(name, false, null);
    const policy = this.policy();
    if (policy !== undefined && policy !== null && policy !== 'float32' && this.reduced === null) {
      this.fail('dtype', 'float32 or a policy of mixed precision');
    }
    for (const [name, value] of Object.entries(this.config)) {
      if (this.asked.has(name) || HARMLESS.has(name) || value === null || value === false) continue;
      throw new ModelError(`${this.where}: attribute ${name} = ${shown(value)} is not supported`);
    }
  }
}

/** The numbers of an array, which Keras 3 writes as `{"class_name": "__numpy__", "config": {"value": …}}`; null for anything else. */
export function unpack(value: Fields): unknown[] | null {
  const config = value.config;
  const inner = isFields(config) ? config.value : undefined;
  return Array.isArray(inner) ? inner.flat(8) : isNumber(inner) ? [inner] : null;
}
