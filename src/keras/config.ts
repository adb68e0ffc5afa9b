import { ModelError } from '../errors.js';
import { classOf, type Graph, type Node, type Op, type Shape } from '../graph/graph.js';
import { inferShape, inLayer } from '../graph/infer.js';
import { Attributes } from './attributes.js';
import { type Call, type Reference, references } from './calls.js';
import { isFields, isText } from './json.js';
import { firstCalls, type LayerConfig, layerConfigs, MODELS } from './layer-configs.js';
import { readLayer } from './layers.js';
import { type Argument, readOperation } from './operations.js';

/** One layer as the model file lists it; a model within the model has layers of its own. */
export interface LayerEntry {
  readonly name: string;
  readonly className: string;
  /** Its place: `outer/inner` in a nested model. */
  readonly path: string;
  /** Empty but for nested models. */
  readonly layers: readonly LayerEntry[];
}

/** A model's architecture: the graph without weights, and the layers that the weights of a file belong to. */
export interface Architecture {
  readonly graph: Graph;
  /** In the order of `model.layers`. */
  readonly layers: readonly LayerEntry[];
  /** Layer path of each node. */
  readonly layerOf: ReadonlyMap<string, string>;
}

const MAX_NODES = 20_000;
const MAX_DEPTH = 16;

class Reader {
  readonly nodes: Node[] = [];
  readonly layerOf = new Map<string, string>();
  private readonly shapes = new Map<string, Shape>();
  private readonly callsOf = new Map<string, number>();
  input: string | undefined;

  constructor(
    private readonly source: string,
    private readonly keras3: boolean,
  ) {}

  /** Adds one call of a model's layers. @returns its outputs and its layers */
  model(
    className: string,
    config: unknown,
    prefix: string,
    given: readonly string[] | null,
    depth = 0,
  ): { outputs: string[]; layers: LayerEntry[] } {
    if (depth > MAX_DEPTH) throw new ModelError(`${this.source}: models are nested more than ${MAX_DEPTH} deep`);
    return className === 'Sequential'
      ? this.sequential(config, prefix, given, depth)
      : this.functional(config, prefix, given, depth);
  }

  private sequential(config: unknown, prefix: string, given: readonly string[] | null, depth: number) {
    const list = Array.isArray(config) ? config : isFields(config) ? config.layers : null;
    if (!Array.isArray(list)) throw new ModelError(`${this.source}: a Sequential model without layers`);
    const layers: LayerEntry[] = [];
    let value = given?.[0];
    for (const layer of layerConfigs(list, this.source, prefix)) {
      if (layer.className === 'InputLayer') {
        layers.push({ name: layer.name, className: layer.className, path: prefix + layer.name, layers: [] });
        value ??= this.inputLayer(layer, prefix);
        continue;
      }
      if (value === undefined) {
        const shape = this.attributes(layer).batchShape() ?? builtShape(config);
        if (!shape) throw new ModelError(`${this.source}: the Sequential model does not say what shape it takes`);
        value = this.addInput(`${prefix}input`, shape);
      }
      const { entry, outputs } = this.call(layer, prefix, [value], depth);
      layers.push(entry);
      [value] = outputs;
    }
    if (value === undefined) throw new ModelError(`${this.source}: a Sequential model without layers`);
    return { outputs: [value], layers };
  }

