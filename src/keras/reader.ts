import { ModelError } from '../errors.js';
import { classOf, type Node, type Op, type Shape } from '../graph/graph.js';
import { nodeShape, weightSpecs } from '../graph/infer.js';
import { Attributes } from './attributes.js';
import { type Call, type Reference, references } from './calls.js';
import { type Expression, layerStep, type Step, step } from './expression.js';
import { isFields } from './json.js';
import { activationLayer, checkCall, settle } from './layer-calls.js';
import { firstCalls, type LayerConfig, layerConfigs, MODELS } from './layer-configs.js';
import { IDLE, readLayer } from './layers.js';
import { isTensorflow, looksLikeOperation, readOperation } from './operations.js';

/** One layer as the model file lists it; a model within the model has layers of its own. */
export interface LayerEntry {
  readonly name: string;
  readonly className: string;
  /** Its place: `outer/inner` in a nested model. */
  readonly path: string;
  /** Empty but for nested models. */
  readonly layers: readonly LayerEntry[];
}

const MAX_NODES = 20_000;
const MAX_DEPTH = 16;

const NO_CALL: Call = { from: [], args: [], kwargs: {} };

/** What one call of a model or of a layer gave. */
interface Read {
  readonly outputs: string[];
  readonly layers: readonly LayerEntry[];
}

/** Reads the layers of a model and of the models within it into nodes, one after the other. */
export class Reader {
  readonly nodes: Node[] = [];
  /** The path of the layer whose weights a node holds. */
  readonly layerOf = new Map<string, string>();
  /** Names of the nodes that images may come in by. */
  readonly inputs: string[] = [];
  /** The last node of each nested model's first call. */
  readonly models = new Map<string, string>();
  /** Policies of another precision that layers were built with. */
  readonly policies = new Set<string>();
  /** Of one example at every node that can be computed. */
  readonly shapes = new Map<string, Shape>();
  /** Why nodes cannot be computed: their own layer, or one that they depend on, is not supported. */
  private readonly refusals = new Map<string, string>();
  private readonly callsOf = new Map<string, number>();
  private readonly names = new Set<string>();

  constructor(
    private readonly source: string,
    private readonly keras3: boolean,
  ) {}

  /** Adds one call of a model's layers. @returns its outputs and its layers */
  model(className: string, config: unknown, prefix: string, given: readonly string[] | null, depth = 0): Read {
    if (depth > MAX_DEPTH) throw new ModelError(`${this.source}: models are nested more than ${MAX_DEPTH} deep`);
    return className === 'Sequential'
      ? this.sequential(config, prefix, given, depth)
      : this.functional(config, prefix, given, depth);
  }

