import { FlatTable } from './flatbuffer.js';
import { Misfit } from './footer.js';

/** Bytes of the largest head and of the largest body of a message that are read. */
const MOST = { head: 2 ** 26, body: 2 ** 31 };
const CONTINUES = 0xffffffff;
const KINDS = { 1: 'schema', 2: 'dictionary', 3: 'batch' } as const;
/** MetadataVersion.V4, of Arrow 0.8 to 0.17, and V5. */
const VERSIONS = [3, 4];

/** A message of an Arrow IPC stream (https://arrow.apache.org/docs/format/Columnar.html, Message.fbs). */
export interface ArrowMessage {
  readonly kind: (typeof KINDS)[keyof typeof KINDS];
  /** 3 (V4) or 4 (V5). */
  readonly version: number;
  /** The flatbuffer. */
  readonly head: Uint8Array;
  /** Its header: a Schema, a DictionaryBatch or a RecordBatch. */
  readonly header: FlatTable;
  /** Begins where numbers of 8 bytes may. */
  readonly body: Uint8Array;
}

/** Takes pieces of any length, gives as many bytes as are asked for. */
class Bytes {
  private readonly pieces: AsyncIterator<Uint8Array>;
  private rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.pieces = source[Symbol.asyncIterator]();
  }

  /**
   * @returns so many bytes; null where the source has ended
   * @throws Misfit where it ends in the middle of them
   */
  async take(length: number, what: string): Promise<Uint8Array | null> {
    const taken = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      if (this.rest.length === 0) {
        const { value, done } = await this.pieces.next();
        if (done) {
          if (filled === 0) return null;
          throw new Misfit(`it is cut in ${what}: ${filled} of ${length} bytes are there`);
        }
        this.rest = value;
      }
      const some = this.rest.subarray(0, length - filled);
      taken.set(some, filled);
      filled += some.length;
      this.rest = this.rest.subarray(some.length);
    }
    return taken;
  }

  async end(): Promise<void> {
    await this.pieces.return?.();
  }
}

/**
 * The messages of an Arrow IPC stream, each checked to lie whole in what is there.
 * @throws Misfit for what is no such stream, is of before Arrow 0.15, or ends without its end mark
 */
export async function* arrowMessages(source: AsyncIterable<Uint8Array>): AsyncGenerator<ArrowMessage> {
  const bytes = new Bytes(source);
  try {
    for (;;) {
      const length = await headLength(bytes);
      if (length === 0) return;
      const head = await bytes.take(length, 'the head of a message');
      if (head === null) throw new Misfit('it is cut behind the length of a message');
      const { bodyLength, ...message } = readHead(head);
      const body = await bytes.take(bodyLength, 'the body of a message');
      if (body === null) throw new Misfit('it is cut before the body of a message');
      yield { ...message, head, body };
    }
  } finally {
    await bytes.end();
  }
}

/** @returns 0 at the mark that ends a stream */
async function headLength(bytes: Bytes): Promise<number> {
  const start = await bytes.take(8, 'the length of a message');
  if (start === null) throw new Misfit('it ends without the mark that ends a stream, so it may be cut');
  const view = new DataView(start.buffer, start.byteOffset, 8);
  if (Buffer.from(start.subarray(0, 6)).toString('latin1') === 'ARROW1') {
    throw new Misfit('it is an Arrow file, not a stream');
  }
  if (view.getUint32(0, true) !== CONTINUES) {
    throw new Misfit('a message does not begin with 0xffffffff: it is no Arrow stream, or one of before Arrow 0.15');
  }
  const length = view.getUint32(4, true);
  if (length > MOST.head) throw new Misfit(`the head of a message has ${length} bytes, at most ${MOST.head} are read`);
  return length;
}

function readHead(head: Uint8Array): Omit<ArrowMessage, 'head' | 'body'> & { readonly bodyLength: number } {
  try {
    const message = FlatTable.root(head);
    const version = message.int16(0);
    if (!VERSIONS.includes(version)) throw new Misfit(`its metadata is of version ${version + 1}, 4 and 5 are read`);
    const type = message.int8(1);
    const kind = KINDS[type as keyof typeof KINDS];
    if (kind === undefined) throw new Misfit(`a message of type ${type} is neither schema, dictionary nor batch`);
    const bodyLength = message.int64(3);
    if (bodyLength < 0 || bodyLength > MOST.body) {
      throw new Misfit(`the body of a message has ${bodyLength} bytes, at most ${MOST.body} are read`);
    }
    return { kind, version, header: message.table(2), bodyLength };
  } catch (error) {
    if (error instanceof RangeError) throw new Misfit('the head of a message is damaged', { cause: error });
    throw error;
  }
}
