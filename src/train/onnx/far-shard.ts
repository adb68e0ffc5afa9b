import { CommonThread, type WorkThread } from '../thread.js';
import type { ShardChunk, ShardSpec, ShardStates } from './shard.js';

/** What the thread of far shards is asked. */
export type Ask = { readonly shard: number } & Work;
type Work =
  | { readonly kind: 'open'; readonly spec: ShardSpec; readonly ring: Float32Array }
  /** The rows of its steps lie in the ring, one after the other. @param at number of the first */
  | { readonly kind: 'chunk'; readonly chunk: ShardChunk; readonly at: number }
  | { readonly kind: 'states'; readonly names: readonly string[] | undefined }
  | { readonly kind: 'close' };
export type Given = Float32Array | ShardStates | null;

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

  /** @param ring shared numbers, from which the rows of chunks are read */
  async open(spec: ShardSpec, ring: Float32Array): Promise<FarShard> {
    const shard = ++shards;
    await this.thread.ask({ shard, kind: 'open', spec, ring });
    return new FarShard((work) => this.thread.ask({ ...work, shard }));
  }
}

/** A shard that the second thread trains. What is asked of it is done in order. */
export class FarShard {
  constructor(private readonly ask: (work: Work) => Promise<Given>) {}

  /** @returns the losses, as `Shard.end` @param at where the rows begin in the ring */
  chunk(chunk: ShardChunk, at: number): Promise<Float32Array> {
    return this.ask({ kind: 'chunk', chunk, at }) as Promise<Float32Array>;
  }

  states(names?: readonly string[]): Promise<ShardStates> {
    return this.ask({ kind: 'states', names }) as Promise<ShardStates>;
  }

  async release(): Promise<void> {
    await this.ask({ kind: 'close' });
  }
}
