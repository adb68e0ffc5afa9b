import { ModelError } from '../../errors.js';
import { type Field, fields, integers, textOf } from './wire.js';
import { type Attribute, DATA_TYPE, type DataType, type Dim, type Imports, WIDTH } from './write.js';

/** Where a tensor's bytes lie when they are not in the model file. */
export interface External {
  readonly location: string;
  readonly offset: number;
  /** null: to the end of the file. */
  readonly length: number | null;
}

/** A tensor of a file: raw little-endian values, or where they are. */
export interface StoredTensor {
  readonly name: string;
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly values: Uint8Array | External;
}

export interface FileNode {
  readonly op: string;
  /** '' is ONNX's own. */
  readonly domain: string;
  readonly name: string;
  /** '' stands for an optional one that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Names of attributes that hold graphs: control flow. */
  readonly subgraphs: readonly string[];
}

/** An input as the file declares it; `type` is null where it is no tensor of a known type, `dims` where no shape is given. */
export interface FileInput {
  readonly name: string;
  readonly type: DataType | null;
  readonly dims: readonly Dim[] | null;
}

/** What an ONNX file holds, as far as running its graph needs it. */
export interface OnnxFile {
  readonly imports: Imports;
  readonly nodes: readonly FileNode[];
  readonly initializers: ReadonlyMap<string, StoredTensor>;
  /** Without those that have an initializer. */
  readonly inputs: readonly FileInput[];
  readonly outputs: readonly string[];
  /** Key-value pairs that the exporter left. */
  readonly metadata: Readonly<Record<string, string>>;
}

const TYPE_NAMES = new Map(Object.entries(DATA_TYPE).map(([name, number]) => [number as number, name as DataType]));
const MAX_RANK = 16;
const AGAIN = 'export the model again';
/** protocol buffers, and so onnxruntime, take models below 2 GiB. */
export const MAX_MODEL_BYTES = 2 ** 31 - 1;

/** Numbers of the fields of AttributeProto. */
const ATTRIBUTE = { name: 1, i: 3, t: 5, g: 6, ints: 8, tensors: 10, graphs: 11, doc: 13, type: 20 };

/** How exporters write an end that is as far as an axis goes (Slice before opset 10), and one before its beginning. */
const OPEN_ENDS: readonly bigint[] = [2n ** 63n - 1n, -(2n ** 63n)];

function safe(value: bigint, what: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new ModelError(`${what} is ${value}, which is absurd: ${AGAIN}`);
  return number;
}

/** Values as TensorProto's typed lists hold them, as raw bytes. */
function packed(type: DataType, typed: readonly Field[]): Uint8Array {
  if (type === 'float' || type === 'double') {
    const [first, ...more] = typed;
    return first && more.length === 0 ? first.bytes : Buffer.concat(typed.map(({ bytes }) => bytes));
  }
  const values = typed.flatMap(integers);
  const width = WIDTH[type];
  const raw = new Uint8Array(values.length * width);
  const view = new DataView(raw.buffer);
  for (const [i, value] of values.entries()) {
    if (width === 8) view.setBigInt64(i * 8, value, true);
    else if (width === 4) view.setInt32(i * 4, Number(BigInt.asIntN(32, value)), true);
    else if (width === 2) view.setInt16(i * 2, Number(BigInt.asIntN(16, value)), true);
    else view.setInt8(i, Number(BigInt.asIntN(8, value)));
  }
  return raw;
}

/** The field of TensorProto that holds a type's values where they are not raw. */
const typedField = (type: DataType): number =>
  type === 'float'
    ? 4
    : type === 'double'
      ? 10
      : type === 'int64'
        ? 7
        : type === 'uint32' || type === 'uint64'
          ? 11
          : 5;

function readExternal(entries: readonly Uint8Array[], name: string): External {
  const values = new Map<string, string>();
  for (const entry of entries) {
    let key = '';
    let value = '';
    for (const field of fields(entry)) {
      if (field.number === 1) key = textOf(field);
      if (field.number === 2) value = textOf(field);
    }
    values.set(key, value);
  }
  const whole = (key: string): number | null => {
    const text = values.get(key);
    if (text === undefined) return null;
    const number = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(number)) {
      throw new ModelError(
        `tensor ${name}: the ${key} of its external data is ${JSON.stringify(text.slice(0, 40))}: ${AGAIN}`,
      );
    }
    return number;
  };
  const location = values.get('location');
  if (!location) throw new ModelError(`tensor ${name} is in another file and does not say in which: ${AGAIN}`);
  return { location, offset: whole('offset') ?? 0, length: whole('length') };
}