  private sequential(config: unknown, prefix: string, given: readonly string[] | null, depth: number): Read {
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
      // A model that comes first says itself what it takes, in its own InputLayer.
      if (value === undefined && !MODELS.includes(layer.className)) {
        const shape = this.attributes(layer).batchShape() ?? builtShape(config);
        if (!shape) throw new ModelError(`${this.source}: the Sequential model does not say what shape it takes`);
        value = this.addInput(`${prefix}input`, shape);
      }
      const { entry, outputs } = this.call(layer, prefix, value === undefined ? null : [value], depth);
      layers.push(entry);
      [value] = outputs;
    }
    if (value === undefined) throw new ModelError(`${this.source}: a Sequential model without layers`);
    return { outputs: [value], layers };
  }

  private functional(config: unknown, prefix: string, given: readonly string[] | null, depth: number): Read {
    if (!isFields(config) || !Array.isArray(config.layers)) {
      throw new ModelError(`${this.source}: the config of a model without its list of layers`);
    }
    const layers = layerConfigs(config.layers, this.source, prefix);
    const inputs = references(config.input_layers, this.source);
    const outputs = references(config.output_layers, this.source);
    const values = new Map<string, string[]>();
    const entries = new Map<LayerConfig, LayerEntry>();
    const first = firstCalls(layers, this.keras3 ? [] : outputs);
    type Waiting = { layer: LayerConfig; index: number; call: Call; lacks: number };
    let waiting: Waiting[] = [];
    const users = new Map<string, Waiting[]>();
    const place = ([name, call]: Reference): string => `${name}:${call - (first.get(name) ?? 0)}`;
    const find = (reference: Reference): string | undefined => {
      const found = values.get(place(reference));
      // A layer that is not supported may have any number of outputs.
      return found?.[reference[2]] ?? found?.find((name) => this.refusals.has(name));
    };
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
        const { entry, outputs: out } = this.call(one.layer, prefix, from, depth, one.call);
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
    // Keras 3 counts the calls of a Functional model from 1 where it names outputs: keras/src/models/functional.py, get_config.
    const isModel = (name: string): boolean =>
      layers.some((layer) => layer.name === name && layer.className === 'Functional');
    const results = outputs.map(([layer, call, output]) => {
      const isFromOne = this.keras3 && call > 0 && isModel(layer);
      const reference: Reference = [layer, isFromOne ? call - 1 + (first.get(layer) ?? 0) : call, output];
      const name = find(reference);
      if (name === undefined) throw new ModelError(`${this.source}: the output ${reference[0]} is not in the model`);
      return name;
    });
    return { outputs: results, layers: layers.map((layer) => entries.get(layer) as LayerEntry) };
  }

  /** Adds one call of a layer, or of all the layers of a nested model. @param inputs null: those of the model itself */
  private call(
    layer: LayerConfig,
    prefix: string,
    inputs: readonly string[] | null,
    depth: number,
    call: Call = { ...NO_CALL, from: (inputs ?? []).map((name) => [name, 0, 0]) },
  ) {
    const path = prefix + layer.name;
    const entry = { name: layer.name, className: layer.className, path };
    if (MODELS.includes(layer.className) && layer.refusal === null) {
      const inner = this.model(layer.className, layer.config, `${path}/`, inputs, depth + 1);
      if (this.trains(call)) this.refuseTraining(path, layer, inner.outputs);
      const [output] = inner.outputs;
      if (output !== undefined && !this.models.has(path)) this.models.set(path, output);
      return { entry: { ...entry, layers: inner.layers }, outputs: inner.outputs };
    }
    const count = this.callsOf.get(path) ?? 0;
    this.callsOf.set(path, count + 1);
    const name = count === 0 ? path : `${path}:${count}`;
    this.compute(layer, path, name, inputs ?? [], call);
    return { entry: { ...entry, layers: [] }, outputs: [name] };
  }

  /** Whether a call trains for ever. Keras 3 writes down `training` whatever it is, and does not heed it at inference. */
  private trains({ kwargs }: Call): boolean {
    return !this.keras3 && kwargs.training === true;
  }

  /** A model that is called to train for ever: its dropout draws, and its batch normalization takes the batch's own statistics. */
  private refuseTraining(path: string, layer: LayerConfig, outputs: readonly string[]): void {
    const where = `${this.source}: layer ${path} (${layer.className})`;
    for (const output of outputs)
      this.refusals.set(output, `${where} is called with training=True, which is not supported`);
  }

  private compute(layer: LayerConfig, path: string, name: string, inputs: readonly string[], call: Call): void {
    const before = inputs.map((input) => this.refusals.get(input)).find((reason) => reason !== undefined);
    if (before !== undefined) {
      this.refuse(layer, name, inputs, before);
      return;
    }
    try {
      const shapes = inputs.map((input) => this.shapes.get(input) ?? []);
      this.addSteps(this.read(layer, path, call, shapes), layer, path, name, inputs);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      const { message } = error;
      const where = `${this.source}: layer ${path} (${layer.className})`;
      this.refuse(layer, name, inputs, message.startsWith(this.source) ? message : `${where}: ${message}`);
    }
  }

  /** What a layer computes. @throws ModelError where that is not supported */
  private read(layer: LayerConfig, path: string, call: Call, shapes: readonly Shape[]): Step {
    const { className } = layer;
    const attributes = this.attributes(layer, path, shapes[0]?.length ?? 0);
    if (layer.refusal !== null) throw new ModelError(`${this.source}: layer ${path} ${layer.refusal}`);
    const plain = layer.isOperation === null && looksLikeOperation(className, call);
    if (layer.isOperation || plain || isTensorflow(className)) {
      return readOperation(className, attributes, call, shapes);
    }
    if (this.trains(call) && (IDLE.includes(className) || className === 'BatchNormalization')) {
      throw new ModelError(`${attributes.where} is called with training=True, which is not supported`);
    }
    const read = this.layer(className, layer.config, attributes, shapes);
    checkCall(call, attributes.where);
    if (attributes.reduced !== null) this.policies.add(attributes.reduced);
    return read;
  }

  /** A layer, followed by the layer that it has for an activation. */
  private layer(className: string, config: unknown, attributes: Attributes, shapes: readonly Shape[]): Step {
    const activation = isFields(config) ? activationLayer(config.activation) : null;
    if (activation === null) return layerStep(settle(readLayer(className, attributes), shapes), shapes.length);
    const plain = new Attributes(
      { ...(config as object), activation: 'linear' },
      attributes.where,
      this.keras3,
      attributes.lastAxis,
    );
    const own = new Attributes(activation.config, `${attributes.where}: activation`, this.keras3, attributes.lastAxis);
    const then = readLayer(activation.className, own);
    if (className === 'Activation') return layerStep(then, shapes.length);
    return step(then, layerStep(settle(readLayer(className, plain), shapes), shapes.length));
  }

  /** Adds the steps of one layer; the last one has its name, those before it `name/1`, `name/2`. */
  private addSteps(root: Step, layer: LayerConfig, path: string, name: string, inputs: readonly string[]): void {
    let inner = 0;
    const place = (expression: Expression, own: string): string => {
      if (typeof expression === 'number') {
        const input = inputs[expression];
        if (input === undefined) throw new ModelError(`it takes ${inputs.length} inputs, too few`);
        return input;
      }
      const from = expression.of.map((part) => place(part, typeof part === 'number' ? '' : `${name}/${++inner}`));
      const node: Node = { name: own, op: expression.op, inputs: from, weights: [] };
      const isRoot = expression === root;
      this.add(isRoot && classOf(node) !== layer.className ? { ...node, className: layer.className } : node, path);
      return own;
    };
    place(root, name);
  }

  private refuse(layer: LayerConfig, name: string, inputs: readonly string[], reason: string): void {
    const op: Op = { kind: 'Refused', className: layer.className, reason };
    this.refusals.set(name, reason);
    this.push({ name, op, inputs, weights: [] });
  }

  private inputLayer(layer: LayerConfig, prefix: string): string {
    const shape = this.attributes(layer).batchShape();
    if (!shape) throw new ModelError(`${this.source}: input ${layer.name} does not say its shape`);
    return this.addInput(prefix + layer.name, shape);
  }

  private addInput(name: string, shape: Shape): string {
    this.inputs.push(name);
    this.add({ name, op: { kind: 'InputLayer', shape }, inputs: [], weights: [] }, name);
    return name;
  }

  private add(node: Node, path: string): void {
    const inputs = node.inputs.map((name) => this.shapes.get(name) ?? []);
    const shape = this.told(() => nodeShape(node, inputs));
    this.push(node);
    if (holdsWeights(node.op, inputs)) this.layerOf.set(node.name, path);
    this.shapes.set(node.name, shape);
  }

  private push(node: Node): void {
    if (this.nodes.length >= MAX_NODES) throw new ModelError(`${this.source}: more than ${MAX_NODES} layers`);
    if (this.names.size === this.names.add(node.name).size) {
      throw new ModelError(`${this.source}: two layers are called ${node.name}`);
    }
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

/** Whether the weights of the layer belong to this of its steps. */
function holdsWeights(op: Op, inputs: readonly Shape[]): boolean {
  try {
    return weightSpecs(op, inputs).length > 0;
  } catch {
    return true; // a size that they depend on is open
  }
}

function builtShape(config: unknown): Shape | null {
  const shape = isFields(config) ? config.build_input_shape : undefined;
  return Array.isArray(shape) && shape.length > 1 ? (shape.slice(1) as Shape) : null;
}
