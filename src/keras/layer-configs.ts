import { ModelError } from '../errors.js';
import { type Call, inbound, type Reference } from './calls.js';
import { type Fields, isFields, isText } from './json.js';

/** Classes that hold layers of their own. */
export const MODELS = ['Functional', 'Model', 'Sequential'];

/** A layer as its model lists it: class, config and what each call of it takes. */
export interface LayerConfig {
  readonly name: string;
  readonly className: string;
  readonly config: unknown;
  readonly calls: readonly Call[];
  /** Whether it is an operation of `keras.ops`, which have no layer of their own; null where the file does not say. */
  readonly isOperation: boolean | null;
  /** Why it cannot be read, said after its name, where that is known before its attributes are looked at. */
  readonly refusal: string | null;
}

/** The layers of one model, whose names are its own alone. */
export function layerConfigs(list: readonly unknown[], source: string, prefix: string): LayerConfig[] {
  const layers = list.map((item) => layerConfig(item, source));
  const names = new Set<string>();
  const twice = layers.find(({ name }) => names.size === names.add(name).size);
  if (twice) throw new ModelError(`${source}: two layers are called ${prefix}${twice.name}`);
  return layers;
}

function layerConfig(item: unknown, source: string): LayerConfig {
  if (!isFields(item)) throw new ModelError(`${source}: a layer that is not a JSON object`);
  const { class_name: className, config, module } = item;
  const inner = isFields(config) ? config.name : undefined;
  const name = item.name ?? inner;
  if (!isText(className) || className.length > 512) throw new ModelError(`${source}: a layer without class_name`);
  if (!isText(name) || name === '' || name.length > 512 || name.includes('\0')) {
    throw new ModelError(`${source}: a ${className} layer without a name`);
  }
  const nodes = item.inbound_nodes ?? [];
  if (!Array.isArray(nodes)) throw new ModelError(`${source}: layer ${name}: inbound_nodes must be a list`);
  const isOperation = isText(module) ? /^keras(\.src)?\.ops\b/.test(module) : null;
  const calls = nodes.map((call) => inbound(call, `${source}: layer ${name}`));
  return { name, className, config, calls, isOperation, refusal: foreign(item, className) };
}

/** What is said of a layer that is not Keras's own; null for one that is. */
function foreign({ module, registered_name: registered }: Fields, className: string): string | null {
  const own = module === undefined || module === null || (isText(module) && /^(tf_)?keras\b/.test(module));
  const isTensorflow = className === 'TFOpLambda' || className === 'SlicingOpLambda'; // of Keras 2, some name its module
  if (isTensorflow || (own && !(isText(registered) && registered.includes('>')))) return null;
  return `(${isText(registered) ? registered : className}) is not one of Keras's own layers and is not supported`;
}

/**
 * The number of the first call of each nested model: Keras 2 and TensorFlow.js count the call that built it, so that those of the
 * outer model begin at 1.
 */
export function firstCalls(layers: readonly LayerConfig[], outputs: readonly Reference[]): Map<string, number> {
  const counts = new Map(
    layers.map(({ name, className, calls }) => [name, MODELS.includes(className) ? calls.length : -1]),
  );
  const taken = [...layers.flatMap(({ calls }) => calls.flatMap(({ from }) => from)), ...outputs];
  return new Map(taken.flatMap(([name, call]) => (counts.get(name) === call ? [[name, 1] as const] : [])));
}