  private functional(config: unknown, prefix: string, given: readonly string[] | null, depth: number) {
    if (!isFields(config) || !Array.isArray(config.layers)) {
      throw new ModelError(`${this.source}: the config of a model without its list of layers`);
    }
    const layers = layerConfigs(config.layers, this.source, prefix);
    const inputs = references(config.input_layers, this.source);
    const outputs = references(config.output_layers, this.source);
    if (given === null && inputs.length !== 1) {
      throw new ModelError(`${this.source}: the model has ${inputs.length} inputs, a base must have one`);
    }
    const values = new Map<string, string[]>();
    const entries = new Map<LayerConfig, LayerEntry>();
    const first = firstCalls(layers, outputs);
    type Waiting = { layer: LayerConfig; index: number; call: Call; lacks: number };
    let waiting: Waiting[] = [];
    const users = new Map<string, Waiting[]>();
    const place = ([name, call]: Reference): string => `${name}:${call - (first.get(name) ?? 0)}`;
    const find = (reference: Reference): string | undefined => values.get(place(reference))?.[reference[2]];
    const give = (key: string, out: string[]): void => {
      values.set(key, out);
      for (const user of users.get(key) ?? []) user.lacks--;
    };
    for (const layer of layers) {
      const input = inputs.findIndex(([name]) => name === layer.name);
      if (layer.className === 'InputLayer') {
        entries.set(layer, { name: layer.name, className: 'InputLayer', path: prefix + layer.name, layers: [] });
        const value = given === null ? this.inputLayer(layer, prefix) : given[Math.max(input, 0)];
        if (value === undefined) throw new ModelError(`${this.source}: model ${prefix}: too few inputs are given`);
        values.set(`${layer.name}:0`, [value]);
        continue;
      }
      if (layer.calls.length === 0) {
        throw new ModelError(`${this.source}: layer ${prefix}${layer.name} is not connected to anything`);
      }
      layer.calls.forEach((call, index) => {
        waiting.push({ layer, index, call, lacks: 0 });
      });
    }
    for (const one of waiting) {
      for (const key of new Set(one.call.from.map(place))) {
        if (values.has(key)) continue;
        one.lacks++;
        const others = users.get(key);
        if (others) others.push(one);
        else users.set(key, [one]);
      }
    }
    while (waiting.length > 0) {
      const later: Waiting[] = [];
      for (const one of waiting) {
        const from = one.lacks > 0 ? [undefined] : one.call.from.map(find);
        if (!from.every((name) => name !== undefined)) {
          later.push(one);
          continue;
        }
        const { entry, outputs: out } = this.call(one.layer, prefix, from, depth, one.call.args);
        if (!entries.has(one.layer)) entries.set(one.layer, entry);
        give(`${one.layer.name}:${one.index}`, out);
      }
      if (later.length === waiting.length) {
        const stuck = later[0] as Waiting;
        const lacks = stuck.call.from.find((reference) => find(reference) === undefined);
        throw new ModelError(
          `${this.source}: layer ${prefix}${stuck.layer.name} takes ${lacks?.[0]}, which the model does not compute before it`,
        );
      }
      waiting = later;
    }
    const results = outputs.map((reference) => {
      const name = find(reference);
      if (name === undefined) throw new ModelError(`${this.source}: the output ${reference[0]} is not in the model`);
      return name;
    });
    return { outputs: results, layers: layers.map((layer) => entries.get(layer) as LayerEntry) };
  }

  /** Adds one call of a layer, or of all the layers of a nested model. */
  private call(
    layer: LayerConfig,
    prefix: string,
    inputs: readonly string[],
    depth: number,
    args: readonly Argument[] = [],
  ) {
    const path = prefix + layer.name;
    if (MODELS.includes(layer.className)) {
      const inner = this.model(layer.className, layer.config, `${path}/`, inputs, depth + 1);
      const entry: LayerEntry = { name: layer.name, className: layer.className, path, layers: inner.layers };
      return { entry, outputs: inner.outputs };
    }
    const shapes = inputs.map((name) => this.shapes.get(name) ?? []);
    const attributes = this.attributes(layer, path, shapes[0]?.length ?? 0);
    const read = layer.isOperation
      ? readOperation(layer.className, attributes, args)
      : readLayer(layer.className, attributes);
    const op = settle(read, shapes);
    const count = this.callsOf.get(path) ?? 0;
    this.callsOf.set(path, count + 1);
    const name = count === 0 ? path : `${path}:${count}`;
    const node: Node = { name, op, inputs, weights: [] };
    this.add(classOf(node) === layer.className ? node : { ...node, className: layer.className }, path);
    const entry: LayerEntry = { name: layer.name, className: layer.className, path, layers: [] };
    return { entry, outputs: [name] };
  }

