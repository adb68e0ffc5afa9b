import { type Field, FixedSizeBinary, Schema, Utf8 } from 'apache-arrow';
import {
  type Base,
  type BaseOptions,
  type BaseSpec,
  checkPrecision,
  moveToCache,
  nameBase,
  type OpenHooks,
  openNamed,
  type PrecisionOptions,
} from '../base/index.js';
import { canonicalJson } from '../canonical.js';
import type { EngineOptions } from '../engine/engine.js';
import { openEngine } from '../engine/index.js';
import { DataError, PermafrostError } from '../errors.js';
import { BATCHES_AHEAD } from '../extract/extract.js';
import { type RowItem, type RowVector, rowVectors } from '../extract/rows.js';
import { VectorRunner } from '../extract/vectors.js';
import { toFloat16 } from '../float16.js';
import { isBinary, isText, rowBytes } from '../formats/arrow/binary.js';
import {
  batchMessage,
  type Column,
  type Columns,
  END,
  encapsulated,
  readColumns,
  readSchema,
  schemaMessage,
} from '../formats/arrow/columns.js';
import { Misfit } from '../formats/arrow/footer.js';
import { type ArrowMessage, arrowMessages } from '../formats/arrow/messages.js';
import { checkOptions } from '../options/check.js';
import { vectorSchema } from '../store/encode-part.js';
import { METADATA } from '../store/part.js';
import { fingerprint, type SetSpec } from '../store/spec.js';
import { version } from '../version.js';

/** Of the protocol: docs/worker.md. */
const PROTOCOL = '1';
/** Bytes of batches that are read while others are not answered yet. */
const IN_HAND = 256 * 2 ** 20;

/** How a stream of images becomes vectors. */
export interface WorkerOptions extends BaseOptions, PrecisionOptions, EngineOptions, OpenHooks {
  /** Where the base is kept once it was opened, with its proof and its int8 calibration. Default `cache`. */
  readonly cache?: string;
  /** Images a run of the base; it does not change the vectors. Default 8. */
  readonly batchSize?: number;
}

/** Which columns are images, and which pass. */
interface Plan {
  readonly schema: Schema;
  readonly image: number;
  readonly isPath: boolean;
  readonly kept: readonly number[];
}

const ANSWERS = ['sha256', 'features', 'error'];

/** @throws DataError where there is no column of images, or one is called as an answer is */
function planFor(schema: Schema): Plan {
  const names = schema.fields.map(({ name }) => name);
  const taken = ANSWERS.find((name) => names.includes(name));
  if (taken !== undefined) {
    throw new DataError(`the Arrow stream has a column ${taken}, which the answer has too: give it another name`);
  }
  for (const [i, name] of names.entries()) {
    if (names.indexOf(name) !== i && ['bytes', 'path'].includes(name)) {
      throw new DataError(`the Arrow stream has two columns ${name}: leave one out`);
    }
  }
  const isPath = !names.includes('bytes');
  const image = names.indexOf(isPath ? 'path' : 'bytes');
  const field = schema.fields[image];
  if (field === undefined) {
    const found = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
    throw new DataError(
      `the Arrow stream must have a column bytes (binary) or path (utf8), and ${found}: give the column of images one of these names`,
    );
  }
  const fits = isPath ? isText(field.type) : isBinary(field.type);
  if (!fits) {
    const wanted = isPath ? 'utf8: give paths' : 'binary: give the bytes of image files';
    throw new DataError(`the column ${field.name} of the Arrow stream is ${field.type}, and must be ${wanted}`);
  }
  const kept = [...schema.fields.keys()].filter((i) => isPath || i !== image);
  return { schema, image, isPath, kept };
}

/** A batch whose rows are not all answered. */
class Pending {
  private readonly keys: Buffer;
  private readonly vectors: Float32Array;
  private readonly hasKey: Uint8Array;
  private readonly hasVector: Uint8Array;
  private readonly errors: (string | null)[] = [];