function readTensor(bytes: Uint8Array): StoredTensor {
  const dims: number[] = [];
  const lists = new Map<number, Field[]>();
  const external: Uint8Array[] = [];
  let number = 0;
  let name = '';
  let raw: Uint8Array | null = null;
  let isExternal = false;
  for (const field of fields(bytes)) {
    if (field.number === 1) dims.push(...integers(field).map((dim) => safe(dim, 'a size of a tensor')));
    else if (field.number === 2) number = safe(field.int, 'the type of a tensor');
    else if (field.number === 8) name = textOf(field);
    else if (field.number === 9) raw = field.bytes;
    else if (field.number === 13) external.push(field.bytes);
    else if (field.number === 14) isExternal = field.int === 1n;
    else lists.set(field.number, [...(lists.get(field.number) ?? []), field]);
    if (dims.length > MAX_RANK) throw new ModelError(`tensor ${name} has more than ${MAX_RANK} axes: ${AGAIN}`);
  }
  const type = TYPE_NAMES.get(number);
  if (type === undefined)
    throw new ModelError(
      `tensor ${name} has a type (${number}) that is not supported: export the model with float32 weights`,
    );
  const size = dims.reduce((a, b) => a * b, WIDTH[type]);
  if (dims.some((dim) => dim < 0) || size > MAX_MODEL_BYTES) {
    throw new ModelError(`tensor ${name} has shape (${dims.join(', ')}), which is absurd: ${AGAIN}`);
  }
  if (isExternal) return { name, type, dims, values: readExternal(external, name) };
  const values = raw ?? packed(type, lists.get(typedField(type)) ?? []);
  if (values.length !== size) {
    throw new ModelError(
      `tensor ${name} of shape (${dims.join(', ')}) holds ${values.length} bytes, expected ${size}: ${AGAIN}`,
    );
  }
  return { name, type, dims, values };
}

/** A tensor that stands in a node. */
function inlineTensor(bytes: Uint8Array): Attribute {
  const { name, type, dims, values } = readTensor(bytes);
  if (!(values instanceof Uint8Array))
    throw new ModelError(`tensor ${name} within a node has its data in another file: ${AGAIN}`);
  return { name, type, dims, raw: values };
}

/** Values that the cut looks at are typed; all others go through as they are encoded, without their documentation. */
function readAttribute(bytes: Uint8Array): { name: string; value: Attribute; isGraph: boolean } {
  const { name, i, t, g, ints, tensors, graphs, doc } = ATTRIBUTE;
  const read = [...fields(bytes)].filter((field) => field.number !== doc);
  const called = read.find((field) => field.number === name);
  const label = called ? textOf(called) : '';
  const one = (number: number): Field | undefined => read.find((field) => field.number === number);
  const isGraph = read.some(({ number }) => number === g || number === graphs);
  const tensor = one(t);
  const int = one(i);
  const list = read.filter((field) => field.number === ints).flatMap(integers);
  let value: Attribute;
  if (tensor) value = inlineTensor(tensor.bytes);
  else if (list.length > 0 && !list.some((item) => OPEN_ENDS.includes(item)))
    value = list.map((item) => safe(item, `attribute ${label}`));
  else if (int && Number.isSafeInteger(Number(int.int)) && one(ATTRIBUTE.type)?.int === 2n)
    value = { i: Number(int.int) };
  else {
    for (const field of read) if (field.number === tensors) inlineTensor(field.bytes);
    value = { encoded: Buffer.concat(read.filter((field) => field !== called).map(({ span }) => span)) };
  }
  return { name: label, value, isGraph };
}

function readNode(bytes: Uint8Array): FileNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: Record<string, Attribute> = {};
  const subgraphs: string[] = [];
  let [op, domain, name] = ['', '', ''];
  for (const field of fields(bytes)) {
    if (field.number === 1) inputs.push(textOf(field));
    else if (field.number === 2) outputs.push(textOf(field));
    else if (field.number === 3) name = textOf(field);
    else if (field.number === 4) op = textOf(field);
    else if (field.number === 7) domain = textOf(field);
    else if (field.number === 5) {
      const attribute = readAttribute(field.bytes);
      if (attribute.isGraph) subgraphs.push(attribute.name);
      attributes[attribute.name] = attribute.value;
    }
  }
  return { op, domain: domain === 'ai.onnx' ? '' : domain, name, inputs, outputs, attributes, subgraphs };
}