  private inputLayer(layer: LayerConfig, prefix: string): string {
    const shape = this.attributes(layer).batchShape();
    if (!shape) throw new ModelError(`${this.source}: input ${layer.name} does not say its shape`);
    return this.addInput(prefix + layer.name, shape);
  }

  private addInput(name: string, shape: Shape): string {
    if (this.input !== undefined)
      throw new ModelError(`${this.source}: the model has several inputs, a base must have one`);
    this.input = name;
    this.add({ name, op: { kind: 'InputLayer', shape }, inputs: [], weights: [] }, name);
    return name;
  }

  private add(node: Node, path: string): void {
    if (this.nodes.length >= MAX_NODES) throw new ModelError(`${this.source}: more than ${MAX_NODES} layers`);
    if (this.shapes.has(node.name)) throw new ModelError(`${this.source}: two layers are called ${node.name}`);
    const inputs = node.inputs.map((name) => this.shapes.get(name) ?? []);
    this.shapes.set(
      node.name,
      this.told(() => inLayer(node, () => inferShape(node.op, inputs))),
    );
    this.layerOf.set(node.name, path);
    this.nodes.push(node);
  }

  /** Puts the file in front of what a check says. */
  private told<T>(check: () => T): T {
    try {
      return check();
    } catch (error) {
      if (error instanceof ModelError) throw new ModelError(`${this.source}: ${error.message}`, { cause: error });
      throw error;
    }
  }

  private attributes(layer: LayerConfig, path = layer.name, rank = 3): Attributes {
    const where = `${this.source}: layer ${path} (${layer.className})`;
    if (!isFields(layer.config)) throw new ModelError(`${where}: its config is not a JSON object`);
    return new Attributes(layer.config, where, this.keras3, rank);
  }
}

function builtShape(config: unknown): Shape | null {
  const shape = isFields(config) ? config.build_input_shape : undefined;
  return Array.isArray(shape) && shape.length > 1 ? (shape.slice(1) as Shape) : null;
}

/** Axes as the graph holds them: never negative. */
function settle(op: Op, inputs: readonly Shape[]): Op {
  if (op.kind !== 'Concatenate' || op.axis >= 0) return op;
  return { ...op, axis: op.axis + (inputs[0]?.length ?? 0) + 1 };
}

/**
 * Reads a Keras model config (Functional or Sequential, Keras 2 or 3).
 * @param source the file, for messages
 * @param version Keras version that wrote it, where the file says so; some activations changed their meaning with Keras 3
 * @throws ModelError for what is unknown or not supported, naming layer, class and file
 */
export function readArchitecture(json: unknown, source: string, version: string | null = null): Architecture {
  if (!isFields(json) || !isText(json.class_name) || json.class_name.length > 512)
    throw new ModelError(`${source}: its config names no model class`);
  const { class_name: className } = json;
  if (!MODELS.includes(className as string)) {
    throw new ModelError(
      `${source}: the model class ${String(className)} is not supported: save a Functional or Sequential model`,
    );
  }
  const keras3 = version === null ? 'module' in json : Number.parseInt(version, 10) >= 3;
  const reader = new Reader(source, keras3);
  const { outputs, layers } = reader.model(className as string, json.config, '', null);
  const [output] = outputs;
  if (outputs.length !== 1 || output === undefined) {
    throw new ModelError(
      `${source}: the model has ${outputs.length} outputs (${outputs.join(', ')}), a base must have one`,
    );
  }
  return { graph: { nodes: reader.nodes, input: reader.input ?? '', output }, layers, layerOf: reader.layerOf };
}

/** @returns the graph of a Keras model config, without weights; see `readArchitecture` */
export function graphFromConfig(json: unknown, source: string, version: string | null = null): Graph {
  return readArchitecture(json, source, version).graph;
}
