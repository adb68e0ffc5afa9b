import type { OnnxProgram } from '../engine/engine.js';
import type ort from '../engine/onnx/runtime.js';
import { createSession } from '../engine/onnx/session.js';
import type { OnnxNode, OnnxTensor, ValueInfo } from '../formats/onnx/write.js';
import { biasLevels, quantized, type Recipe, type Scale, weightLevels } from './graph.js';
import { type Batch, imageTensor, type Observed } from './observe.js';
import type { LayerStep, Steps } from './steps.js';

/** The share of values that are not clipped counts as this at least: a larger correction would overshoot. */
const LEAST_SHARE = 0.25;

export interface CorrectOptions {
  readonly threads?: number;
  readonly signal?: AbortSignal;
  readonly onLayer?: (done: number, total: number) => void;
}

/**
 * Corrects the biases of an int8 graph, layer by layer in order: the mean of each channel of the float graph less that of the int8
 * graph, over positions and images and after the activation, over the share of values that are not clipped. Later layers are measured
 * on corrected ones. (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", the empirical form.)
 * @returns the recipe with all biases
 */
export async function corrected(
  steps: Steps,
  recipe: Recipe,
  { means }: Pick<Observed, 'means'>,
  batches: readonly Batch[],
  { threads, signal, onLayer }: CorrectOptions = {},
): Promise<Recipe> {
  const biases = [...recipe.biases];
  const { program, layers } = quantized(steps, recipe);
  const runs = new Runs(program, batches, threads);
  for (const [i, layer] of steps.layers.entries()) {
    const placed = layers[i];
    if (!placed) continue;
    signal?.throwIfAborted();
    const part = runs.part(placed.output);
    const { means: found, open } = await runs.measure(part, placed.output, layer, scaleAt(steps, recipe, layer.output));
    const { scale } = scaleAt(steps, recipe, layer.node.inputs[0] ?? '');
    const levels = weightLevels(layer, scale, recipe.weightBits);
    const plain = recipe.biases[i] ?? biasLevels(layer, levels, scale);
    const bias = Int32Array.from(plain, (value, c) => {
      const shift = ((means[i]?.[c] ?? 0) - (found[c] ?? 0)) / Math.max(open[c] ?? 0, LEAST_SHARE);
      return value + Math.round(shift / (scale * (levels.scales[c] ?? 1)));
    });
    biases[i] = bias;
    await runs.advance(part, placed.bias, bias);
    onLayer?.(i + 1, layers.length);
  }
  return { ...recipe, biases };
}

const scaleAt = ({ points }: Steps, { scales }: Recipe, name: string): Scale => scales[points.indexOf(name)] as Scale;

/** The nodes that a value needs beyond what is there already. */
interface Part {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly string[];
  readonly tensors: readonly OnnxTensor[];
  /** All values that its nodes give. */
  readonly made: readonly string[];
  /** Those of them that nodes outside take. */
  readonly boundary: readonly string[];
}

/** A graph that is run a part at a time on the same images; what later parts take is held. */
class Runs {
  private readonly held: Map<string, ort.Tensor>[];
  private readonly done = new Set<string>();
  private readonly left: Set<OnnxNode>;
  private readonly producers: ReadonlyMap<string, OnnxNode>;

  constructor(
    private readonly program: OnnxProgram,
    batches: readonly Batch[],
    private readonly threads: number | undefined,
  ) {
    const { nodes, inputs } = program.graph;
    const input = inputs[0]?.name ?? '';
    this.held = batches.map((batch) => new Map([[input, imageTensor(program, batch)]]));
    this.done.add(input);
    this.left = new Set(nodes);
    this.producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  }

