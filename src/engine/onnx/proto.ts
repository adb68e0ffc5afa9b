/** Writes ONNX models as protocol buffers, straight from values: onnx.proto3 of ONNX 1.16 (IR version 9), only the fields used here. */

export type DataType = 'float' | 'uint8' | 'int64' | 'bool' | 'double' | 'int32';
const DATA_TYPE: Record<DataType, number> = { float: 1, uint8: 2, int32: 6, int64: 7, bool: 9, double: 11 };

/** A size, or the name of one that is open. */
export type Dim = number | string;

export interface OnnxTensor {
  readonly name: string;
  readonly type: DataType;
  readonly dims: readonly number[];
  /** Raw little-endian values. */
  readonly raw: Uint8Array;
}

export interface OnnxNode {
  readonly op: string;
  readonly name?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

/** `{ f }` and `{ i }` say which kind of number is meant; arrays are lists of integers. */
export type Attribute =
  | { readonly f: number }
  | { readonly i: number }
  | readonly number[]
  | string
  | OnnxTensor
  | OnnxGraph;

export interface ValueInfo {
  readonly name: string;
  readonly type: DataType;
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

/** Collects the fields of one message; nested messages are kept as lists of chunks and only joined at the end. */
class Message {
  readonly chunks: Uint8Array[] = [];
  length = 0;

  private push(bytes: Uint8Array): void {
    this.chunks.push(bytes);
    this.length += bytes.length;
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
    this.push(new Uint8Array(new Float32Array([value]).buffer));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.varint((field << 3) | 2);
    this.varint(value.length);
    this.push(value);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, text.encode(value));
  }

  message(field: number, value: Message): this {
    this.varint((field << 3) | 2);
    this.varint(value.length);
    for (const chunk of value.chunks) this.push(chunk);
    return this;
  }
}

function tensorMessage(tensor: OnnxTensor): Message {
  const message = new Message();
  for (const dim of tensor.dims) message.int(1, dim);
  return message.int(2, DATA_TYPE[tensor.type]).string(8, tensor.name).bytes(9, tensor.raw);
}

function attributeMessage(name: string, value: Attribute): Message {
  const message = new Message().string(1, name);
  if (typeof value === 'string') return message.string(4, value).int(20, 3);
  if ('f' in value) return message.float(2, value.f).int(20, 1);
  if ('i' in value) return message.int(3, value.i).int(20, 2);
  if ('raw' in value) return message.message(5, tensorMessage(value)).int(20, 4);
  if ('nodes' in value) return message.message(6, graphMessage(value)).int(20, 5);
  for (const item of value) message.int(8, item);
  return message.int(20, 7);
}

function valueMessage(value: ValueInfo): Message {
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
    for (const [name, value] of Object.entries(node.attributes ?? {})) part.message(5, attributeMessage(name, value));
    message.message(1, part);
  }
  message.string(2, graph.name);
  for (const tensor of graph.initializers) message.message(5, tensorMessage(tensor));
  for (const value of graph.inputs) message.message(11, valueMessage(value));
  for (const value of graph.outputs) message.message(12, valueMessage(value));
  return message;
}

/** @returns the bytes of an ONNX ModelProto, opset 20 of the default domain; the same graph gives the same bytes */
export function writeModel(graph: OnnxGraph, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const model = new Message()
    .int(1, 9)
    .string(2, 'permafrost')
    .message(7, graphMessage(graph))
    .message(8, new Message().string(1, '').int(2, 20));
  for (const [key, value] of Object.entries(metadata)) model.message(14, new Message().string(1, key).string(2, value));
  const bytes = new Uint8Array(model.length);
  let offset = 0;
  for (const chunk of model.chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
