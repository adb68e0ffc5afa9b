import { CommonThread, type WorkThread } from '../../work-thread.js';
import type { ShardChunk, ShardSpec, ShardStates } from './shard.js';

/** What the thread of far shards is asked. */
export type Ask = { readonly shard: number } & Work;
type Work =
  | { readonly kind: 'open'; readonly spec: ShardSpec }
  | { readonly kind: 'chunk'; readonly chunk: ShardChunk; readonly x: Float32Array }
  | { readonly kind: 'states'; readonly names: readonly string[] | undefined }
  | { readonly kind: 'close' };
/** What became of a chunk: its losses, as `Shard.take`, and its vectors, which come back. */
export interface Done {
  readonly losses: Float32Array;
  readonly x: Float32Array;
}
export type Given = Done | ShardStates | null;
export const isDone = (given: Given): given is Done => given !== null && 'losses' in given;

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
    return new FarShard((work, handed) => this.thread.ask({ ...work, shard }, handed));
  }
}

/** A shard that the second thread trains. What is asked of it is done in order. */
export class FarShard {
  constructor(private readonly ask: (work: Work, handed?: readonly ArrayBuffer[]) => Promise<Given>) {}

  /** @param x of the chunk's vectors, as `Shard.take`, all of its memory; it goes over to the second thread */
  chunk(chunk: ShardChunk, x: Float32Array): Promise<Done> {
    return this.ask({ kind: 'chunk', chunk, x }, [x.buffer as ArrayBuffer]) as Promise<Done>;
  }

  states(names?: readonly string[]): Promise<ShardStates> {
    return this.ask({ kind: 'states', names }) as Promise<ShardStates>;
  }

  async release(): Promise<void> {
    await this.ask({ kind: 'close' });
  }
}
