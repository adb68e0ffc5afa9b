/** Writes ONNX models as protocol buffers, straight from values: onnx.proto3 of ONNX 1.16 (IR version 9), only the fields used here. */

/** Numbers of onnx.TensorProto.DataType. */
export const DATA_TYPE = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
} as const;
export type DataType = keyof typeof DATA_TYPE;

/** Bytes of one value. */
export const WIDTH: Readonly<Record<DataType, number>> = {
  float: 4,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
  double: 8,
  uint32: 4,
  uint64: 8,
  bfloat16: 2,
};

/** A size, or the name of one that is open. */
export type Dim = number | string;

export interface OnnxTensor {
  readonly name: string;
  readonly type: DataType;
  readonly dims: readonly number[];
  /** Raw little-endian values; none where they are in a file. They may be made anew each time they are asked for (`tensorOf`). */
  readonly raw: Uint8Array;
  /** A file beside the model that holds them, and where in it. */
  readonly external?: { readonly file: string; readonly offset: number; readonly length: number };
}

/** @returns a tensor whose values are made each time they are asked for, so that they take no memory between */
export const tensorOf = (
  { name, type, dims }: Pick<OnnxTensor, 'name' | 'type' | 'dims'>,
  make: () => Uint8Array,
): OnnxTensor => ({
  name,
  type,
  dims,
  get raw() {
    return make();
  },
});

/** @returns a tensor under another name, its values where they were */
export const renamed = (tensor: OnnxTensor, name: string): OnnxTensor =>
  tensor.external === undefined
    ? tensorOf({ name, type: tensor.type, dims: tensor.dims }, () => tensor.raw)
    : { ...tensor, name };

/** Bytes of a tensor's values. */
export const bytesOf = ({ type, dims }: Pick<OnnxTensor, 'type' | 'dims'>): number =>
  dims.reduce((a, b) => a * b, WIDTH[type]);

