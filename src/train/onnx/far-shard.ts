import { Worker } from 'node:worker_threads';
import { EngineError } from '../../errors.js';
import type { ShardChunk, ShardSpec, ShardStates } from './shard.js';

/** What the thread of far shards is asked. */
export type Ask = { readonly number: number; readonly shard: number } & Work;
type Work =
  | { readonly kind: 'open'; readonly spec: ShardSpec; readonly ring: Float32Array }
  /** The rows of its steps lie in the ring, one after the other. @param at number of the first */
  | { readonly kind: 'chunk'; readonly chunk: ShardChunk; readonly at: number }
  | { readonly kind: 'states'; readonly names: readonly string[] | undefined }
  | { readonly kind: 'close' };

/** Its answer, by the number of what was asked; the first of all, 0, says that it listens. */
export interface Reply {
  readonly number: number;
  readonly given: Float32Array | ShardStates | null;
  readonly failed?: string;
}

/** The second thread, which all far shards of the process share. It ends with the last of them. */
export class FarThread {
  private static current: Promise<FarThread | null> | undefined;
  private static users = 0;
  private fault: EngineError | undefined;
  private shards = 0;
  private asked = 0;
  private readonly waiting = new Map<number, { resolve: (reply: Reply) => void; reject: (error: Error) => void }>();

  private constructor(private readonly worker: Worker) {
    worker.on('message', (reply: Reply) => {
      const { resolve, reject } = this.waiting.get(reply.number) ?? {};
      this.waiting.delete(reply.number);
      if (reply.failed === undefined) resolve?.(reply);
      else reject?.(new EngineError(reply.failed));
    });
    const ended = (why: string): void => {
      this.fault ??= new EngineError(`the second thread of training ended: ${why}`);
      for (const { reject } of this.waiting.values()) reject(this.fault);
      this.waiting.clear();
    };
    worker.on('error', (error) => ended(error.message));
    worker.on('exit', (code) => ended(`exit ${code}`));
  }

  /** @returns the thread once it listens, which stays until all who joined have left; null where none can be started */
  static join(): Promise<FarThread | null> {
    FarThread.users += 1;
    FarThread.current ??= FarThread.start();
    return FarThread.current;
  }

  static async leave(): Promise<void> {
    FarThread.users -= 1;
    if (FarThread.users > 0) return;
    const last = FarThread.current;
    FarThread.current = undefined;
    await (await last)?.worker.terminate();
  }

  private static async start(): Promise<FarThread | null> {
    try {
      const thread = new FarThread(new Worker(new URL('./shard-worker.js', import.meta.url)));
      await thread.reply(0);
      return thread;
    } catch {
      return null;
    }
  }

  /** @param ring shared numbers, from which the rows of chunks are read */
  async open(spec: ShardSpec, ring: Float32Array): Promise<FarShard> {
    const shard = ++this.shards;
    await this.ask(shard, { kind: 'open', spec, ring });
    return new FarShard((work) => this.ask(shard, work));
  }

  private async ask(shard: number, work: Work): Promise<Reply['given']> {
    const number = ++this.asked;
    this.worker.postMessage({ ...work, number, shard } satisfies Ask);
    return (await this.reply(number)).given;
  }

  private reply(number: number): Promise<Reply> {
    if (this.fault) return Promise.reject(this.fault);
    return new Promise((resolve, reject) => this.waiting.set(number, { resolve, reject }));
  }
}

/** A shard that the second thread trains. What is asked of it is done in order. */
export class FarShard {
  constructor(private readonly ask: (work: Work) => Promise<Reply['given']>) {}

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
