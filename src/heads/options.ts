import { UsageError } from '../errors.js';

/** How a head is trained. */
export interface HeadOptions {
  /** Most epochs. Default 300. */
  readonly epochs?: number;
  /** Rows of a minibatch. Default 32. */
  readonly batchSize?: number;
  /** Of Adam. Default 0.001. */
  readonly learningRate?: number;
  /** The loss gains `l2 * sum(kernel ** 2)`. Default 0. */
  readonly l2?: number;
  /** Of the initial weights and of the order of the rows. Default 0. */
  readonly seed?: number;
  /** Epochs without a lower validation loss after which training ends. Default 10. */
  readonly patience?: number;
  /**
   * Whether vectors are standardised, with mean and deviation of the training vectors. Default false, as in Keras: pooled
   * features of Keras's bases are of order one, and on real images raw ones gave the lower validation loss. For features of
   * other sizes it makes the learning rate fit.
   */
  readonly standardize?: boolean;
}

export type ResolvedOptions = Required<HeadOptions>;

const DEFAULTS: ResolvedOptions = {
  epochs: 300,
  batchSize: 32,
  learningRate: 1e-3,
  l2: 0,
  seed: 0,
  patience: 10,
  standardize: false,
};

const LIMITS: Readonly<Record<Exclude<keyof HeadOptions, 'standardize'>, readonly [number, number, boolean]>> = {
  epochs: [1, 1_000_000, true],
  batchSize: [1, 65_536, true],
  learningRate: [Number.MIN_VALUE, 1000, false],
  l2: [0, 1e6, false],
  seed: [0, Number.MAX_SAFE_INTEGER, true],
  patience: [1, 1_000_000, true],
};

/**
 * @returns the options with every default in place, in a fixed order
 * @throws UsageError for an unknown option or a value out of range
 */
export function resolveOptions(options: HeadOptions = {}): ResolvedOptions {
  const known = Object.keys(DEFAULTS);
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new UsageError(`unknown head option ${name}: known are ${known.join(', ')}`);
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved: ResolvedOptions = { ...DEFAULTS, ...given };
  for (const [name, [low, high, whole]] of Object.entries(LIMITS)) {
    const value: unknown = resolved[name as keyof typeof LIMITS];
    if (typeof value === 'number' && value >= low && value <= high && (!whole || Number.isInteger(value))) continue;
    const range = low === Number.MIN_VALUE ? `above 0 and at most ${high}` : `from ${low} to ${high}`;
    throw new UsageError(`${name} must be ${whole ? 'a whole number' : 'a number'} ${range}, not ${value}`);
  }
  if (typeof resolved.standardize !== 'boolean') {
    throw new UsageError(`standardize must be true or false, not ${resolved.standardize}`);
  }
  return resolved;
}