export interface OnnxNode {
  readonly op: string;
  /** Default: ONNX's own operators. */
  readonly domain?: string;
  readonly name?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

/** `{ f }` and `{ i }` say which kind of number is meant; arrays are lists of integers; `encoded` is any other as a file holds it. */
export type Attribute =
  | { readonly f: number }
  | { readonly i: number }
  | readonly number[]
  | string
  | { readonly encoded: Uint8Array }
  | OnnxTensor
  | OnnxGraph;

export interface ValueInfo {
  readonly name: string;
  /** Absent on an output whose type and sizes onnxruntime shall infer. */
  readonly type?: DataType;
  readonly dims: readonly Dim[];
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
}

export function floats(name: string, dims: readonly number[], values: ArrayLike<number>): OnnxTensor {
  const data = values instanceof Float32Array ? values : Float32Array.from(values);
  return { name, type: 'float', dims, raw: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

export function doubles(name: string, dims: readonly number[], values: ArrayLike<number>): OnnxTensor {
  const data = Float64Array.from(values);
  return { name, type: 'double', dims, raw: new Uint8Array(data.buffer) };
}

export function int64s(name: string, values: readonly number[], dims: readonly number[] = [values.length]): OnnxTensor {
  const data = BigInt64Array.from(values, BigInt);
  return { name, type: 'int64', dims, raw: new Uint8Array(data.buffer) };
}

const text = new TextEncoder();

/** Bytes, or a tensor whose values are asked for when they are written. */
type Chunk = Uint8Array | OnnxTensor;

/** Collects the fields of one message; nested messages are kept as lists of chunks and only joined at the end. */
class Message {
  readonly chunks: Chunk[] = [];
  length = 0;

  /** Bytes that are encoded fields already. */
  push(bytes: Uint8Array): this {
    this.chunks.push(bytes);
    this.length += bytes.length;
    return this;
  }

  private varint(value: number | bigint): void {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 0x7fn) {
      bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    this.push(Uint8Array.from(bytes));
  }

  int(field: number, value: number): this {
    this.varint(field << 3);
    this.varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.varint((field << 3) | 5);
    return this.push(new Uint8Array(new Float32Array([value]).buffer));
  }

  bytes(field: number, value: Uint8Array): this {
    this.varint((field << 3) | 2);
    this.varint(value.length);
    return this.push(value);
  }

  string(field: number, value: string): this {
    return this.bytes(field, text.encode(value));
  }

  /** The values of a tensor. */
  values(field: number, tensor: OnnxTensor): this {
    this.varint((field << 3) | 2);
    this.varint(bytesOf(tensor));
    this.chunks.push(tensor);
    this.length += bytesOf(tensor);
    return this;
  }

  message(field: number, value: Message): this {
    this.varint((field << 3) | 2);
    this.varint(value.length);
    for (const chunk of value.chunks) this.chunks.push(chunk);
    this.length += value.length;
    return this;
  }
}

function tensorMessage(tensor: OnnxTensor): Message {
  const message = new Message();
  for (const dim of tensor.dims) message.int(1, dim);
  message.int(2, DATA_TYPE[tensor.type]).string(8, tensor.name);
  if (tensor.external === undefined) return message.values(9, tensor);
  const { file, offset, length } = tensor.external;
  for (const [key, value] of Object.entries({ location: file, offset, length }))
    message.message(13, new Message().string(1, key).string(2, String(value)));
  return message.int(14, 1);
}

function attributeMessage(name: string, value: Attribute): Message {
  const message = new Message().string(1, name);
  if (typeof value === 'string') return message.string(4, value).int(20, 3);
  if ('encoded' in value) return message.push(value.encoded);
  if ('f' in value) return message.float(2, value.f).int(20, 1);
  if ('i' in value) return message.int(3, value.i).int(20, 2);
  if ('raw' in value) return message.message(5, tensorMessage(value)).int(20, 4);
  if ('nodes' in value) return message.message(6, graphMessage(value)).int(20, 5);
  for (const item of value) message.int(8, item);
  return message.int(20, 7);
}

function valueMessage(value: ValueInfo): Message {
  if (value.type === undefined) return new Message().string(1, value.name);
  const shape = new Message();
  for (const dim of value.dims) {
    shape.message(1, typeof dim === 'number' ? new Message().int(1, dim) : new Message().string(2, dim));
  }
  const tensorType = new Message().int(1, DATA_TYPE[value.type]).message(2, shape);
  return new Message().string(1, value.name).message(2, new Message().message(1, tensorType));
}

function graphMessage(graph: OnnxGraph): Message {
  const message = new Message();
  for (const node of graph.nodes) {
    const part = new Message();
    for (const input of node.inputs) part.string(1, input);
    for (const output of node.outputs) part.string(2, output);
    part.string(3, node.name ?? node.outputs[0] ?? '').string(4, node.op);
    if (node.domain) part.string(7, node.domain);
    for (const [name, value] of Object.entries(node.attributes ?? {})) part.message(5, attributeMessage(name, value));
    message.message(1, part);
  }
  message.string(2, graph.name);
  for (const tensor of graph.initializers) message.message(5, tensorMessage(tensor));
  for (const value of graph.inputs) message.message(11, valueMessage(value));
  for (const value of graph.outputs) message.message(12, valueMessage(value));
  return message;
}

/** The versions that a model is written for: of the file format, and of the operators of each domain. */
export interface Imports {
  readonly ir: number;
  readonly opsets: Readonly<Record<string, number>>;
}

export const OWN_IMPORTS: Imports = { ir: 9, opsets: { '': 20 } };

function modelMessage(graph: OnnxGraph, metadata: Readonly<Record<string, string>>, { ir, opsets }: Imports): Message {
  const model = new Message().int(1, ir).string(2, 'permafrost').message(7, graphMessage(graph));
  for (const [domain, version] of Object.entries(opsets))
    model.message(8, new Message().string(1, domain).int(2, version));
  for (const [key, value] of Object.entries(metadata)) model.message(14, new Message().string(1, key).string(2, value));
  return model;
}

function* written({ chunks }: Message): Generator<Uint8Array> {
  for (const chunk of chunks) {
    if (chunk instanceof Uint8Array) {
      yield chunk;
      continue;
    }
    const { raw } = chunk;
    if (raw.length !== bytesOf(chunk)) {
      throw new RangeError(`expected ${bytesOf(chunk)} bytes in the tensor ${chunk.name}, found ${raw.length}`);
    }
    yield raw;
  }
}

/** @returns the bytes of an ONNX ModelProto, opset 20 of the default domain where no other is given; the same graph gives the same bytes */
export function writeModel(
  graph: OnnxGraph,
  metadata: Readonly<Record<string, string>> = {},
  imports: Imports = OWN_IMPORTS,
): Uint8Array {
  const message = modelMessage(graph, metadata, imports);
  const bytes = new Uint8Array(message.length);
  let offset = 0;
  for (const chunk of written(message)) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/** @returns the same bytes in pieces: values that are made when they are asked for are held one tensor at a time */
export const modelPieces = (graph: OnnxGraph, imports: Imports): Iterable<Uint8Array> =>
  written(modelMessage(graph, {}, imports));