  constructor(
    /** What stands before it in the stream. */
    readonly before: readonly Uint8Array[],
    private readonly batch: Columns,
    private readonly kept: readonly Column[],
    private readonly spec: BaseSpec,
    /** Of its message. */
    readonly bytes: number,
  ) {
    const { rows } = batch;
    this.keys = Buffer.alloc(rows * 32);
    this.vectors = new Float32Array(rows * spec.features);
    this.hasKey = new Uint8Array(Math.ceil(rows / 8));
    this.hasVector = new Uint8Array(Math.ceil(rows / 8));
  }

  get isWhole(): boolean {
    return this.errors.length === this.batch.rows;
  }

  /** Answers the next row. */
  put({ sha256, vector, error }: RowVector): void {
    const row = this.errors.push(error) - 1;
    const mark = (bits: Uint8Array): void => {
      bits[row >> 3] = (bits[row >> 3] ?? 0) | (1 << (row & 7));
    };
    if (sha256 !== null) {
      this.keys.set(sha256, 32 * row);
      mark(this.hasKey);
    }
    if (vector === null) return;
    this.vectors.set(vector, row * this.spec.features);
    mark(this.hasVector);
  }

  message(): Uint8Array[] {
    const { rows, compression } = this.batch;
    const { features, type } = this.spec;
    const missing = (has: Uint8Array): number => rows - has.reduce((sum, byte) => sum + ones(byte), 0);
    const values = type === 'float16' ? toFloat16(this.vectors) : this.vectors;
    const own: Column[] = [
      { nodes: [[rows, missing(this.hasKey)]], buffers: [this.hasKey, this.keys], variadic: [] },
      {
        nodes: [
          [rows, missing(this.hasVector)],
          [rows * features, 0],
        ],
        buffers: [this.hasVector, new Uint8Array(0), bytesOf(values)],
        variadic: [],
      },
      textColumn(this.errors),
    ];
    return batchMessage(rows, this.kept, own, compression);
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array | Int32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

function ones(byte: number): number {
  let count = 0;
  for (let left = byte; left !== 0; left &= left - 1) count++;
  return count;
}

function textColumn(texts: readonly (string | null)[]): Column {
  const bytes = texts.map((text) => Buffer.from(text ?? ''));
  const offsets = new Int32Array(texts.length + 1);
  const valid = new Uint8Array(Math.ceil(texts.length / 8));
  for (const [i, text] of texts.entries()) {
    offsets[i + 1] = (offsets[i] ?? 0) + (bytes[i]?.length ?? 0);
    if (text !== null) valid[i >> 3] = (valid[i >> 3] ?? 0) | (1 << (i & 7));
  }
  const nulls = texts.filter((text) => text === null).length;
  return { nodes: [[texts.length, nulls]], buffers: [valid, bytesOf(offsets), Buffer.concat(bytes)], variadic: [] };
}

/** The schema of the answers. */
function answers({ schema, kept }: Plan, spec: BaseSpec, engine: { readonly name: string; readonly version: string }) {
  const set = spec as unknown as SetSpec;
  const [, features] = vectorSchema(set, []).fields as [Field, Field];
  const nullable = (name: string, type: Field['type']): Field => features.clone({ name, type, nullable: true });
  const fields = [
    ...kept.map((i) => schema.fields[i] as Field),
    nullable('sha256', new FixedSizeBinary(32)),
    nullable('features', features.type),
    nullable('error', new Utf8()),
  ];
  const metadata = new Map([
    ...schema.metadata,
    ['permafrost.worker', PROTOCOL],
    ['permafrost.set', canonicalJson(set)],
    [METADATA.fingerprint, fingerprint(set)],
    [METADATA.engine, engine.name],
    [METADATA.engineVersion, engine.version],
    [METADATA.version, version],
  ]);
  return new Schema(fields, metadata);
}

/** Waits until so few bytes of batches are in hand that another may be read. */
class InHand {
  private bytes = 0;
  private room = (): void => {};

  add(bytes: number): void {
    this.bytes += bytes;
    this.room();
  }

  async belowLimit(): Promise<void> {
    while (this.bytes > IN_HAND) await new Promise<void>((room) => Object.assign(this, { room }));
  }
}

/** Rows of batches as they come. */
async function* rowsOf(
  messages: AsyncIterator<ArrowMessage>,
  plan: Plan,
  spec: BaseSpec,
  inHand: InHand,
  rest: Uint8Array[],
): AsyncGenerator<RowItem<Pending>> {
  const { schema, image, isPath, kept } = plan;
  const type = (schema.fields[image] as Field).type;
  for (;;) {
    await inHand.belowLimit();
    const { value: message, done } = await messages.next();
    if (done) return;
    if (message.kind === 'schema') throw new Misfit('it has a second schema');
    if (message.kind === 'dictionary') {
      rest.push(...encapsulated(message.head, [message.body]));
      continue;
    }
    const batch = readColumns(message, schema);
    const bytes = message.body.length;
    const columns = kept.map((i) => batch.columns[i] as Column);
    const pending = new Pending(rest.splice(0), batch, columns, spec, bytes);
    if (batch.rows === 0) {
      rest.push(...pending.before, ...pending.message());
      continue;
    }
    const valueAt = rowBytes(type, batch.columns[image] as Column, batch.rows, batch.compression);
    inHand.add(bytes);
    for (let row = 0; row < batch.rows; row++) {
      const value = valueAt(row);
      const found = isPath && value !== null ? Buffer.from(value).toString('utf8') : value;
      yield { image: found, context: pending, isLast: row === batch.rows - 1 };
    }
  }
}

/**
 * Runs the images of an Arrow IPC stream through a base: docs/worker.md. The vectors are those of `features`, to the bit.
 * @param input the stream, in pieces of any length
 * @returns the stream of answers, in pieces: after each batch of the input all that answers it, in order. An image that cannot be used is a
 *   row with an error. Where this throws, the stream has no end mark
 * @throws DataError for an input that is no such stream, cut, or without a column of images; the signal's reason when it is aborted; and as
 *   `features` about the base and the engine
 */
export async function* worker(input: AsyncIterable<Uint8Array>, options: WorkerOptions): AsyncGenerator<Uint8Array> {
  checkOptions('worker', options);
  checkPrecision(options);
  const { cache = 'cache', signal } = options;
  const messages = arrowMessages(input);
  let runner: VectorRunner | undefined;
  try {
    const first = await messages.next();
    if (first.done || first.value.kind !== 'schema') throw new Misfit('it does not begin with a schema');
    const plan = planFor(readSchema(first.value));
    const hooks = { ...options, makesCache: true };
    const { name, spec } = await nameBase(cache, options, hooks);
    const engine = await openEngine(options);
    const kept = async (): Promise<Base> => {
      const base = await openNamed(cache, name, spec, options, hooks);
      return moveToCache(cache, base).catch((error: unknown) => {
        if (!(error instanceof PermafrostError)) throw error;
        options.onWarning?.(`the base is not kept: ${error.message}`);
        return base;
      });
    };
    runner = await VectorRunner.open(
      await kept(),
      engine,
      { ...options, cache },
      { batchSize: options.batchSize, many: true },
    );
    yield* schemaMessage(answers(plan, spec, engine));
    const inHand = new InHand();
    const rest: Uint8Array[] = [];
    const rows = rowsOf(messages, plan, spec, inHand, rest);
    for await (const { context, found } of rowVectors(rows, runner, spec, runner.batchSize * BATCHES_AHEAD)) {
      signal?.throwIfAborted();
      context.put(found);
      if (!context.isWhole) continue;
      yield* context.before;
      yield* context.message();
      inHand.add(-context.bytes);
    }
    yield* rest;
    yield END;
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof Misfit)) throw error;
    const advice = 'make it as pyarrow.ipc.new_stream does, and send it whole';
    throw new DataError(`the Arrow stream cannot be used: ${error.message}; ${advice}`, { cause: error });
  } finally {
    await runner?.release();
  }
}