function readDim(bytes: Uint8Array): Dim {
  let dim: Dim = '?';
  for (const field of fields(bytes)) {
    if (field.number === 1) dim = safe(field.int, 'a size of an input');
    if (field.number === 2) dim = textOf(field);
  }
  return dim === '' || (typeof dim === 'number' && dim < 1) ? '?' : dim;
}

function readInput(bytes: Uint8Array): FileInput {
  let name = '';
  let type: DataType | null = null;
  let dims: Dim[] | null = null;
  for (const field of fields(bytes)) {
    if (field.number === 1) name = textOf(field);
    if (field.number !== 2) continue;
    for (const kind of fields(field.bytes)) {
      if (kind.number !== 1) continue;
      for (const part of fields(kind.bytes)) {
        if (part.number === 1) type = TYPE_NAMES.get(Number(part.int)) ?? null;
        if (part.number === 2)
          dims = [...fields(part.bytes)].filter(({ number }) => number === 1).map((dim) => readDim(dim.bytes));
      }
    }
  }
  return { name, type, dims };
}

function readPair(bytes: Uint8Array): [string, string] {
  const pair: [string, string] = ['', ''];
  for (const field of fields(bytes))
    if (field.number === 1 || field.number === 2) pair[field.number - 1] = textOf(field);
  return pair;
}

function readGraph(bytes: Uint8Array) {
  const nodes: FileNode[] = [];
  const initializers = new Map<string, StoredTensor>();
  const inputs: FileInput[] = [];
  const outputs: string[] = [];
  for (const field of fields(bytes)) {
    if (field.number === 1) {
      const node = readNode(field.bytes);
      const value = node.op === 'Constant' && node.domain === '' ? node.attributes.value : undefined;
      const [output = ''] = node.outputs;
      if (value && typeof value === 'object' && 'raw' in value) {
        initializers.set(output, { name: output, type: value.type, dims: value.dims, values: value.raw });
      } else nodes.push(node);
    } else if (field.number === 5) {
      const tensor = readTensor(field.bytes);
      initializers.set(tensor.name, tensor);
    } else if (field.number === 11) inputs.push(readInput(field.bytes));
    else if (field.number === 12) outputs.push(readInput(field.bytes).name);
    else if (field.number === 15)
      throw new ModelError('sparse initializers are not supported: export it with dense ones');
  }
  return { nodes, initializers, inputs: inputs.filter(({ name }) => !initializers.has(name)), outputs };
}

/**
 * Parses an ONNX ModelProto (onnx.proto of ONNX 1.20). A constant that is a node becomes an initializer. Work and memory are
 * bounded by the bytes that are given.
 * @throws ModelError for bytes that are no such model, and for what is not supported
 */
export function readOnnx(bytes: Uint8Array): OnnxFile {
  let ir = 0;
  let graph: Uint8Array | null = null;
  const opsets: Record<string, number> = {};
  const metadata: Record<string, string> = {};
  for (const field of fields(bytes)) {
    if (field.number === 1) ir = safe(field.int, 'its version');
    else if (field.number === 7 && field.type === 'bytes') graph = field.bytes;
    else if (field.number === 8) {
      let [domain, version] = ['', 1];
      for (const part of fields(field.bytes)) {
        if (part.number === 1) domain = textOf(part);
        if (part.number === 2) version = safe(part.int, 'a version of its operators');
      }
      opsets[domain === 'ai.onnx' ? '' : domain] = version;
    } else if (field.number === 14) {
      const [key, value] = readPair(field.bytes);
      metadata[key] = value;
    } else if (field.number === 25) {
      throw new ModelError(
        'it defines functions of its own, which are not supported: inline them (onnx.inliner) first',
      );
    }
  }
  if (graph === null || ir < 1)
    throw new ModelError('it is no ONNX model, as it holds no graph: give one that was exported whole');
  return { imports: { ir: Math.max(ir, 4), opsets }, ...readGraph(graph), metadata };
}
