import type { Activation, Graph, Node, Op, Pair, Shape } from '../../graph/graph.js';
import { inferShape } from '../../graph/infer.js';
import { AutoNames } from '../naming.js';
import { kerasOrder } from './order.js';

/** Builds an architecture layer by layer, as Keras's functional interface does. Names that are not given are numbered as Keras does. */
export class Builder {
  private readonly nodes: Node[] = [];
  private readonly shapes = new Map<string, Shape>();
  private readonly names = new AutoNames();
  /** What messages and nested layers' names start with: `outer/` inside a Sequential. */
  private prefix = '';

  private add(op: Op, inputs: readonly string[], name?: string, className?: string): string {
    const kind = className ?? (op.kind === 'Identity' ? op.className : op.kind);
    const given = this.prefix + (name ?? this.names.next(kind));
    const shapes = inputs.map((input) => this.shape(input));
    this.shapes.set(given, inferShape(op, shapes));
    this.nodes.push({ name: given, op, inputs, weights: [], ...(className === undefined ? {} : { className }) });
    return given;
  }

  /** The shape of one example at a node. */
  shape(name: string): Shape {
    return this.shapes.get(name) ?? [];
  }

  /** The number of channels at a node. */
  channels(name: string): number {
    return this.shape(name).at(-1) ?? 0;
  }

  /** What `layers` adds stands in a Sequential model of this name. */
  sequential(name: string, layers: () => string): string {
    this.prefix = `${name}/`;
    const output = layers();
    this.prefix = '';
    return output;
  }

  input(height: number | null, width: number | null, channels: number): string {
    return this.add({ kind: 'InputLayer', shape: [height, width, channels] }, [], 'input_layer');
  }

  conv(x: string, filters: number, size: Size, options: ConvolutionOptions & { groups?: number } = {}): string {
    const { groups = 1, name } = options;
    return this.add({ kind: 'Conv2D', filters, groups, ...convolution(size, options) }, [x], name);
  }

  depthwise(x: string, size: Size, options: ConvolutionOptions = {}): string {
    return this.add({ kind: 'DepthwiseConv2D', depthMultiplier: 1, ...convolution(size, options) }, [x], options.name);
  }

  separable(x: string, filters: number, size: Size, options: ConvolutionOptions = {}): string {
    const op: Op = { kind: 'SeparableConv2D', filters, depthMultiplier: 1, ...convolution(size, options) };
    return this.add(op, [x], options.name);
  }

  /** `epsilon` 1e-3 and a gamma where nothing else is said, as in Keras. */
  batchNorm(x: string, name?: string, { epsilon = 1e-3, scale = true } = {}): string {
    return this.add({ kind: 'BatchNormalization', epsilon, scale, center: true }, [x], name);
  }

  layerNorm(x: string, epsilon: number, name?: string): string {
    return this.add({ kind: 'LayerNormalization', epsilon, scale: true, center: true }, [x], name);
  }

  layerScale(x: string, name: string): string {
    return this.add({ kind: 'LayerScale' }, [x], name);
  }

  activation(x: string, activation: Activation, name?: string): string {
    return this.add({ kind: 'Activation', activation }, [x], name);
  }

  relu(x: string, maxValue: number | null, name?: string): string {
    return this.add({ kind: 'ReLU', maxValue, negativeSlope: 0, threshold: 0 }, [x], name);
  }

  maxPool(x: string, size: number, strides: number, { padding = 'valid', name }: PoolingOptions = {}): string {
    const op: Op = { kind: 'MaxPooling2D', poolSize: [size, size], strides: [strides, strides], padding };
    return this.add(op, [x], name);
  }

  averagePool(x: string, size: number, strides: number, { padding = 'valid', name }: PoolingOptions = {}): string {
    const op: Op = { kind: 'AveragePooling2D', poolSize: [size, size], strides: [strides, strides], padding };
    return this.add(op, [x], name);
  }

