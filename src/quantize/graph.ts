import type { OnnxProgram } from '../engine/engine.js';
import { floats, type OnnxNode, type OnnxTensor } from '../formats/onnx/write.js';
import { valuesOf } from './fold.js';
import type { LayerStep, Step, Steps } from './steps.js';

/** How real values lie in 8 bits: value = (level - zero) * scale, levels 0 to 255. */
export interface Scale {
  readonly scale: number;
  readonly zero: number;
}

/** All that makes an int8 graph of a float one. */
export interface Recipe {
  /** Of weights. 7 where the processor's sums of products of 8 bits saturate. */
  readonly weightBits: 7 | 8;
  /** Of each point, in order. */
  readonly scales: readonly Scale[];
  /** Of each layer, in order: one a channel, in steps of input scale times weight scale; null where it has none, or is left in float. */
  readonly biases: readonly (ArrayLike<number> | null)[];
  /** Numbers of the layers that are left in float, in order. */
  readonly float: readonly number[];
}

/** The largest bias, so that sums of products above it stay within 32 bits. */
const MAX_BIAS = 2 ** 29;

/** @returns the range from `min` to `max` in 8 bits; zero has a level of its own */
export function scaleOf(min: number, max: number): Scale {
  const [low, high] = [Math.min(min, 0), Math.max(max, 0)];
  const scale = Math.max(Math.fround((high - low) / 255), 2 ** -100);
  return { scale, zero: Math.min(Math.max(Math.round(-low / scale), 0), 255) };
}

/** The weights of a layer in 8 bits, and the scale of each channel. */
export interface Levels {
  readonly levels: Int8Array;
  readonly scales: Float32Array;
}

/** What was made of each layer last: a calibration asks for it again and again. */
const known = new WeakMap<LayerStep, Levels & { readonly key: string }>();

/**
 * Weights as int8, symmetric, with a scale for each channel: its largest weight, or more where its bias would not fit into 32 bits.
 * @param input scale of what the layer takes
 */
export function weightLevels(layer: LayerStep, input: number, bits: 7 | 8): Levels {
  const key = `${input} ${bits}`;
  const found = known.get(layer);
  if (found?.key === key) return found;
  const { weight, bias, axis } = layer;
  const values = valuesOf(weight);
  const channels = weight.dims[axis] ?? 1;
  const inner = weight.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const most = 2 ** (bits - 1) - 1;
  const scales = new Float32Array(channels);
  const levels = new Int8Array(values.length);
  for (let c = 0; c < channels; c++) {
    let largest = 0;
    for (let start = c * inner; start < values.length; start += channels * inner) {
      for (let i = start; i < start + inner; i++) largest = Math.max(largest, Math.abs(values[i] as number));
    }
    scales[c] = Math.max(largest / most, Math.abs(bias?.[c] ?? 0) / input / MAX_BIAS, 2 ** -60);
    const scale = scales[c] as number;
    for (let start = c * inner; start < values.length; start += channels * inner) {
      for (let i = start; i < start + inner; i++) {
        levels[i] = Math.max(-most, Math.min(most, Math.round((values[i] as number) / scale)));
      }
    }
  }
  const made = { key, levels, scales };
  known.set(layer, made);
  return made;
}

/** @returns the bias of a layer in 32 bits, before any correction; zeros where it has none */
export function biasLevels({ bias }: LayerStep, { scales }: Levels, input: number): Int32Array {
  return Int32Array.from(scales, (scale, c) => Math.round((bias?.[c] ?? 0) / (input * scale)));
}

const raw = (data: Int8Array | Uint8Array | Int32Array): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Where a layer is found in an int8 graph. */
export interface PlacedLayer {
  /** What it gives: 8 bits, of a matrix product float. */
  readonly output: string;
  /** The tensor of its bias. */
  readonly bias: string;
}

/** An int8 graph, and its layers; null for those that are left in float. */
export interface Quantized {
  readonly program: OnnxProgram;
  readonly layers: readonly (PlacedLayer | null)[];
}

/** Writes the int8 graph of a float one: 8-bit values between QuantizeLinear and DequantizeLinear, which onnxruntime fuses. */
export function quantized(steps: Steps, recipe: Recipe): Quantized {
  return new Writer(steps, recipe).write();
}

class Writer {
  private readonly nodes: OnnxNode[] = [];
  private readonly tensors = new Map<string, OnnxTensor>();
  /** Name in 8 bits, and scale, of each value that has one. */
  private readonly bytes = new Map<string, Scale & { readonly name: string }>();
  private readonly floats: Set<string>;
  private readonly scales: ReadonlyMap<string, Scale>;
  private readonly prefix: string;
  private count = 0;

  constructor(
    private readonly steps: Steps,
    private readonly recipe: Recipe,
  ) {
    const { graph } = steps.program;
    this.scales = new Map(steps.points.map((name, i) => [name, recipe.scales[i] as Scale]));
    this.floats = new Set([...graph.inputs.map(({ name }) => name), ...steps.constants.keys()]);
    const names = [...graph.nodes.flatMap(({ outputs }) => outputs), ...steps.constants.keys()];
    let prefix = 'int8/';
    while (names.some((name) => name.startsWith(prefix))) prefix = `_${prefix}`;
    this.prefix = prefix;
  }

