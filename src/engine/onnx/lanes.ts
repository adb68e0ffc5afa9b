import { EngineError } from '../../errors.js';
import { WorkThread } from '../../work-thread.js';
import type { Runner } from '../engine.js';
import type { Feeding } from './runner.js';
import type { SessionOptions } from './session.js';

const letGo = (): EngineError => new EngineError('the base was let go');

/** What a lane is asked: first to open a session, in the end to release it. */
export type LaneWork =
  | { readonly kind: 'open'; readonly model: Uint8Array; readonly options: SessionOptions; readonly feeding: Feeding }
  | { readonly kind: 'run'; readonly memory: SharedArrayBuffer; readonly length: number; readonly n: number }
  | { readonly kind: 'release' };

type Thread = WorkThread<LaneWork, Float32Array[]>;

const FILE = new URL('./lane-thread.js', import.meta.url);

interface Lane {
  readonly thread: Thread;
  /** What its images are handed over in, used again. */
  memory: SharedArrayBuffer;
}

/**
 * A session of one graph in each of several threads. As many runs go side by side: none waits for the other, as the threads of one
 * operator do.
 */
export class LanedRunner implements Runner {
  private readonly free: Lane[];
  private readonly waiting: { readonly take: (lane: Lane) => void; readonly leave: (error: Error) => void }[] = [];
  private isReleased = false;

  private constructor(
    private readonly all: readonly Lane[],
    private readonly input: Feeding['input'],
  ) {
    this.free = [...all];
  }

  /**
   * @param model bytes of a ModelProto
   * @returns null where threads cannot be started
   * @throws EngineError as `openSession`
   */
  static async open(
    model: Uint8Array,
    options: SessionOptions,
    feeding: Feeding,
    lanes: number,
  ): Promise<LanedRunner | null> {
    const threads = await Promise.all(
      Array.from({ length: lanes }, () => WorkThread.start(FILE) as Promise<Thread | null>),
    );
    const end = (): Promise<unknown> => Promise.all(threads.map((thread) => thread?.end()));
    if (threads.includes(null)) {
      await end();
      return null;
    }
    try {
      const asked = (threads as Thread[]).map((thread) => {
        const own = model.slice();
        return thread.ask({ kind: 'open', model: own, options, feeding }, [own.buffer]);
      });
      await Promise.all(asked);
    } catch (error) {
      await end();
      throw error;
    }
    const made = (threads as Thread[]).map((thread): Lane => ({ thread, memory: new SharedArrayBuffer(0) }));
    return new LanedRunner(made, feeding.input);
  }

  get lanes(): number {
    return this.all.length;
  }

  async run(images: Float32Array | Uint8Array, n: number): Promise<Float32Array[]> {
    const lane = await this.take();
    try {
      if (this.isReleased) throw letGo();
      if (lane.memory.byteLength < images.byteLength) lane.memory = new SharedArrayBuffer(images.byteLength);
      const shared =
        this.input === 'float32' ? new Float32Array(lane.memory, 0, images.length) : new Uint8Array(lane.memory);
      shared.set(images);
      return await lane.thread.ask({ kind: 'run', memory: lane.memory, length: images.length, n });
    } finally {
      this.give(lane);
    }
  }

  /** Runs that have not begun are given up. */
  async release(): Promise<void> {
    if (this.isReleased) return;
    this.isReleased = true;
    for (const { leave } of this.waiting.splice(0)) leave(letGo());
    await Promise.all(
      this.all.map(async ({ thread }) => {
        await thread.ask({ kind: 'release' }).catch(() => {}); // it has ended
        await thread.end();
      }),
    );
  }

  private take(): Promise<Lane> {
    if (this.isReleased) return Promise.reject(letGo());
    const lane = this.free.pop();
    if (lane !== undefined) return Promise.resolve(lane);
    return new Promise((take, leave) => this.waiting.push({ take, leave }));
  }

  private give(lane: Lane): void {
    const next = this.waiting.shift();
    if (next === undefined) this.free.push(lane);
    else next.take(lane);
  }
}