  globalAverage(x: string, keepdims = false, name?: string): string {
    return this.add({ kind: 'GlobalAveragePooling2D', keepdims }, [x], name);
  }

  zeroPadding(x: string, rows: Pair, columns: Pair, name?: string): string {
    return this.add({ kind: 'ZeroPadding2D', margins: [rows, columns] }, [x], name);
  }

  /** The padding before a `valid` window of stride 2 that keeps it centred, whatever the size: Keras's `correct_pad`. */
  correctPadding(x: string, size: number, name: string): string {
    const [height = null, width = null] = this.shape(x);
    const half = Math.floor(size / 2);
    const pad = (length: number | null): Pair => [half - (height === null ? 1 : 1 - ((length ?? 0) % 2)), half];
    return this.zeroPadding(x, pad(height), pad(width), name);
  }

  cropping(x: string, rows: Pair, columns: Pair, name?: string): string {
    return this.add({ kind: 'Cropping2D', margins: [rows, columns] }, [x], name);
  }

  sum(inputs: readonly string[], name?: string): string {
    return this.add({ kind: 'Add' }, inputs, name);
  }

  multiply(inputs: readonly string[], name?: string): string {
    return this.add({ kind: 'Multiply' }, inputs, name);
  }

  concat(inputs: readonly string[], name?: string): string {
    return this.add({ kind: 'Concatenate', axis: 3 }, inputs, name);
  }

  /** Inception-ResNet's `x + scale * branch`. */
  scaledSum(x: string, branch: string, scale: number): string {
    return this.add({ kind: 'CustomScaleLayer', scale }, [x, branch]);
  }

  dense(x: string, units: number, activation: Activation, name?: string): string {
    return this.add({ kind: 'Dense', units, useBias: true, activation }, [x], name);
  }

  flatten(x: string, name?: string): string {
    return this.add({ kind: 'Flatten' }, [x], name);
  }

  reshape(x: string, targetShape: readonly number[], name?: string): string {
    return this.add({ kind: 'Reshape', targetShape }, [x], name);
  }

  dropout(x: string, name?: string): string {
    return this.add({ kind: 'Identity', className: 'Dropout' }, [x], name);
  }

  rescaling(x: string, scale: readonly number[], offset: readonly number[]): string {
    return this.add({ kind: 'Rescaling', scale, offset }, [x]);
  }

  /** `x + number`, an operation node of Keras 3. */
  plus(x: string, number: number): string {
    return this.add({ kind: 'Rescaling', scale: [1], offset: [number] }, [x], undefined, 'Add');
  }

  /** `x * number`, an operation node of Keras 3. */
  times(x: string, number: number): string {
    return this.add({ kind: 'Rescaling', scale: [number], offset: [0] }, [x], undefined, 'Multiply');
  }

  /** Without `mean` and `variance` they are its weights. */
  normalization(x: string, mean: readonly number[] | null, variance: readonly number[] | null, name?: string): string {
    return this.add({ kind: 'Normalization', mean, variance, invert: false }, [x], name);
  }

  /** @returns the graph, its nodes in the order of Keras's `model.layers` */
  graph(input: string, output: string): Graph {
    return { nodes: kerasOrder(this.nodes, output), input, output };
  }
}

type Size = number | Pair;

interface PoolingOptions {
  readonly padding?: 'same' | 'valid';
  readonly name?: string;
}

/** Defaults: stride 1, `valid`, no bias, no activation. */
interface ConvolutionOptions {
  readonly strides?: number;
  readonly padding?: 'same' | 'valid';
  readonly useBias?: boolean;
  readonly activation?: Activation;
  readonly name?: string;
}

function convolution(size: Size, options: ConvolutionOptions) {
  const { strides = 1, padding = 'valid', useBias = false, activation = 'linear' } = options;
  const kernelSize: Pair = typeof size === 'number' ? [size, size] : size;
  return { kernelSize, strides: [strides, strides], dilation: [1, 1], padding, useBias, activation } as const;
}