  write(): Quantized {
    const { program, steps, layers, constants } = this.steps;
    const left = new Set(this.recipe.float.map((i) => layers[i]));
    const made: (PlacedLayer | null)[] = [];
    for (const step of steps) {
      if (step.type === 'layer') made.push(left.has(step) ? this.float(step) : this.layer(step, made.length));
      else if (step.type === 'mix' && step.node.inputs.some((name) => this.bytes.has(name))) this.mix(step);
      else if (step.type === 'move' && this.bytes.has(step.node.inputs[0] ?? '')) this.move(step.node);
      else this.float(step);
    }
    for (const { name } of program.graph.outputs) this.asFloat(name, name);
    const used = new Set(this.nodes.flatMap(({ inputs }) => inputs));
    for (const tensor of constants.values()) if (used.has(tensor.name)) this.tensors.set(tensor.name, tensor);
    const graph = { ...program.graph, nodes: this.nodes, initializers: [...this.tensors.values()] };
    return { program: { ...program, graph }, layers: made };
  }

  private fresh(): string {
    return `${this.prefix}${this.count++}`;
  }

  private node(op: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}, output = this.fresh()) {
    this.nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  }

  private tensor(type: OnnxTensor['type'], dims: readonly number[], data: Uint8Array): string {
    const name = this.fresh();
    this.tensors.set(name, { name, type, dims, raw: data });
    return name;
  }

  private numbers(values: readonly number[] | Float32Array, dims: readonly number[]): string {
    const name = this.fresh();
    this.tensors.set(name, floats(name, dims, values));
    return name;
  }

  private scalePair({ scale, zero }: Scale): [string, string] {
    return [this.numbers([scale], []), this.tensor('uint8', [], Uint8Array.of(zero))];
  }

  /** The value in 8 bits. */
  private asBytes(value: string): Scale & { readonly name: string } {
    const known = this.bytes.get(value);
    if (known) return known;
    const scale = this.scales.get(value) as Scale;
    return this.give(value, value, scale);
  }

  /** Rounds a float to 8 bits, as the value of that name. */
  private give(value: string, float: string, scale: Scale): Scale & { readonly name: string } {
    const name = this.node('QuantizeLinear', [float, ...this.scalePair(scale)]);
    const found = { ...scale, name };
    this.bytes.set(value, found);
    return found;
  }

  /** The 8-bit value as float, for one node: the runtime fuses what no other uses. */
  private opened(value: string, output?: string): string {
    const { name, ...scale } = this.asBytes(value);
    return this.node('DequantizeLinear', [name, ...this.scalePair(scale)], {}, output);
  }

  /** The value as float. */
  private asFloat(value: string, output?: string): string {
    return value === '' || this.floats.has(value) ? value : this.opened(value, output);
  }

  /** A node, and the activation after it, as they are. */
  private float(step: Step): null {
    const nodes = 'activation' in step && step.activation ? [step.node, step.activation] : [step.node];
    for (const node of nodes) {
      this.nodes.push({ ...node, inputs: node.inputs.map((name) => this.asFloat(name)) });
      for (const output of node.outputs) this.floats.add(output);
    }
    return null;
  }

  private layer(step: LayerStep, number: number): PlacedLayer {
    const { node, weight, axis, output } = step;
    const [input = ''] = node.inputs;
    const { scale } = this.asBytes(input);
    const levels = weightLevels(step, scale, this.recipe.weightBits);
    const channels = levels.scales.length;
    const along = { axis: { i: axis } };
    const zeros = this.tensor('int8', [channels], new Uint8Array(channels));
    const w = this.node(
      'DequantizeLinear',
      [this.tensor('int8', weight.dims, raw(levels.levels)), this.numbers(levels.scales, [channels]), zeros],
      along,
    );
    const values = Int32Array.from(this.recipe.biases[number] ?? biasLevels(step, levels, scale));
    const bias = this.tensor('int32', [channels], raw(values));
    const steps = levels.scales.map((one) => one * scale);
    const none = this.tensor('int32', [channels], new Uint8Array(channels * 4));
    const b = this.node('DequantizeLinear', [bias, this.numbers(steps, [channels]), none], { axis: { i: 0 } });
    const x = this.opened(input);
    if (node.op === 'Conv') {
      const y = this.node(node.op, [x, w, b], node.attributes);
      return { output: this.give(output, y, this.scales.get(output) as Scale).name, bias };
    }
    if (node.op === 'MatMul') this.node('Add', [this.node(node.op, [x, w], node.attributes), b], {}, output);
    else this.node(node.op, [x, w, b], node.attributes, output);
    this.floats.add(output);
    return { output, bias };
  }

  private mix({ node, output }: Extract<Step, { type: 'mix' }>): void {
    const inputs = node.inputs.map((name) => this.opened(name));
    const y = this.node(node.op, inputs, node.attributes);
    this.give(output, y, this.scales.get(output) as Scale);
  }

  /** The same levels at other places, or the larger of each and zero. */
  private move(node: OnnxNode): void {
    const [input = '', ...rest] = node.inputs;
    const { name, scale, zero } = this.asBytes(input);
    const level = (value: number): string => this.tensor('uint8', [], Uint8Array.of(value));
    let op = node.op;
    let inputs = [name, ...rest];
    if (op === 'Relu') [op, inputs] = ['Clip', [name, level(zero)]];
    else if (op === 'Clip') {
      const top = valuesOf(this.steps.constants.get(rest[1] ?? '') as OnnxTensor)[0] ?? 0;
      inputs = [name, level(zero), level(Math.min(255, Math.round(top / scale) + zero))];
    } else if (op === 'Pad') inputs = [name, rest[0] ?? '', level(zero)];
    const [output = ''] = node.outputs;
    this.bytes.set(output, { name: this.node(op, inputs, node.attributes), scale, zero });
  }
}
