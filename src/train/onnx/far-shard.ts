import { CommonThread, type WorkThread } from '../../work-thread.js';
import type { ShardChunk, ShardSpec, ShardStates } from './shard.js';

/** What the thread of far shards is asked. */
export type Ask = { readonly shard: number } & Work;
type Work =
  | { readonly kind: 'open'; readonly spec: ShardSpec }
  | { readonly kind: 'chunk'; readonly chunk: ShardChunk; readonly rows: SharedRows }
  | { readonly kind: 'states'; readonly names: readonly string[] | undefined }
  | { readonly kind: 'close' };
export type Given = Float32Array | ShardStates | null;

/** Vectors in a memory that threads share. */
export interface SharedRows {
  /** `[any, d]` */
  readonly x: Float32Array;
  /** The rows of a chunk's minibatches, one after the other. */
  readonly at: Uint32Array;
}

let shards = 0;

/** The second thread, which all far shards of the process share. It ends with the last of them. */
export class FarThread {
  private static readonly common = new CommonThread<Ask, Given>(new URL('./shard-worker.js', import.meta.url));

  private constructor(private readonly thread: WorkThread<Ask, Given>) {}

  /** @returns the thread once it listens, which stays until all who joined have left; null where none can be started */
  static async join(): Promise<FarThread | null> {
    const thread = await FarThread.common.join();
    return thread && new FarThread(thread);
  }

  static leave(): Promise<void> {
    return FarThread.common.leave();
  }

  async open(spec: ShardSpec): Promise<FarShard> {
    const shard = ++shards;
    await this.thread.ask({ shard, kind: 'open', spec });
    return new FarShard((work) => this.thread.ask({ ...work, shard }));
  }
}

/** A shard that the second thread trains. What is asked of it is done in order. */
export class FarShard {
  constructor(private readonly ask: (work: Work) => Promise<Given>) {}

  /** @param rows which stand until it is done @returns the losses, as `Shard.end` */
  chunk(chunk: ShardChunk, rows: SharedRows): Promise<Float32Array> {
    return this.ask({ kind: 'chunk', chunk, rows }) as Promise<Float32Array>;
  }

  states(names?: readonly string[]): Promise<ShardStates> {
    return this.ask({ kind: 'states', names }) as Promise<ShardStates>;
  }

  async release(): Promise<void> {
    await this.ask({ kind: 'close' });
  }
}