  part(output: string): Part {
    const needed = new Set<OnnxNode>();
    const inputs = new Set<string>();
    const stack = [output];
    for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
      if (this.done.has(name)) inputs.add(name);
      const node = this.producers.get(name);
      if (this.done.has(name) || !node || needed.has(node)) continue;
      needed.add(node);
      stack.push(...node.inputs);
    }
    const nodes = [...this.left].filter((node) => needed.has(node));
    const made = nodes.flatMap(({ outputs }) => outputs);
    const outside = new Set([...this.left].filter((node) => !needed.has(node)).flatMap((node) => node.inputs));
    const used = new Set(nodes.flatMap((node) => node.inputs));
    return {
      nodes,
      inputs: [...inputs],
      tensors: this.program.graph.initializers.filter(({ name }) => used.has(name)),
      made,
      boundary: made.filter((name) => name === output || outside.has(name)),
    };
  }

  /** @returns the mean of each channel of a layer, and the share of its values that are not clipped */
  async measure(part: Part, output: string, { axis, node, weight }: LayerStep, { scale, zero }: Scale) {
    const channels = weight.dims[axis] ?? 1;
    const sums = new Float64Array(channels);
    const open = new Float64Array(channels);
    let count = 0;
    await this.run(part, [output], (found) => {
      const { data, dims } = found.get(output) as ort.Tensor;
      const inner = node.op === 'Conv' ? dims.slice(2).reduce((a, b) => a * b, 1) : 1;
      count += data.length / channels;
      if (data instanceof Uint8Array) addLevels(data, inner, sums, open);
      else addValues(data as Float32Array, sums, open);
    });
    const isLevel = node.op === 'Conv';
    const mean = (sum: number): number => (isLevel ? (sum / count - zero) * scale : sum / count);
    return { means: sums.map(mean), open: open.map((one) => one / count) };
  }

  /** Runs a part with another bias, holds what it gives, and lets go what nothing takes any more. */
  async advance(part: Part, bias: string, values: Int32Array): Promise<void> {
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const tensors = part.tensors.map((tensor) => (tensor.name === bias ? { ...tensor, raw } : tensor));
    for (const node of part.nodes) this.left.delete(node);
    const needed = new Set([...this.left].flatMap((node) => node.inputs));
    await this.run({ ...part, tensors }, part.boundary, (found, held) => {
      for (const [name, tensor] of found) held.set(name, tensor);
      for (const name of held.keys()) if (!needed.has(name)) held.delete(name);
    });
    for (const name of part.made) this.done.add(name);
  }

  private async run(
    { nodes, inputs, tensors }: Part,
    outputs: readonly string[],
    use: (found: ReadonlyMap<string, ort.Tensor>, held: Map<string, ort.Tensor>) => void,
  ): Promise<void> {
    const [first] = this.held;
    const given = inputs.map((name): ValueInfo => {
      const { type = 'uint8', dims = [] } = first?.get(name) ?? {};
      return { name, type: type === 'uint8' ? 'uint8' : 'float', dims: ['n', ...dims.slice(1)] };
    });
    const asked = outputs.map((name) => ({ name, dims: [] }));
    const graph = { name: 'part', nodes, initializers: tensors, inputs: given, outputs: asked };
    const { threads } = this;
    const { imports } = this.program;
    const session = await createSession(graph, { imports, ...(threads === undefined ? {} : { threads }) });
    try {
      for (const held of this.held) {
        const feeds = Object.fromEntries(inputs.map((name) => [name, held.get(name) as ort.Tensor]));
        use(new Map(Object.entries(await session.run(feeds))), held);
      }
    } finally {
      await session.release();
    }
  }
}

/** Adds levels `[n, channels, inner]`, and how many of them are neither the lowest nor the highest. */
function addLevels(data: Uint8Array, inner: number, sums: Float64Array, open: Float64Array): void {
  for (let at = 0, c = 0; at < data.length; c = (c + 1) % sums.length) {
    let sum = 0;
    let clipped = 0;
    for (const end = at + inner; at < end; at++) {
      const level = data[at] as number;
      sum += level;
      if (level === 0 || level === 255) clipped++;
    }
    sums[c] = (sums[c] ?? 0) + sum;
    open[c] = (open[c] ?? 0) + inner - clipped;
  }
}

/** Adds values `[…, channels]`, none of which is clipped. */
function addValues(data: Float32Array, sums: Float64Array, open: Float64Array): void {
  for (const [i, value] of data.entries()) {
    const c = i % sums.length;
    sums[c] = (sums[c] ?? 0) + value;
    open[c] = (open[c] ?? 0) + 1;
  }
}
