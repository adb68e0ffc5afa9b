import type { Activation, Graph, Node, Op, Pair } from '../../graph/graph.js';
import { AutoNames } from '../naming.js';

/** Builds an architecture layer by layer, as Keras's functional interface does. */
export class Builder {
  private readonly nodes: Node[] = [];
  private readonly names = new AutoNames();

  private add(op: Op, inputs: readonly string[], name?: string): string {
    const given = name ?? this.names.next(op.kind === 'Identity' ? op.className : op.kind);
    this.nodes.push({ name: given, op, inputs, weights: [] });
    return given;
  }

  input(height: number | null, width: number | null, channels: number): string {
    return this.add({ kind: 'InputLayer', shape: [height, width, channels] }, [], 'input_layer');
  }

  conv(x: string, filters: number, size: number, options: ConvolutionOptions & { useBias?: boolean } = {}): string {
    const op: Op = {
      kind: 'Conv2D',
      filters,
      groups: 1,
      ...convolution(size, options),
      useBias: options.useBias ?? false,
    };
    return this.add(op, [x], options.name);
  }

  depthwise(x: string, size: number, depthMultiplier: number, options: ConvolutionOptions = {}): string {
    return this.add({ kind: 'DepthwiseConv2D', depthMultiplier, ...convolution(size, options) }, [x], options.name);
  }

  separable(x: string, filters: number, size: number, options: ConvolutionOptions = {}): string {
    const op: Op = { kind: 'SeparableConv2D', filters, depthMultiplier: 1, ...convolution(size, options) };
    return this.add(op, [x], options.name);
  }

  batchNorm(x: string, name?: string): string {
    return this.add({ kind: 'BatchNormalization', epsilon: 1e-3, scale: true, center: true }, [x], name);
  }

  activation(x: string, activation: Activation, name?: string): string {
    return this.add({ kind: 'Activation', activation }, [x], name);
  }

  relu(x: string, maxValue: number | null, name?: string): string {
    return this.add({ kind: 'ReLU', maxValue, negativeSlope: 0, threshold: 0 }, [x], name);
  }

  maxPool(x: string, size: number, stride: number, name?: string): string {
    const op: Op = { kind: 'MaxPooling2D', poolSize: [size, size], strides: [stride, stride], padding: 'same' };
    return this.add(op, [x], name);
  }

  globalAverage(x: string, keepdims = false, name?: string): string {
    return this.add({ kind: 'GlobalAveragePooling2D', keepdims }, [x], name);
  }

  zeroPadding(x: string, rows: Pair, columns: Pair, name?: string): string {
    return this.add({ kind: 'ZeroPadding2D', margins: [rows, columns] }, [x], name);
  }

  sum(...inputs: readonly string[]): string {
    return this.add({ kind: 'Add' }, inputs);
  }

  dense(x: string, units: number, activation: Activation, name?: string): string {
    return this.add({ kind: 'Dense', units, useBias: true, activation }, [x], name);
  }

  reshape(x: string, targetShape: readonly number[], name?: string): string {
    return this.add({ kind: 'Reshape', targetShape }, [x], name);
  }

  dropout(x: string, name?: string): string {
    return this.add({ kind: 'Identity', className: 'Dropout' }, [x], name);
  }

  /** @returns the graph, its nodes in the order of Keras's `model.layers` */
  graph(input: string, output: string): Graph {
    return { nodes: kerasOrder(this.nodes, output), input, output };
  }
}

interface ConvolutionOptions {
  readonly strides?: number;
  readonly padding?: 'same' | 'valid';
  readonly name?: string;
}

function convolution(size: number, { strides = 1, padding = 'valid' }: ConvolutionOptions) {
  return {
    kernelSize: [size, size],
    strides: [strides, strides],
    dilation: [1, 1],
    padding,
    useBias: false,
    activation: 'linear',
  } as const;
}

/**
 * Keras sorts layers by their distance from the output, and those at one distance by when a walk back from the output meets
 * them first: keras/src/ops/function.py, `map_graph`.
 */
function kerasOrder(nodes: readonly Node[], output: string): Node[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const met = new Map<string, number>();
  const finished: string[] = [];
  const done = new Set<string>();
  const visit = (name: string): void => {
    if (done.has(name)) return;
    if (!met.has(name)) met.set(name, met.size);
    for (const input of byName.get(name)?.inputs ?? []) visit(input);
    done.add(name);
    finished.push(name);
  };
  visit(output);
  const depth = new Map<string, number>();
  for (const name of finished.reverse()) {
    const own = depth.get(name) ?? 0;
    depth.set(name, own);
    for (const input of byName.get(name)?.inputs ?? []) depth.set(input, Math.max(depth.get(input) ?? 0, own + 1));
  }
  const rank = (name: string): number => depth.get(name) ?? 0;
  return [...met.keys()]
    .sort((a, b) => rank(b) - rank(a) || (met.get(a) ?? 0) - (met.get(b) ?? 0))
    .map((name) => byName.get(name) as Node);
}
